"""What changes while the walk looks: counts by process, by a BPF program (bpf/churn.c).

bcc, Debian's python3-bpfcc, compiles it when it is loaded (kernel/compiler.py), without kernel headers: bpf/include
stands in for them, and the offsets into the kernel's structs come from the kernel's BTF, asked through libbpf. Loading
takes about 0.3 s. The tracepoints that every page fault meets are attached for the time of a window only.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import platform
import struct
from collections.abc import Iterator
from pathlib import Path

from zonerss.closing import Closing
from zonerss.errors import CannotServe
from zonerss.kernel.btf import Btf, Libbpf
from zonerss.kernel.compiler import CannotLoad, load
from zonerss.kernel.functions import attach_function
from zonerss.kernel.hugepages import pmd_pages
from zonerss.kernel.namespaces import is_first_namespace
from zonerss.kernel.proc import read_rss
from zonerss.kernel.roots import Roots
from zonerss.motion.bound import PAGES_OF_A_TABLE, Churn, Move, Window
from zonerss.motion.machines import Machine, machine_of
from zonerss.motion.settle import Settler
from zonerss.records import Task
from zonerss.units import PAGE_BYTES

# In a checkout, or as bpf/build has laid it into the wheel.
_PACKAGE = Path(__file__).resolve().parents[1]
SOURCE = next(
    (
        path
        for path in (_PACKAGE.parents[1] / "bpf", _PACKAGE / "_core" / "churn")
        if (path / "churn.c").exists()
    ),
    _PACKAGE / "_core" / "churn",
)
_MOVES = 2048
_MOVE_PATH = 512

# Attached while a window lasts: these are on the path of every page fault or system call. What sees faults is added.
_HOT = ("rss_stat", "sys_enter")
# Likewise, where threads hold back what they have changed until the next time that they run.
_HELD = "sched_switch"
# Attached from the start: they say something only when something happens that concerns us.
_RARE = ("sched_process_fork", "sched_process_exec", "sched_process_exit", "cgroup_attach_task")
# The same, where the kernel has them.
_OPTIONAL = (
    "ksm_merge_one_page",
    "ksm_merge_with_ksm_page",
    "mm_collapse_huge_page",
    "set_migration_pte",
    "set_migration_pmd",
    "remove_migration_pte",
    "remove_migration_pmd",
)
_MEMBERS = {0: "file", 1: "anon", 3: "shmem"}  # include/linux/mm_types_task.h
_EXECED, _EXITED = 1, 2
# The maps of bpf/churn.c, and what is in them.
_STATE = struct.Struct("=3Qq")  # struct state
_PROCESS = struct.Struct("=2I")  # struct process_key
_CHURN = struct.Struct("=6Q9q2I")  # struct churn
_MOVE = struct.Struct(f"=Q2I{_MOVE_PATH}s")  # struct move
_PARENT = struct.Struct("=I")
_SPACE_BYTES = (16, 48)  # struct space_key and struct space
_HELD_BYTES = (8, 16)  # struct thread_key and struct held
_MAPS = ("states", "spaces", "processes", "parents", "moves")
_PF_WRITE_PROTECTED = 3  # arch/x86/include/asm/trap_pf.h: the page is there, and it was a write
_FAULT_FLAG_WRITE = 1  # include/linux/mm_types.h
_PROOF = 23  # pages


def _require_here(roots: Roots) -> None:
    for name in ("pid", "cgroup"):
        if is_first_namespace(roots, name) is False:
            raise CannotServe(
                f"the kernel traces what changes by the host's names: run in its {name} namespace"
            )


def _definitions(roots: Roots, machine: Machine, btf: Btf, cpus: int, calibration: int) -> list[str]:
    """The offsets and sizes that the program is compiled with."""
    offsets = {
        "MM_OWNER": ("mm_struct", "owner"),
        "TASK_TGID": ("task_struct", "tgid"),
        "TASK_PID": ("task_struct", "pid"),
        "TASK_MM": ("task_struct", "mm"),
        "CGROUP_ROOT": ("cgroup", "root"),
        "ROOT_HIERARCHY": ("cgroup_root", "hierarchy_id"),
        "ARRAY_PPTRS": ("bpf_array", "pptrs"),
    }
    values = {}
    per_cpu = btf.type_of("mm_struct", "rss_stat") == "percpu_counter"
    if per_cpu:
        offsets["MM_RSS_STAT"] = ("mm_struct", "rss_stat")
        offsets["COUNTER_COUNT"] = ("percpu_counter", "count")
        offsets["COUNTER_COUNTERS"] = ("percpu_counter", "counters")
        values["SIZE_COUNTER"] = btf.size("percpu_counter")
    elif btf.type_of("mm_struct", "rss_stat") == "mm_rss_stat":
        # Before Linux 6.2: threads hold back what up to 64 faults have changed.
        offsets["TASK_RSS_STAT"] = ("task_struct", "rss_stat")
        offsets["HELD_COUNT"] = ("task_rss_stat", "count")
        values["ATOMIC_COUNTERS"] = 1
    else:
        raise CannotServe("the kernel counts resident pages in a way that zonerss does not know")
    if machine.fault_functions:
        offsets["VMA_MM"] = ("vm_area_struct", "vm_mm")
        values["FAULT_FLAG_WRITE"] = _FAULT_FLAG_WRITE
    values |= {f"OFF_{name}": btf.offset(*member) for name, member in offsets.items()}
    values |= {
        "CPUS": cpus,
        "CALIBRATION": calibration,
        "MOVES": _MOVES,
        "MOVE_PATH": _MOVE_PATH,
        "SYS_MREMAP": machine.mremap,
        "PAGE_BYTES": PAGE_BYTES,
        "HUGE_PAGES": pmd_pages(roots),
        "FAULT_MASK": _PF_WRITE_PROTECTED,
        **{
            f"OFF_{name}": btf.offset(struct, member) + further
            for name, (struct, member, further) in machine.registers.items()
        },
        **machine.entries(roots),
    }
    return [f"-D{name}={value}{'ULL' * (value >= 2**31)}" for name, value in values.items()]


def _hot_tracepoints(machine: Machine, holds: bool) -> tuple[str, ...]:
    return (*_HOT, *machine.fault_tracepoints, *((_HELD,) if holds else ()))


class ChurnTracer(Closing):
    """Counts what changes between :meth:`begin` and :meth:`end`; use it as a context manager."""

    name = "traced"

    def __init__(self, roots: Roots) -> None:
        """:raises CannotServe: bcc or the kernel cannot do it here; says why"""
        self._machine = machine_of(platform.machine())
        _require_here(roots)
        self._roots = roots
        self._window = self._unsettled = 0
        self._attached: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._libbpf = Libbpf()
        try:
            cpus, holds = self._load(roots)
            self._hot = (*_hot_tracepoints(self._machine, holds), *self._machine.fault_functions)
            self._settler = Settler(roots, must_visit=holds)
            self._attach_for_good()
            self._slack_pages = 0
            inexact_pages = self._prove(roots, cpus)
            # What threads hold back is missing from RSS as from the value of the tracepoint: no difference.
            self._slack_pages = 0 if holds else inexact_pages
        except BaseException:
            self.close()
            raise

    def _load(self, roots: Roots) -> tuple[int, bool]:
        """How many processors there can be, and whether threads hold back what they have changed."""
        cpus = self._libbpf.possible_cpus()
        calibration = self._libbpf.per_cpu_map("calibration")
        try:
            with self._libbpf.kernel_types() as btf:
                definitions = _definitions(roots, self._machine, btf, cpus, calibration)
            holds = "-DATOMIC_COUNTERS=1" in definitions
            hot = _hot_tracepoints(self._machine, holds)
            maps = (*_MAPS, "threads") if holds else _MAPS
            try:
                self._files = load(
                    SOURCE,
                    definitions,
                    ("calibrate", *hot, *_RARE, *_OPTIONAL),
                    maps,
                    (calibration,),
                    functions=self._machine.fault_functions,
                )
            except CannotLoad as err:
                raise CannotServe(str(err)) from None
            self._libbpf.run_raw_tracepoint(self._files["calibrate"])
        finally:
            os.close(calibration)
        return cpus, holds

    def _prove(self, roots: Roots, cpus: int) -> int:
        """
        Touch some pages and see them counted. What could go wrong with other people's structs shows here.

        :return: how far RSS in /proc/PID/status can be off, in pages, by kind
        """
        own = Task(os.getpid(), 0, None, None, "", "/", 0, os.getpid())
        self.begin()
        try:
            with mmap.mmap(-1, _PROOF * PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
                before = read_rss(roots, own)
                for index in range(_PROOF):
                    pages[index * PAGE_BYTES] = 1
                after = read_rss(roots, own)
        finally:
            found = self.end().churn.get(own.pid, Churn())
        if doubt := doubts(found, write_faults_count=bool(self._machine.fault_functions)):
            raise CannotServe(doubt)
        exact = after.get("anon", 0) - before.get("anon", 0) >= _PROOF
        return 0 if exact else max(32, 2 * cpus) * cpus  # mm/percpu counters: percpu_counter_batch

    def close(self) -> None:
        """Detach and unload everything."""
        self._detach(tuple(self._attached))
        for fd in self._files.values():
            os.close(fd)
        self._files = {}
        self._libbpf.close()

    def begin(self) -> None:
        """Count from now on."""
        self._window += 1
        self._set_window(self._window)
        self._attach(self._hot)
        self._unsettled = self._settler.settle()

    def abandon(self) -> None:
        """Stop counting, whether anybody still wants to know or not; nothing if it has stopped."""
        self._detach(self._hot)
        self._set_window(0)

    def end(self) -> Window:
        """Stop counting: what changed since :meth:`begin`."""
        self._unsettled += self._settler.settle()
        self._detach(self._hot)
        raw = self._libbpf.lookup(self._files["states"], bytes(4), _STATE.size)
        if raw is None:
            raise CannotServe("the kernel does not tell what was traced")
        _, moves, lost, exchanged = _STATE.unpack(raw)
        found = Window(
            churn={tgid: decode_churn(value) for tgid, value in self._drain("processes", _CHURN.size)},
            parents={
                child: _PARENT.unpack(value)[0] for child, value in self._drain("parents", _PARENT.size)
            },
            moves=tuple(self._moves(min(moves, _MOVES))),
            exchanged_pages=max(exchanged, 0),
            unsettled_pages=PAGES_OF_A_TABLE * self._unsettled,
            complete=not lost and moves <= _MOVES,
            slack_pages=self._slack_pages,
            rss_is_all="threads" not in self._files,
        )
        self._set_window(0)
        self._empty("spaces", *_SPACE_BYTES)
        if "threads" in self._files:
            self._empty("threads", *_HELD_BYTES)
        return found

    def _set_window(self, window: int) -> None:
        self._libbpf.update(self._files["states"], bytes(4), _STATE.pack(window, 0, 0, 0))

    def _attach(self, names: tuple[str, ...]) -> None:
        for name in names:
            program = self._files[name]
            self._attached[name] = (
                attach_function(self._roots, name, program)
                if name in self._machine.fault_functions
                else self._libbpf.attach_raw_tracepoint(name, program)
            )

    def _attach_for_good(self) -> None:
        self._attach(_RARE)
        for name in _OPTIONAL:
            with contextlib.suppress(CannotServe):  # this kernel does not have it
                self._attach((name,))

    def _detach(self, names: tuple[str, ...]) -> None:
        for name in names:
            if (fd := self._attached.pop(name, None)) is not None:
                os.close(fd)

    def _drain(self, table: str, value_bytes: int) -> Iterator[tuple[int, bytes]]:
        """By process, what this window has in a table, which is emptied."""
        for key, value in self._libbpf.drain(self._files[table], _PROCESS.size, value_bytes):
            window, tgid = _PROCESS.unpack(key)
            if window == self._window:
                yield tgid, value

    def _empty(self, table: str, key_bytes: int, value_bytes: int) -> None:
        for _ in self._libbpf.drain(self._files[table], key_bytes, value_bytes):
            pass

    def _moves(self, count: int) -> Iterator[Move]:
        for index in range(count):
            raw = self._libbpf.lookup(self._files["moves"], index.to_bytes(4, "little"), _MOVE.size)
            window, tgid, hierarchy, path = _MOVE.unpack(raw) if raw else (0, 0, 0, b"")
            if window == self._window:
                yield Move(tgid, hierarchy, path.partition(b"\0")[0].decode("utf-8", "surrogateescape"))


def doubts(found: Churn, write_faults_count: bool) -> str:
    """
    What is wrong with what was counted while the pages of the proof were written to; "": nothing. Pure.

    :param write_faults_count: those too that bring a page, which the kernel may do for several pages at once
    """
    if not _PROOF - 1 <= found.came_pages < _PROOF + PAGES_OF_A_TABLE:
        return f"tracing counted {found.came_pages} pages where {_PROOF} came: not to be trusted"
    if write_faults_count and not found.copied_pages:
        return "tracing saw no page fault where there were some: not to be trusted"
    return ""


def decode_churn(raw: bytes) -> Churn:
    """One struct churn of bpf/churn.c. Pure."""
    came, went, forked, copied, moved, raced, held, *rest = _CHURN.unpack(raw)
    first, most, known, flags = rest[:4], rest[4:8], rest[8], rest[9]
    return Churn(
        came_pages=came,
        went_pages=went,
        forked_pages=forked,
        copied_pages=copied,
        moved_pages=moved,
        raced=raced,
        held_pages=held,
        first_pages={name: first[member] for member, name in _MEMBERS.items() if known & 1 << member},
        most_pages={name: most[member] for member, name in _MEMBERS.items()},
        replaced=bool(flags & (_EXECED | _EXITED)),
    )
