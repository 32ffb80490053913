"""What changes while the walk looks: counts by process, by bcc (bpf/churn.c).

bcc is Debian's python3-bpfcc. It compiles the program when it is loaded, without kernel headers: bpf/include stands in
for them, and the offsets into the kernel's structs come from the kernel's BTF, asked through libbpf. Loading takes
about 0.3 s. The tracepoints that every page fault meets are attached for the time of a window only.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import platform
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zonerss.errors import CannotServe
from zonerss.kernel.btf import Btf, Libbpf
from zonerss.kernel.namespaces import is_first_namespace
from zonerss.kernel.proc import read_rss
from zonerss.kernel.roots import Roots
from zonerss.motion.bound import PAGES_OF_A_TABLE, Churn, Move, Window
from zonerss.records import Task
from zonerss.units import PAGE_BYTES

# In a checkout, or as bpf/build has laid it into the wheel.
_PACKAGE = Path(__file__).resolve().parents[1]
_SOURCE = next(
    (
        path
        for path in (_PACKAGE.parents[1] / "bpf", _PACKAGE / "_core" / "churn")
        if (path / "churn.c").exists()
    ),
    _PACKAGE / "_core" / "churn",
)
_PROGRAM = _SOURCE / "churn.c"
_MOVES = 2048
_MOVE_PATH = 512

# Attached while a window lasts: these are on the path of every page fault or system call.
_HOT = ("rss_stat", "page_fault_user", "page_fault_kernel", "sys_enter")
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
_CHURN = struct.Struct("=6Q5q2I")
_PF_WRITE_PROTECTED = 3  # arch/x86/include/asm/trap_pf.h: the page is there, and it was a write
_SYS_MREMAP = 25
_PROOF = 23  # pages


def _require_here(roots: Roots) -> None:
    if platform.machine() != "x86_64":
        raise CannotServe(f"what changes can be traced on x86_64 only, not on {platform.machine()}")
    for name in ("pid", "cgroup"):
        if is_first_namespace(roots, name) is False:
            raise CannotServe(
                f"the kernel traces what changes by the host's names: run in its {name} namespace"
            )


def _bcc() -> Any:
    os.environ["BCC_KERNEL_SOURCE"] = str(_SOURCE)
    try:
        from bcc import BPF  # type: ignore[import-untyped, unused-ignore]
    except ImportError as err:
        raise CannotServe("bcc is missing: install Debian's python3-bpfcc") from err
    return BPF


def _definitions(btf: Btf, cpus: int, calibration: int) -> list[str]:
    """The offsets and sizes that the program is compiled with."""
    offsets = {
        "MM_OWNER": ("mm_struct", "owner"),
        "TASK_TGID": ("task_struct", "tgid"),
        "TASK_PID": ("task_struct", "pid"),
        "TASK_MM": ("task_struct", "mm"),
        "CGROUP_ROOT": ("cgroup", "root"),
        "ROOT_HIERARCHY": ("cgroup_root", "hierarchy_id"),
        "REGS_SI": ("pt_regs", "si"),
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
    values |= {f"OFF_{name}": btf.offset(*member) for name, member in offsets.items()}
    values |= {
        "CPUS": cpus,
        "CALIBRATION": calibration,
        "MOVES": _MOVES,
        "MOVE_PATH": _MOVE_PATH,
        "SYS_MREMAP": _SYS_MREMAP,
        "HUGE_PAGES": 512,
        "FAULT_MASK": _PF_WRITE_PROTECTED,
    }
    return [f"-D{name}={value}" for name, value in values.items()]


class ChurnTracer:
    """Counts what changes between :meth:`begin` and :meth:`end`; use it as a context manager."""

    name = "traced"

    def __init__(self, roots: Roots) -> None:
        """:raises CannotServe: bcc or the kernel cannot do it here; says why"""
        _require_here(roots)
        program = _bcc()
        self._window = 0
        self._attached: list[str] = []
        with Libbpf() as libbpf:
            cpus = libbpf.possible_cpus()
            calibration = libbpf.per_cpu_map("calibration")
            try:
                with libbpf.kernel_types() as btf:
                    definitions = _definitions(btf, cpus, calibration)
                holds = "-DATOMIC_COUNTERS=1" in definitions
                self._hot = (*_HOT, _HELD) if holds else _HOT
                with _silenced():  # while loading: later descriptor 2 may be somebody's screen
                    self._bpf = _compiled(program, definitions)
                    libbpf.run_raw_tracepoint(self._load("calibrate"))
                    for name in (*self._hot, *_RARE, *_OPTIONAL):
                        self._load(name)
            finally:
                os.close(calibration)
        try:
            self._attach_for_good()
            self._slack_pages = 0
            inexact_pages = self._prove(roots, cpus)
            # What threads hold back is missing from RSS as from the value of the tracepoint: no difference.
            self._slack_pages = 0 if holds else inexact_pages
        except BaseException:
            self.close()
            raise

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
        if not _PROOF - 1 <= found.came_pages < _PROOF + PAGES_OF_A_TABLE:
            raise CannotServe(
                f"tracing counted {found.came_pages} pages where {_PROOF} came: not to be trusted"
            )
        exact = after.get("anon", 0) - before.get("anon", 0) >= _PROOF
        return 0 if exact else max(32, 2 * cpus) * cpus  # mm/percpu counters: percpu_counter_batch

    def close(self) -> None:
        """Detach and unload everything."""
        self._detach(tuple(self._attached))
        self._bpf.cleanup()

    def __enter__(self) -> ChurnTracer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self) -> None:
        """Count from now on."""
        self._window += 1
        self._set_window(self._window)
        self._attach(self._hot)
        quiesce()

    def abandon(self) -> None:
        """Stop counting, whether anybody still wants to know or not; nothing if it has stopped."""
        self._detach(self._hot)
        self._set_window(0)

    def end(self) -> Window:
        """Stop counting: what changed since :meth:`begin`."""
        quiesce()
        self._detach(self._hot)
        state = self._bpf[b"states"][0]
        found = Window(
            churn=dict(self._churn()),
            parents={
                child: parent for window, child, parent in self._drain("parents") if window == self._window
            },
            moves=tuple(self._moves(min(state.moves, _MOVES))),
            exchanged_pages=max(state.exchanged, 0),
            complete=not state.lost and state.moves <= _MOVES,
            slack_pages=self._slack_pages,
        )
        self._set_window(0)
        for table in (b"spaces", b"threads") if _HELD in self._hot else (b"spaces",):
            for _ in self._bpf[table].items_lookup_and_delete_batch():
                pass
        return found

    def _set_window(self, window: int) -> None:
        states = self._bpf[b"states"]
        states[0] = states.Leaf(window, 0, 0, 0)

    def _load(self, name: str) -> int:
        try:
            return int(self._bpf.load_func(f"on_{name}".encode(), self._bpf.RAW_TRACEPOINT).fd)
        except Exception as err:  # bcc raises nothing finer
            raise CannotServe(f"the kernel does not take the program that traces {name}: {err}") from err

    def _attach(self, names: tuple[str, ...]) -> None:
        for name in names:
            try:
                self._bpf.attach_raw_tracepoint(name.encode(), f"on_{name}".encode())
            except Exception as err:
                raise CannotServe(f"the kernel has no tracepoint {name}, or does not let us use it") from err
            self._attached.append(name)

    def _attach_for_good(self) -> None:
        with _silenced():  # of those that this kernel does not have
            self._attach(_RARE)
            for name in _OPTIONAL:
                with contextlib.suppress(CannotServe):
                    self._attach((name,))

    def _detach(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name in self._attached:
                self._bpf.detach_raw_tracepoint(name.encode())
                self._attached.remove(name)

    def _drain(self, table: str) -> Iterator[tuple[int, int, Any]]:
        for key, value in self._bpf[table.encode()].items_lookup_and_delete_batch():
            yield key.window, key.tgid, getattr(value, "value", value)

    def _churn(self) -> Iterator[tuple[int, Churn]]:
        for window, tgid, raw in self._drain("processes"):
            if window == self._window:
                yield tgid, decode_churn(bytes(raw))

    def _moves(self, count: int) -> Iterator[Move]:
        table = self._bpf[b"moves"]
        for index in range(count):
            row = table[index]
            if row.window == self._window:
                yield Move(row.tgid, row.hierarchy, row.path.decode("utf-8", "surrogateescape"))


def decode_churn(raw: bytes) -> Churn:
    """One struct churn of bpf/churn.c. Pure."""
    came, went, forked, copied, moved, raced, held, *rest = _CHURN.unpack(raw)
    first, known, flags = rest[:4], rest[4], rest[5]
    return Churn(
        came_pages=came,
        went_pages=went,
        forked_pages=forked,
        copied_pages=copied,
        moved_pages=moved,
        raced=raced,
        held_pages=held,
        first_pages={name: first[member] for member, name in _MEMBERS.items() if known & 1 << member},
        replaced=bool(flags & (_EXECED | _EXITED)),
    )


def quiesce() -> None:
    """
    Wait until every change of a page table that has begun has also been counted, and the other way round.

    The kernel changes an entry and its counter under one spinlock, on one processor. So once this thread has run on
    every processor, whatever was under way there is done.
    """
    allowed = os.sched_getaffinity(0)
    try:
        for cpu in range(os.cpu_count() or 1):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, {cpu})
    finally:
        os.sched_setaffinity(0, allowed)


def _compiled(program: Callable[..., Any], definitions: list[str]) -> Any:
    # What clang says of a program that does not compile is for developers: one sentence is for users.
    try:
        return program(src_file=str(_PROGRAM).encode(), cflags=[*definitions, "-w"])
    except Exception as err:
        raise CannotServe(f"bcc cannot compile or load {_PROGRAM.name} here: {err}") from err


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """bcc and clang write to descriptor 2 whatever they think; what matters is in the exception."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
