"""Work of known sizes in zones of our own: exact to the page.

Every measure() stops the processes, takes a snapshot and compares each figure of each zone with
the oracle. The assertions below then say by how many pages a command changed them. Sizes are
primes, so that no two can be mixed up. All of it is done with every source of frames.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest

import zonerss
from tests.live import needs
from tests.live.measure import grown, private, shared
from tests.oracle import PAGE, Kernel, pages_of
from tests.workloads.mem import HUGE, MemError

# ---- anonymous memory --------------------------------------------------------------------------------


def test_private_anonymous_pages(zone, mem, measure):
    before = measure()
    mem.map("anon 23")
    assert grown(before, measure(), zone) == private(23)


def test_only_touched_pages_count(zone, mem, measure):
    before = measure()
    where = mem.map("anon 101")
    mem.unmap(where, 3, 7)
    mem.advise(where, 11, 13, "dontneed")
    mem.map("reserve 3")
    assert grown(before, measure(), zone) == private(101 - 7 - 13)


def test_locked_pages(zone, mem, measure):
    before = measure()
    mem.map("mlock 29")
    assert grown(before, measure(), zone) == private(29)


def test_pages_that_may_not_be_touched_any_more_are_still_there(zone, mem, measure):
    before = measure()
    mem.map("protnone 31")
    assert grown(before, measure(), zone) == private(31)


def test_the_zero_page_is_nobodys_memory(zone, mem, measure):
    before = measure()
    where = mem.map("zero 67")
    assert grown(before, measure(), zone) == {}
    mem.write(where, 5, 3)
    assert grown(before, measure(), zone) == private(3)


def test_fork_shares_until_written(make_zone, measure):
    zone = make_zone("a")
    mem = zone.spawn()
    alone = measure()
    mem.fork()
    once = measure()
    base = grown(alone, once, zone)  # what a child has of its own: its stack and data

    where = mem.map("anon 23")
    before = measure()
    child = mem.fork()
    forked = measure()
    assert grown(before, forked, zone) == {**base, "process_rss": base["process_rss"] + 23}

    mem.write(where, 2, 11, pid=child)
    assert grown(forked, measure(), zone) == private(11, mapped=0)


def test_fork_into_another_zone_shares_until_written(make_zone, measure):
    parent_zone, child_zone = make_zone("a"), make_zone("b")
    mem = parent_zone.spawn()
    child_zone.spawn()
    # One child there already: a few pages of mem's own data, which it cannot write, are common from now on.
    child_zone.add(mem.fork())
    where = mem.map("anon 23")
    child = mem.fork()
    mem.write(where, 2, 11, pid=child)
    before = measure()
    child_zone.add(child)
    after = measure()
    # Of the 23 pages, 12 are common now; the child's own 11 went with it.
    assert grown(before, after, parent_zone)["shared"] == 23 - 11
    assert grown(before, after, child_zone)["shared"] == 23 - 11
    assert grown(before, after, parent_zone)["processes"] == -1
    assert (
        grown(before, after, child_zone)["exclusive"] == -grown(before, after, parent_zone)["exclusive"] - 12
    )


def test_a_process_that_moves_takes_its_memory_along(make_zone, measure):
    old, new = make_zone("a"), make_zone("b")
    old.spawn()
    mover = old.spawn()
    new.spawn()
    mover.map("anon 37")
    before = measure()
    new.add(mover.pid)
    after = measure()
    assert after.of(old).rss == before.of(old).rss - after.of(new).rss + before.of(new).rss
    assert grown(before, after, new)["rss"] >= 37
    assert grown(before, after, new)["exclusive"] == -grown(before, after, old)["exclusive"]


# ---- shared memory -------------------------------------------------------------------------------------


def test_memfd_of_two_zones_is_charged_to_both(make_zone, measure):
    a, b = make_zone("a"), make_zone("b")
    first, second = a.spawn(), b.spawn()
    before = measure()
    memory = first.map("memfd 41")
    assert grown(before, measure(), a) == private(41, "shmem")
    second.map(f"file {memory.path} 41 shared read")
    after = measure()
    assert grown(before, after, a) == grown(before, after, b) == shared(41, "shmem", zones=2)


def test_a_page_counts_once_in_a_zone_however_many_processes_map_it(make_zone, measure):
    zone = make_zone("a")
    mems = [zone.spawn() for _ in range(5)]
    before = measure()
    memory = mems[0].map("memfd 43")
    for mem in mems[1:]:
        mem.map(f"file {memory.path} 43 shared read")
    assert grown(before, measure(), zone) == private(43, "shmem", mapped=5 * 43)


def test_two_mappings_of_one_frame_in_one_process(zone, mem, measure):
    before = measure()
    mem.map("twice 47")
    assert grown(before, measure(), zone) == private(47, "shmem", mapped=2 * 47)


def test_what_ends_with_a_neighbour(make_zone, measure):
    """Sums of proportional set sizes change when a neighbour exits; what a zone maps does not."""
    a, b = make_zone("a"), make_zone("b")
    first, second = a.spawn(), b.spawn()
    memory = first.map("memfd 53")
    second.map(f"file {memory.path} 53 shared read")
    before = measure()
    first.end()
    change = grown(before, measure(), b)
    assert "rss" not in change
    assert change["exclusive"] >= 53
    assert change["exclusive"] == -change["shared"]


def test_system_v_segment(make_zone, measure):
    a, b = make_zone("a"), make_zone("b")
    first, second = a.spawn(), b.spawn()
    before = measure()
    memory = first.map("shm 59")
    second.map(f"shmat {memory.id} 59")
    after = measure()
    assert grown(before, after, a) == grown(before, after, b) == shared(59, "shmem", zones=2)


def test_shared_anonymous_pages_across_a_fork(zone, mem, measure):
    child = mem.fork()
    before = measure()
    mem.map("sharedanon 61")
    assert grown(before, measure(), zone) == private(61, "shmem")
    assert child


# ---- files -------------------------------------------------------------------------------------------


def make_file(path: Path, pages: int) -> Path:
    path.write_bytes(b"".join(page.to_bytes(8, "big") * (PAGE // 8) for page in range(pages)))
    return path


def test_one_file_mapped_by_three_zones(make_zone, measure, disk_directory):
    file = make_file(disk_directory / "file", 71)
    zones = [make_zone(name) for name in "abc"]
    mems = [zone.spawn() for zone in zones]
    before = measure()
    for mem, sharing in zip(mems, ("shared", "private", "shared"), strict=True):
        mem.map(f"file {file} 71 {sharing} read")
    after = measure()
    for zone in zones:
        assert grown(before, after, zone) == shared(71, "file", zones=3)


def test_a_file_mapped_privately_and_partly_written(make_zone, measure, disk_directory):
    file = make_file(disk_directory / "file", 73)
    a, b = make_zone("a"), make_zone("b")
    reader, writer = a.spawn(), b.spawn()
    before = measure()
    reader.map(f"file {file} 73 private read")
    where = writer.map(f"file {file} 73 private read")
    writer.write(where, 10, 17)
    after = measure()
    common = 73 - 17
    assert grown(before, after, a) == {
        "rss": 73,
        "file": 73,
        "exclusive": 17,
        "shared": common,
        "proportional": 17 + Fraction(common, 2),
        "process_rss": 73,
    }
    assert grown(before, after, b) == {
        "rss": 73,
        "file": common,
        "anon": 17,
        "exclusive": 17,
        "shared": common,
        "proportional": 17 + Fraction(common, 2),
        "process_rss": 73,
    }


def test_a_file_mapped_but_not_touched_is_not_mapped_memory(zone, mem, measure, disk_directory):
    file = make_file(disk_directory / "file", 79)
    before = measure()
    mem.map(f"file {file} 79 shared none")
    assert grown(before, measure(), zone) == {}


def test_a_file_written_through_its_mapping(zone, mem, measure, disk_directory):
    file = make_file(disk_directory / "file", 83)
    before = measure()
    mem.map(f"file {file} 83 shared write")
    assert grown(before, measure(), zone) == private(83, "file")


def test_a_deleted_file_is_mapped_all_the_same(zone, mem, measure, disk_directory):
    file = make_file(disk_directory / "file", 89)
    before = measure()
    mem.map(f"file {file} 89 shared read")
    file.unlink()
    assert grown(before, measure(), zone) == private(89, "file")


def test_files_on_tmpfs(make_zone, measure, tmpfs_directory):
    file = make_file(tmpfs_directory / "file", 97)
    a, b = make_zone("a"), make_zone("b")
    first, second, third = a.spawn(), b.spawn(), b.spawn()
    before = measure()
    first.map(f"file {file} 97 shared write")
    second.map(f"file {file} 97 shared read")
    third.map(f"file {file} 97 private read")
    after = measure()
    assert grown(before, after, a) == shared(97, "shmem", zones=2)
    assert grown(before, after, b) == shared(97, "shmem", zones=2, mapped=2 * 97)


# ---- shared address spaces -------------------------------------------------------------------------------


def test_an_address_space_of_two_processes(zone, mem, measure):
    """CLONE_VM: the zone maps no page more, though both processes have all of them."""
    mem.map("anon 103")
    before = measure()
    pid = int(mem.tell("vmclone")["pid"])
    after = measure(shares={pid: mem.pid})
    change = grown(before, after, zone)
    assert change.pop("processes") == 1
    assert change.pop("process_rss") == before.of(zone).process_rss + change.get("rss", 0)
    # The new process runs on a stack that was touched before, so nothing was added.
    assert change == {}


def test_an_address_space_of_two_zones(make_zone, measure):
    a, b = make_zone("a"), make_zone("b")
    mem, other = a.spawn(), b.spawn()
    mem.map("anon 107")
    pid = int(mem.tell("vmclone")["pid"])
    before = measure(shares={pid: mem.pid})
    b.add(pid)
    after = measure(shares={pid: mem.pid})
    assert after.of(a).rss == before.of(a).rss
    assert after.of(b).rss >= before.of(b).rss + 107
    assert grown(before, after, a)["shared"] == -grown(before, after, a)["exclusive"] >= 107
    assert other


def test_vfork(zone, mem, measure):
    """The parent sleeps in the kernel; the child is on its address space."""
    where = mem.map("anon 109")
    before = measure()
    pid = int(mem.tell("vfork")["pid"])
    during = measure(shares={pid: mem.pid})
    assert during.of(zone).rss == before.of(zone).rss
    assert during.of(zone).processes == 2
    assert during.of(zone).process_rss == 2 * before.of(zone).process_rss
    mem.write(where, 0, 109)
    mem.tell("return")
    assert grown(before, measure(), zone) == {}


def test_a_leader_that_ended_with_a_thread_that_lives(zone, mem, measure):
    """/proc/PID/maps of such a process is empty; its memory is all there."""
    mem.map("anon 113")
    before = measure()
    mem.tell("deadleader")
    mem.map("anon 127")
    after = measure()
    # Besides, the thread has a stack.
    assert grown(before, after, zone)["exclusive"] >= 127
    assert after.of(zone).processes == 1


def test_two_leaders_that_ended_have_two_address_spaces(make_zone, measure, source):
    """Neither leader has an address space any more: compared with each other they are the same, kcmp(2) says."""
    zones = make_zone("a"), make_zone("b")
    for zone, pages in zip(zones, (5003, 7001), strict=True):
        mem = zone.spawn()
        mem.tell("deadleader")
        mem.map(f"anon {pages}")
    result = measure()
    assert result.of(zones[0]).anon >= 5003
    assert result.of(zones[1]).anon >= 7001
    snapshot = zonerss.take_snapshot(by=("cgroup",), source=source, processes=True)
    rows = {process.pid: process for process in snapshot.processes}
    for zone, pages in zip(zones, (5003, 7001), strict=True):
        (mem,) = zone.mems
        assert 0 <= rows[mem.pid].anon_bytes // PAGE - pages < 500
        assert rows[mem.pid].size_bytes > pages * PAGE


@pytest.mark.parametrize("verb", ["frames", "explain"])
def test_a_leader_that_ended_is_looked_at_through_its_thread(mem, verb):
    mem.tell("deadleader")
    mem.map("anon 5003")
    arguments = [str(mem.pid)] if verb == "frames" else ["--pid", str(mem.pid)]
    command = [sys.executable, "-m", "zonerss", verb, *arguments, "--json"]
    document = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    if verb == "frames":
        assert sum(row["anon_pages"] for row in document["vmas"]) >= 5003
    else:
        assert document["statm_bytes"] >= 5003 * PAGE
        assert document["translations_bytes"] >= 5003 * PAGE


def test_a_leader_that_ended_with_many_threads_that_live(zone, mem, measure):
    mem.tell("deadleader 5")
    before = measure()
    mem.map("anon 109")
    after = measure()
    assert grown(before, after, zone)["exclusive"] in (109, 110, 111)  # and pages of its stack and of malloc
    assert not [gap for gap in after.snapshot.gaps if gap.pid == mem.pid]


def test_a_zombie_has_no_memory(zone, mem, measure):
    child = mem.fork()
    mem.map("anon 131", pid=child)
    mem.tell(f"to {child} exit")
    while " Z " not in Path(f"/proc/{child}/stat").read_text():
        time.sleep(0.001)
    after = measure()
    assert after.of(zone).processes == 1
    assert not [gap for gap in after.snapshot.gaps if gap.pid == child]


# ---- huge pages ----------------------------------------------------------------------------------------


def map_thp(mem, count: int, how: str = "thp"):
    try:
        return mem.map(f"{how} {count}")
    except MemError as error:
        needs.skip("needs_thp", str(error))


def anon_huge_pages(pid: int) -> int:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (row,) = (row for row in rows if row.startswith("AnonHugePages:"))
    return int(row.split()[1]) * 1024 // PAGE


def require_huge(mem, pages: int) -> None:
    if anon_huge_pages(mem.pid) != pages:
        needs.skip("needs_thp", f"{anon_huge_pages(mem.pid)} of {pages} pages are huge")


def test_transparent_huge_pages(zone, mem, measure):
    before = measure()
    map_thp(mem, 3)
    require_huge(mem, 3 * HUGE)
    assert grown(before, measure(), zone) == private(3 * HUGE)


def test_a_huge_page_split_by_unmapping_part_of_it(zone, mem, measure):
    before = measure()
    where = map_thp(mem, 2)
    require_huge(mem, 2 * HUGE)
    mem.unmap(where, 7, 13)
    assert grown(before, measure(), zone) == private(2 * HUGE - 13)


def test_a_huge_page_that_begins_within_a_mapping(zone, mem, measure):
    """The first page of the first huge page and the last one of the last are given back."""
    before = measure()
    where = map_thp(mem, 3)
    require_huge(mem, 3 * HUGE)
    mem.unmap(where, 0, 1)
    mem.unmap(where, 3 * HUGE - 1, 1)
    assert grown(before, measure(), zone) == private(3 * HUGE - 2)


def test_a_huge_page_shared_by_fork_and_written(zone, mem, measure):
    child = mem.fork()
    del child
    where = map_thp(mem, 1)
    require_huge(mem, HUGE)
    alone = measure()
    child = mem.fork()
    forked = measure()
    assert grown(alone, forked, zone)["process_rss"] >= HUGE
    mem.write(where, 100, 5, pid=child)
    assert grown(forked, measure(), zone) == private(5, mapped=0)


@pytest.fixture
def shmem_thp(setting) -> None:
    path = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
    if not Path(path).exists():
        needs.skip("needs_thp", "not of shared memory")
    setting(path, "advise")


def test_huge_pages_of_shared_memory(make_zone, measure, shmem_thp):
    a, b = make_zone("a"), make_zone("b")
    first, second = a.spawn(), b.spawn()
    before = measure()
    memory = map_thp(first, 2, "shmemthp")
    if (
        f"ShmemPmdMapped: {2 * HUGE * PAGE // 1024:8} kB"
        not in Path(f"/proc/{first.pid}/smaps_rollup").read_text()
    ):
        needs.skip("needs_thp", "memfd was given small pages")
    assert grown(before, measure(), a) == private(2 * HUGE, "shmem")
    # 1000 pages that begin where no huge page begins for this mapping.
    second.map(f"file {memory.path} 1000 shared read")
    first.unmap(memory, 1000, 2 * HUGE - 1000)
    first.read(memory, 0, 1000)  # with a part of it, the kernel unmapped the whole second huge page
    after = measure()
    assert grown(before, after, a) == grown(before, after, b) == shared(1000, "shmem", zones=2)


def test_the_huge_zero_page_is_nobodys_memory(zone, mem, measure):
    if Path("/sys/kernel/mm/transparent_hugepage/use_zero_page").read_text() != "1\n":
        needs.skip("needs_thp", "use_zero_page is off")
    before = measure()
    where = map_thp(mem, 2, "hugezero")
    assert grown(before, measure(), zone) == {}
    mem.write(where, HUGE, 1)
    # Whether the first write to the huge zero page brings a huge or a small page is the kernel's choice.
    assert grown(before, measure(), zone)["rss"] in (1, HUGE)


@pytest.fixture
def huge_pages(setting) -> int:
    path = "/proc/sys/vm/nr_hugepages"
    before = int(Path(path).read_text())
    try:
        setting(path, before + 7)
    except OSError as error:
        needs.skip("needs_hugetlb", str(error))
    if int(Path(path).read_text()) < before + 7:
        needs.skip("needs_hugetlb", "memory is too fragmented")
    return 7


def test_hugetlb_stands_beside_rss(huge_pages, make_zone, measure):
    a, b = make_zone("a"), make_zone("b")
    first, second = a.spawn(), b.spawn()
    before = measure()
    first.map("hugetlb 3")
    assert grown(before, measure(), a) == {"hugetlb": 3 * HUGE}
    memory = first.map("memfd 2 huge")
    second.map(f"file {memory.path} {2 * HUGE} shared write")
    after = measure()
    assert grown(before, after, a) == {"hugetlb": 5 * HUGE}
    assert grown(before, after, b) == {"hugetlb": 2 * HUGE}
    assert huge_pages >= 5


# ---- swap, same pages, guards ----------------------------------------------------------------------------


@pytest.fixture
def swap(only_one):
    """Swap on a zram device, where no swap is in use."""
    device = Path("/sys/block/zram0")
    if len(Path("/proc/swaps").read_text().splitlines()) > 1:
        needs.skip("needs_zram", "swap is in use")
    if not device.exists():
        subprocess.run(["modprobe", "zram"], check=False, capture_output=True)
    if not device.exists() or (device / "disksize").read_text().strip() != "0":
        needs.skip("needs_zram")
    (device / "disksize").write_text(str(256 << 20))
    try:
        subprocess.run(["mkswap", "/dev/zram0"], check=True, capture_output=True)
        subprocess.run(["swapon", "/dev/zram0"], check=True)
        try:
            yield
        finally:
            subprocess.run(["swapoff", "/dev/zram0"], check=True)
    finally:
        (device / "reset").write_text("1")


def page_out(mem, where) -> None:
    """Until all of it is out: what is on its way onto the kernel's lists is passed over at first."""
    kernel = Kernel()
    for _ in range(1000):
        mem.advise(where, 0, where.pages, "pageout")
        if all(page.kind == "swap" for page in pages_of(kernel, mem.pid, where.start, where.end)):
            kernel.close()
            return
        time.sleep(0.01)
    pytest.fail("the kernel does not page out what it is told to")


def test_pages_that_were_swapped_out(zone, mem, measure, swap):
    before = measure()
    where = mem.map("anon 151")
    page_out(mem, where)
    assert grown(before, measure(), zone) == {"swap": 151}
    mem.read(where, 3, 1)
    change = grown(before, measure(), zone)
    # The kernel may read neighbours ahead, but every page is in memory or in swap.
    assert change["rss"] >= 1
    assert change["rss"] + change["swap"] >= 151
    mem.write(where, 0, 151)
    assert grown(before, measure(), zone) == private(151)


def test_a_slot_of_swap_counts_once_in_a_zone(make_zone, measure, swap):
    zone = make_zone("a")
    mem = zone.spawn()
    mem.fork()
    where = mem.map("anon 157")
    page_out(mem, where)
    before = measure()
    mem.fork()
    assert "swap" not in grown(before, measure(), zone)
    assert before.of(zone).swap == 157


def test_guard_pages_are_no_swap(zone, mem, measure):
    """The kernel's marker for them looks like a swapped page in pagemap."""
    where = mem.map("anon 163")
    before = measure()
    try:
        mem.advise(where, 20, 19, "guard")
    except MemError as error:
        needs.skip("needs_guard_pages", str(error))
    assert grown(measure(), before, zone) == private(19)


def test_pages_that_the_kernel_merged(make_zone, measure, setting):
    ksm = Path("/sys/kernel/mm/ksm")
    if not ksm.exists():
        needs.skip("needs_ksm")
    a, b = make_zone("a"), make_zone("b")
    first, second = a.spawn(), b.spawn()
    before = measure()
    seed = time.time_ns()
    where = [mem.map(f"same 167 {seed}") for mem in (first, first, second)]
    assert grown(before, measure(), b) == private(167)
    setting(str(ksm / "pages_to_scan"), 5000)
    setting(str(ksm / "sleep_millisecs"), 5)
    setting(str(ksm / "run"), 1)
    kernel = Kernel()
    for _ in range(3000):
        pages = [pages_of(kernel, place.pid, place.start, place.end) for place in where]
        if len({page.number for page in itertools.chain(*pages)}) == 167:
            break
        time.sleep(0.02)
    else:
        pytest.fail("the kernel does not merge pages that are alike")
    kernel.close()
    after = measure()
    assert grown(before, after, a) == shared(167, "anon", zones=2, mapped=2 * 167)
    assert grown(before, after, b) == shared(167, "anon", zones=2)


# ---- many mappings -----------------------------------------------------------------------------------------


def test_a_process_of_ten_thousand_mappings(zone, mem, measure):
    before = measure()
    mem.map("vmas 10007")
    assert len(Path(f"/proc/{mem.pid}/maps").read_text().splitlines()) > 10007
    assert grown(before, measure(), zone) == private(10007)


def test_a_huge_hole_is_empty(zone, mem, measure):
    before = measure()
    where = mem.map("reserve 64")
    mem.write(where, 5_000_011, 1)
    assert grown(before, measure(), zone)["rss"] in (1, HUGE)
