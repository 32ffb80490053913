"""Page tables by BPF say what pagemap says, to the page; they leave nothing behind; and where they cannot be read
there is a sentence that says why."""

from __future__ import annotations

import ctypes
import errno
import itertools
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.cgroups import TestCgroups, end_processes, move, stopped
from tests.live.conftest import cannot_serve
from tests.live.measure import Zone
from tests.unit.fake_proc import V2, FakeProc
from tests.unit.threads import descriptors, threads, until
from tests.unit.walking import walking
from tests.workloads.mem import PAGE, MemError
from tests.workloads.postgres import Postgres, programs
from zonerss._core import lib
from zonerss.errors import CannotServe
from zonerss.kernel.proc import read_tasks
from zonerss.plain import replace
from zonerss.records import Cause, Gap
from zonerss.snapshot import Session, Snapshot
from zonerss.views.footer import footer
from zonerss.walk import jobs, pagetable
from zonerss.walk.pagetable import PageTableSource

EPERM = 1
PROJECT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "anon 1009",
    "zero 61",
    "mlock 89",
    "protnone 37",
    "sharedanon 251",
    "memfd 503",
    "twice 97",
    "shm 127",
    "thp 3",
    "shmemthp 2",
    "hugezero 2",
    "hugetlb 1",
    "reserve 64",
)
WALK_FOR_EVER = """
from zonerss.snapshot import Session
with Session("pagetable") as session:
    print("ready", flush=True)
    while True:
        session.take()
"""


@pytest.fixture(autouse=True)
def pagetable_serves() -> None:
    reason = cannot_serve("pagetable")
    if reason:
        needs.skip("needs_pagetable", reason)


# ---- the same, to the page ---------------------------------------------------------------------------------


def look(source: str, zones: list[Zone], processes: bool, threads: int | None = None) -> Snapshot:
    """Only these zones: what else runs here does not stand still."""
    with Session(source, threads=threads) as session:
        return session.take(
            by=("cgroup",), zone=[zone.name for zone in zones], alone=True, processes=processes
        )


def compare(zones: list[Zone]) -> Snapshot:
    """
    Every figure, every part and every gap of both sources, of more threads than there are processors, and where these
    share each address space among them.
    """
    with stopped([zone.path for zone in zones]) as pids:
        for processes, (threads, least) in itertools.product(
            (False, True), ((1, None), (2, 3), (5, None), (5, 3))
        ):
            expected = look("pagemap", zones, processes)
            with pytest.MonkeyPatch.context() as patched:
                if least:
                    patched.setattr(jobs, "_STRIPE_PAGES", least)
                found = look("pagetable", zones, processes, threads)
            assert parts_of(found) == parts_of(expected)
            assert usages(found) == usages(expected)
            assert by_pid(found) == by_pid(expected)
            assert gaps_of(found, pids) == gaps_of(expected, pids)
    return expected


def parts_of(snapshot: Snapshot) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return sorted((part.owners, part.pages) for part in snapshot.parts)


def gaps_of(snapshot: Snapshot, pids: list[int]) -> list[Gap]:
    return [gap for gap in snapshot.gaps if gap.pid in pids]


def usages(snapshot: Snapshot) -> list[object]:
    """All but the bill, which the kernel writes without regard to who stands still."""
    return [replace(usage, charged_bytes=None) for usage in snapshot.zones]


def by_pid(snapshot: Snapshot) -> dict[int, object]:
    return {process.pid: process for process in snapshot.processes or ()}


def test_both_sources_agree_on_every_kind_of_memory(make_zone, disk_directory, tmpfs_directory, setting):
    huge_pages = Path("/proc/sys/vm/nr_hugepages")
    setting(str(huge_pages), int(huge_pages.read_text()) + 3)
    zones = [make_zone(name) for name in ("a", "b", "c")]
    made = 0
    for zone in zones:
        mem = zone.spawn()
        for command in COMMANDS:
            with suppress(MemError):  # this host may lack huge pages or guard pages
                mem.map(command)
                made += 1
        for directory in (disk_directory, tmpfs_directory):
            file = directory / "file"
            if not file.exists():
                file.write_bytes(os.urandom(211 * PAGE))
            for how in ("shared write", "shared read", "private read", "private none"):
                where = mem.map(f"file {file} 211 {how}")
                made += 1
                if how == "private read":
                    mem.write(where, 7, 31)
    assert made >= 3 * 12
    snapshot = compare(zones)
    assert all(usage.anon_bytes and usage.file_bytes and usage.shmem_bytes for usage in snapshot.zones)


def test_both_sources_agree_on_pages_far_apart(make_zone):
    """Nothing between them, for as many entries of an upper table as are looked at together, and around that."""
    zone = make_zone("a")
    mem = zone.spawn()
    where = mem.map("reserve 1200")
    each = PAGE // 8  # pages of a table, and tables of the one above
    tables = {0, 1, 31, 32, 33, 63, 65, 400, 479, 480, 481, 510, 511, 512, 513, 1100, 64 * each + each - 1}
    gigabytes = {4, 35, 36, 67, 68, 69, 511, 512, 544, 1023, 1024, 1199}
    pages = {table * each + 7 for table in tables} | {(gigabyte << 30) // PAGE for gigabyte in gigabytes}
    pages = {page for page in pages if page < where.pages}
    for page in pages:
        mem.write(where, page, 1)
    (usage,) = compare([zone]).zones
    assert usage.anon_bytes >= len(pages) * PAGE


def test_both_sources_agree_after_fork_and_copy(make_zone):
    zone, other = make_zone("a"), make_zone("b")
    mem = zone.spawn()
    private, huge = mem.map("anon 1009"), mem.map("thp 2")
    child = mem.fork()
    move(child, other.path)
    mem.write(private, 0, 101)
    mem.write(huge, 5, 1)
    mem.unmap(private, 500, 100)
    assert compare([zone, other]).zones


def test_both_sources_agree_on_large_siblings(make_zone):
    """Forked processes are compared with one another: whole tables alike, in part, not at all, and in another zone."""
    zone, other = make_zone("a"), make_zone("b")
    mem = zone.spawn()
    private, shared = mem.map("anon 20011"), mem.map("memfd 20021")
    same, written, holed, *elsewhere = (mem.fork() for _ in range(5))
    for pid in elsewhere:
        move(pid, other.path)
    mem.write(private, 1000, 3011, written)
    mem.unmap(private, 7001, 13, holed)
    mem.unmap(shared, 5003, 9001, holed)
    mem.advise(private, 11000, 17, "dontneed")
    mem.read(private, 11000, 17)  # zero pages
    snapshot = compare([zone, other])
    assert same
    assert {usage.processes for usage in snapshot.zones} == {2, 4}
    assert snapshot.zones[0].rss_bytes // PAGE > 40032 + 3011


def test_tables_that_differ_in_one_entry(make_zone):
    """Each is a table of its own, though all others of its entries are known."""
    zone = make_zone("a")
    mem = zone.spawn()
    where = mem.map("anon 20480")
    before = compare([zone]).zones[0].rss_bytes
    child = mem.fork()
    forked = compare([zone]).zones[0].rss_bytes
    for page in range(5, 20480, 512):
        mem.write(where, page, 1, child)
    assert compare([zone]).zones[0].rss_bytes == forked + 40 * PAGE
    assert forked - before < 1000 * PAGE  # the child's own; its copies of the parent's tables count nothing


def test_more_threads_than_processors(make_zone):
    zones = [make_zone(name) for name in ("a", "b")]
    for zone in zones:
        mem = zone.spawn()
        mem.map("anon 20011")
        for _ in range(12):
            mem.fork()
    with stopped([zone.path for zone in zones]):
        expected = look("pagemap", zones, True)
        for threads in (12, 33, 64, 100):
            found = look("pagetable", zones, True, threads)
            assert (parts_of(found), usages(found), by_pid(found)) == (
                parts_of(expected),
                usages(expected),
                by_pid(expected),
            )


def vmas_offered() -> int:
    """How often the kernel has run the programs that we have loaded: once for each VMA."""
    found = 0
    for name in os.listdir("/proc/self/fdinfo"):
        with suppress(OSError):
            text = Path(f"/proc/self/fdinfo/{name}").read_text()
            if match := re.search(r"^run_cnt:\s+(\d+)$", text, re.MULTILINE):
                found += int(match[1])
    return found


def test_each_mapping_of_a_dead_leader_is_met_once(make_zone, setting):
    """Not once for each of its threads."""
    setting("/proc/sys/kernel/bpf_stats_enabled", 1)
    zone = make_zone("a")
    mem = zone.spawn()
    mem.map("vmas 3000")
    mem.tell("deadleader 100")
    with stopped([zone.path]), Session("pagetable") as session:
        before = vmas_offered()
        (seen,) = session.take(by=("cgroup",), zone=[zone.name], alone=True).zones
        assert vmas_offered() - before < 2 * 3000
    assert seen.rss_bytes >= 3000 * PAGE
    compare([zone])


# ---- which frames are memory -------------------------------------------------------------------------------


def frame_of(pid: int, address: int) -> int:
    with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as pagemap:
        return struct.unpack("=Q", os.pread(pagemap.fileno(), 8, address // PAGE * 8))[0] & (1 << 55) - 1


def without(ram: list[tuple[int, int]], frame: int) -> list[tuple[int, int]]:
    parts = []
    for first, count in ram:
        if first <= frame < first + count:
            parts += [(first, frame - first), (frame + 1, first + count - frame - 1)]
        else:
            parts.append((first, count))
    return [part for part in parts if part[1]]


def test_memory_that_was_added_is_noticed(make_zone, monkeypatch):
    """As if one frame were memory that came after the program was loaded."""
    zone = make_zone("a")
    mem = zone.spawn()
    where = mem.map("anon 1009")
    with stopped([zone.path]):
        (expected,) = usages(look("pagemap", [zone], False))
        ram = pagetable.read_ram()
        short = without(ram, frame_of(mem.pid, where.start + 500 * PAGE))
        answers = [short, ram]
        monkeypatch.setattr(pagetable, "read_ram", lambda roots: answers.pop(0))
        snapshot = look("pagetable", [zone], False)
    assert not answers
    assert usages(snapshot) == [expected]
    assert not gaps_of(snapshot, [mem.pid])


def test_what_is_outside_of_memory_is_said(make_zone, monkeypatch):
    zone = make_zone("a")
    mem = zone.spawn()
    where = mem.map("anon 1009")
    with stopped([zone.path]):
        (expected,) = usages(look("pagemap", [zone], False))
        short = without(pagetable.read_ram(), frame_of(mem.pid, where.start + 500 * PAGE))
        monkeypatch.setattr(pagetable, "read_ram", lambda roots: short)
        snapshot = look("pagetable", [zone], False)
    (found,) = snapshot.zones
    assert found.rss_bytes == expected.rss_bytes - PAGE
    assert gaps_of(snapshot, [mem.pid]) == [Gap(mem.pid, "tables", Cause.OUTSIDE, "1 page table entries")]
    said = f"1 process with pages outside of the memory that /proc/iomem lists (pid {mem.pid})"
    assert said in footer(snapshot)[-1]


def test_a_table_outside_of_memory_is_not_followed(make_zone, monkeypatch):
    """As if nothing were memory but one page of the process: its tables are elsewhere, and so are everybody's."""
    zone = make_zone("a")
    mem = zone.spawn()
    where = mem.map("anon 1009")
    with stopped([zone.path]), Session("pagetable") as session:
        assert session.take(by=("cgroup",), zone=[zone.name], alone=True).zones[0].rss_bytes > 1009 * PAGE
        frame = frame_of(mem.pid, where.start)
        monkeypatch.setattr(pagetable, "read_ram", lambda roots: [(frame, 1)])
        assert session._sources._pagetable._ram_has_changed()
        snapshot = session.take(by=("cgroup",), zone=[zone.name], alone=True)
    assert [(gap.step, gap.cause) for gap in gaps_of(snapshot, [mem.pid])] == [("tables", Cause.OUTSIDE)]
    assert [usage.rss_bytes for usage in snapshot.zones] == [0]


def test_more_ranges_of_memory_than_the_program_takes(make_zone, monkeypatch):
    zone = make_zone("a")
    zone.spawn().map("anon 1009")
    pieces = [
        (first + at, min(count - at, 9973))
        for first, count in pagetable.read_ram()
        for at in range(0, count, 9973)
    ]
    monkeypatch.setattr(pagetable, "read_ram", lambda roots: pieces)
    compare([zone])


def test_both_sources_agree_on_guard_pages_and_swap(make_zone):
    zone = make_zone("a")
    mem = zone.spawn()
    where = mem.map("anon 1009")
    with suppress(MemError):
        mem.advise(where, 0, 17, "guard")
    with suppress(MemError):  # without swap the pages stay
        mem.advise(where, 100, 503, "pageout")
    compare([zone])


def test_both_sources_agree_on_merged_pages(make_zone, setting):
    ksm = Path("/sys/kernel/mm/ksm")
    if not ksm.exists():
        needs.skip("needs_ksm")
    a, b = make_zone("a"), make_zone("b")
    for zone in (a, b):
        zone.spawn().map("same 509 7")
    setting(str(ksm / "pages_to_scan"), 5000)
    setting(str(ksm / "sleep_millisecs"), 5)
    setting(str(ksm / "run"), 1)
    until(lambda: int((ksm / "pages_sharing").read_text()) >= 509, "the pages are merged")
    setting(str(ksm / "run"), 0)
    compare([a, b])


@pytest.fixture
def postgres(cgroups: TestCgroups, make_zone: Callable) -> Iterator[list[Zone]]:
    if not programs():
        needs.skip("needs_postgres")
    zones = [make_zone(name) for name in ("server", "clients")]
    server = Postgres(64, lambda: move(os.getpid(), zones[0].path), lambda: move(os.getpid(), zones[1].path))
    try:
        server.start(10)
        yield zones
    finally:
        server.stop()
        for zone in zones:
            end_processes(zone.path)


def test_both_sources_agree_on_postgres(postgres):
    snapshot = compare(postgres)
    assert snapshot.zones[0].process_rss_bytes > 4 * snapshot.zones[0].rss_bytes


def test_mappings_beyond_number(make_zone):
    """Records and tables of all sizes, in many reads."""
    zone = make_zone("a")
    zone.spawn().map("vmas 10000")
    compare([zone])


# ---- nothing is left -----------------------------------------------------------------------------------


def programs_loaded() -> set[int]:
    """Ids of our program in the kernel, whoever loaded it."""
    listed = subprocess.run([bpftool(), "-j", "prog", "show"], capture_output=True, check=True).stdout
    return {program["id"] for program in json.loads(listed) if program.get("name") == "walk_vma"}


def maps_loaded() -> set[int]:
    listed = subprocess.run([bpftool(), "-j", "map", "show"], capture_output=True, check=True).stdout
    return {found["id"] for found in json.loads(listed) if found.get("name") == "buffers"}


def bpftool() -> str:
    return shutil.which("bpftool") or "/usr/sbin/bpftool"


def pids_with(identity: int) -> set[int]:
    """Who holds a program or map: from /proc/PID/fdinfo."""
    found = set()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()):
        with suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fdinfo"):
                with suppress(OSError):
                    text = Path(f"/proc/{pid}/fdinfo/{name}").read_text()
                    if re.search(rf"^(prog|map)_id:\s*{identity}$", text, re.MULTILINE):
                        found.add(pid)
    return found


def test_closing_unloads_all():
    with PageTableSource() as source:
        own = {i for i in programs_loaded() | maps_loaded() if os.getpid() in pids_with(i)}
        assert own
        source.close()
    until(lambda: not own & (programs_loaded() | maps_loaded()), "the kernel has freed program and maps")


def test_who_is_left_behind_keeps_nobody_from_walking(tmp_path):
    """Its buffer stays its own until its thread ends, which is when the program goes, too."""
    before, files = threads(), descriptors()
    proc = FakeProc(tmp_path)
    children = [subprocess.Popen(["sleep", "inf"]) for _ in range(2)]
    try:
        for child in children:
            proc.process(child.pid, Path(f"/proc/{child.pid}/stat").read_bytes())
        listed = read_tasks(proc.roots, V2, among=[child.pid for child in children])
        with PageTableSource(workers=1) as source:
            blocked = proc.block(f"{listed.tasks[0].pid}/task/{listed.tasks[0].pid}/cgroup")
            with walking(source.begin, listed, proc.host()) as walk:
                until(blocked.is_read, "the walk of one process reads its cgroup")
                assert walk.leave(0)
                until(walk.wait, "another thread does the other job")
                (gap, pages), (other_gap, other_pages) = walk.told(0), walk.told(1)
                assert gap == (lib.STEP_CGROUP, lib.WALK_LEFT)
                assert other_gap == (lib.STEP_NONE, 0)
                assert min(pages, other_pages) > 0
            with walking(
                source.begin, read_tasks(proc.roots, V2, among=[children[1].pid]), proc.host()
            ) as walk:
                until(walk.wait, "a walk meanwhile")
                assert walk.told(0) == (other_gap, other_pages)
        assert descriptors() > files
        blocked.let_go()
        until(lambda: threads() <= before, "the thread has ended")
        until(lambda: descriptors() <= files, "the program is unloaded")
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_repeated_loading_leaks_no_files_and_no_memory():
    def held() -> tuple[int, int]:
        with open("/proc/self/maps") as maps:
            return len(os.listdir("/proc/self/fd")), sum(1 for _ in maps)

    PageTableSource().close()
    files, mappings = held()
    for _ in range(30):
        PageTableSource().close()
    after = held()
    assert after[0] == files
    assert after[1] <= mappings + 3


@pytest.mark.parametrize("delay_ms", [1, 7, 40, 150])
def test_killed_in_mid_walk_leaves_nothing(delay_ms):
    process = subprocess.Popen(
        [sys.executable, "-c", WALK_FOR_EVER], cwd=PROJECT, stdout=subprocess.PIPE, env=own_environment()
    )
    assert process.stdout.readline() == b"ready\n"
    time.sleep(delay_ms / 1000)
    # Loaded at its first snapshot.
    until(lambda: any(process.pid in pids_with(i) for i in programs_loaded()), "the program is loaded")
    own = {i for i in programs_loaded() | maps_loaded() if process.pid in pids_with(i)}
    assert own
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    until(lambda: not own & (programs_loaded() | maps_loaded()), "the kernel has freed program and maps")
    bpffs = Path("/sys/fs/bpf")
    assert not [path for path in bpffs.glob("*zonerss*")] if bpffs.exists() else True


def own_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT)}


# ---- where it cannot be read ------------------------------------------------------------------------------


def check_json(*prefix: str, before_exec: Callable[[], None] | None = None) -> dict[str, dict]:
    result = subprocess.run(
        [*prefix, sys.executable, "-m", "zonerss", "check", "--json"],
        cwd=PROJECT,
        env=own_environment(),
        capture_output=True,
        text=True,
        preexec_fn=before_exec,
        check=False,
    )
    assert result.stderr == ""
    return {part["part"]: part for part in json.loads(result.stdout)["parts"]}


def show_json(*prefix: str, before_exec: Callable[[], None] | None = None) -> dict:
    result = subprocess.run(
        [*prefix, sys.executable, "-m", "zonerss", "--json"],
        cwd=PROJECT,
        env=own_environment(),
        capture_output=True,
        text=True,
        preexec_fn=before_exec,
        check=True,
    )
    return json.loads(result.stdout)


def forbid_bpf() -> None:
    """As a container's seccomp profile does: bpf() returns EPERM."""
    bpf_number, load_number, jump_equal, give = 321, 0x20, 0x15, 0x06
    steps = [
        (load_number, 0, 0, 0),
        (jump_equal, 0, 1, bpf_number),
        (give, 0, 0, 0x00050000 | EPERM),
        (give, 0, 0, 0x7FFF0000),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, ctypes.create_string_buffer(program)):
        raise OSError(ctypes.get_errno(), "seccomp")


def test_check_says_yes_here():
    found = check_json()
    assert found["pagetable"]["serves"]
    assert found["pagetable"]["why_not"] is None
    assert found["pagemap"]["serves"]


def test_bpf_refused_by_seccomp():
    found = check_json(before_exec=forbid_bpf)
    assert found["pagemap"]["serves"]
    assert not found["pagetable"]["serves"]
    assert "refuses bpf()" in found["pagetable"]["why_not"]
    snapshot = show_json(before_exec=forbid_bpf)
    assert snapshot["source"] == "pagemap"
    assert snapshot["total"]["rss_bytes"] > 0


def test_without_capabilities_for_bpf():
    """CAP_SYS_ADMIN, which frame numbers take anyway, implies both; without any, nothing serves."""
    dropping = "-bpf,-perfmon"
    found = check_json("setpriv", f"--bounding-set={dropping}", f"--inh-caps={dropping}")
    assert found["pagetable"]["serves"]
    dropping = "-bpf,-perfmon,-sys_admin"
    found = check_json("setpriv", f"--bounding-set={dropping}", f"--inh-caps={dropping}")
    assert not found["pagetable"]["serves"]
    assert not found["pagemap"]["serves"]
    assert "CAP_SYS_ADMIN" in found["pagemap"]["why_not"]


def test_without_the_btf_file():
    """The kernel itself looks up its structs (docs/pagetable.md): the file in /sys is not needed."""
    hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
    found = check_json(*hidden)
    facts = {fact["name"]: fact["holds"] for fact in found["pagetable"]["facts"]}
    assert facts["btf"] is False
    assert found["pagetable"]["serves"]


def test_where_no_thread_is_left_for_page_tables_auto_walks_by_pagemap(
    monkeypatch: pytest.MonkeyPatch, mem
) -> None:
    """All wait for processes that are stuck: the others count all the same."""
    mem.map("anon 5003")
    with Session("auto") as session:
        if session.take().source != "pagetable":
            needs.skip("needs_pagetable", "auto has chosen another source")
        monkeypatch.setattr(PageTableSource, "begin", lambda *_: -errno.EAGAIN)
        snapshot = session.take(processes=True)
        assert snapshot.source == "pagemap"
        (own,) = (process for process in snapshot.processes if process.pid == mem.pid)
        assert own.anon_bytes >= 5003 * PAGE
    with Session("pagetable") as session, pytest.raises(CannotServe, match="no thread can be started"):
        session.take()
