"""How often pages are mapped: the kernel's count of each, and the mappings that were met, are the same.

Processes are stopped. Of each frame that nobody else maps, the oracle counts the page table entries of all of them.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import pids_in, stopped
from tests.live.measure import LOOKS, Zone, read_zones
from tests.oracle import PAGE, RSS_KINDS, Kernel
from tests.workloads.mem import HUGE, Range
from zonerss.answers.mapcounts import with_mapcounts, zones_mapcounts
from zonerss.kernel.roots import HOST
from zonerss.plain import dataclass
from zonerss.records import MAPCOUNT_CLASSES, Mapcounts
from zonerss.records.mappings import MAPCOUNT_UNKNOWN, VmaPages
from zonerss.walk import mapcounts
from zonerss.walk.mapcounts import counts_each_page

pytestmark = pytest.mark.same_in_container

FEW = 20
"""Pages that processes of others map, too: the vdso."""


@pytest.fixture
def each_page() -> None:
    if not counts_each_page(HOST):
        needs.skip("needs_page_mapcount")


def class_of(count: int) -> int:
    return next(number for number, (_, most) in enumerate(MAPCOUNT_CLASSES) if most is None or count <= most)


def in_classes(frames: Iterable[int], times: Mapping[int, int]) -> Mapcounts:
    """What it is to have mapped these frames, so often as `times` says of each."""
    classes = Counter(class_of(times[frame]) for frame in set(frames))
    return Mapcounts(tuple(classes[number] * PAGE for number in range(len(MAPCOUNT_CLASSES))), 0)


Told = dict[int | str, Mapcounts]
"""Of processes by pid, and of zones by name."""


@dataclass(frozen=True)
class Expected:
    """What is to be told of the processes of some zones, and of these zones."""

    own: Told
    """Of frames that nobody else maps, by the page table entries that there are."""
    common: dict[int | str, int]
    """How many frames others map, too: those of the vdso. How often changes as they come and go."""


def expected(zones: Iterable[Zone]) -> Expected:
    zones = list(zones)
    truth, kernel = read_zones(zones), Kernel()
    frames: dict[int | str, set[int]] = {
        pid: {page.number for page in pages if page.kind in RSS_KINDS} for pid, pages in truth.pages.items()
    }
    frames |= {zone.name: set().union(*(frames[pid] for pid in pids_in(zone.path))) for zone in zones}
    own = {
        frame
        for mapped in frames.values()
        for frame in mapped
        if kernel.times_mapped(frame) == truth.mapped_times[frame]
    }
    kernel.close()
    return Expected(
        {key: in_classes(mapped & own, truth.mapped_times) for key, mapped in frames.items()},
        {key: len(mapped - own) for key, mapped in frames.items()},
    )


def compared(zones: list[Zone], source: str) -> Expected:
    """Each figure of each process and each zone is the oracle's, but for where common frames are; returns these."""
    with stopped([zone.path for zone in zones]):
        for _ in range(LOOKS):
            before = expected(zones)
            with zonerss.Session(source) as session:
                by_process = session.take(("cgroup",), processes=True)
                counted = by_process.ask().mapcounts()
                of_processes = with_mapcounts(by_process.processes, counted, by_process.members)
                del by_process
                by_zone = session.take(("cgroup",))
                of_zones = zones_mapcounts(by_zone.ask().mapcounts(), by_zone.members)
            after = expected(zones)
            if before == after:
                break
        else:
            needs.skip("needs_quiet", "the kernel moves pages of stopped processes about without end")
    found: Told = {process.pid: process.mapcounts for process in of_processes if process.pid in after.own}
    found |= {zone.name: of_zones[zone.name] for zone in zones}
    assert found.keys() == after.own.keys()
    for key, told in found.items():
        assert after.common[key] < FEW
        assert told.unknown_bytes == 0
        others = grown(after.own[key], told)
        assert min(others.values(), default=0) >= 0
        assert sum(others.values()) == after.common[key]
    return after


def grown(before: Mapcounts, after: Mapcounts) -> dict[int, int]:
    """Pages that each class gained, by the least count of the class; what did not change is left out."""
    gained = [
        (later - earlier) // PAGE
        for earlier, later in zip(before.classes_bytes, after.classes_bytes, strict=True)
    ]
    return {least: pages for (least, _), pages in zip(MAPCOUNT_CLASSES, gained, strict=True) if pages}


SO_MANY_TIMES = {
    1: {1: 211},
    2: {2: 223},
    3: {3: 227, 9: 229},
    10: {10: 233, 99: 239},
    100: {100: 241, 101: 251},
}
"""By the least count of a class: how many pages are mapped how many times."""


@pytest.mark.usefixtures("each_page")
def test_pages_that_are_mapped_so_many_times(make_zone, source):
    """One of two processes in two zones maps them all those times but one: mappings count, not processes."""
    first, second = make_zone("first"), make_zone("second")
    a, b = first.spawn(), second.spawn()
    before = compared([first, second], source)
    for times, pages in (one for mapped in SO_MANY_TIMES.values() for one in mapped.items()):
        memory = a.map(f"memfd {pages}")
        for _ in range(times - 2):
            a.map(f"file {memory.path} {pages} shared read")
        if times > 1:
            b.map(f"file {memory.path} {pages} shared read")
    after = compared([first, second], source)
    gained = {least: sum(mapped.values()) for least, mapped in SO_MANY_TIMES.items()}
    others = {least: pages for least, pages in gained.items() if least > 1}
    for key, pages in {a.pid: gained, first.name: gained, b.pid: others, second.name: others}.items():
        assert grown(before.own[key], after.own[key]) == pages


@pytest.mark.usefixtures("each_page")
def test_pages_of_every_sort(make_zone, source, disk_directory):
    """Private, copied on write, of a file, twice in one process, forked, given back."""
    zone, other = make_zone("zone"), make_zone("other")
    mem, neighbour = zone.spawn(), other.spawn()
    file = disk_directory / "file"
    file.write_bytes(bytes(71 * PAGE))
    for command in ("anon 1009", "zero 211", "protnone 31", "mlock 29", "shm 59", "twice 47"):
        mem.map(command)
    where = mem.map("anon 101")
    child = mem.fork()
    mem.write(where, 0, 13, pid=child)
    for process in (mem, neighbour):
        process.map(f"file {file} 71 shared read")
    mem.unmap(where, 50, 7)
    found = compared([zone, other], source)
    assert sum(found.own[zone.name].classes_bytes) > 1400 * PAGE
    assert all(found.own[mem.pid].classes_bytes[:2])


@pytest.mark.usefixtures("each_page")
def test_parts_of_huge_pages(make_zone, source):
    """Each page of a huge page has a count of its own, though parts of it were given back."""
    zone = make_zone("zone")
    mem = zone.spawn()
    where = huge(mem)
    mem.advise(where, 0, 2 * HUGE, "nohugepage")  # khugepaged would fill the holes again
    child = mem.fork()
    mem.unmap(where, 100, 31)
    mem.advise(where, HUGE, 37, "dontneed")
    found = compared([zone], source)
    both = 2 * HUGE - 31 - 37
    assert found.own[child].classes_bytes[1] >= both * PAGE
    assert found.own[child].classes_bytes[0] >= (31 + 37) * PAGE


def huge(mem):
    """Two huge pages."""
    where = mem.map("thp 2")
    if (
        f"AnonHugePages:  {2 * HUGE * PAGE // 1024:8} kB"
        not in Path(f"/proc/{mem.pid}/smaps_rollup").read_text()
    ):
        needs.skip("needs_thp")
    return where


def test_averages_are_unknown(make_zone, source, monkeypatch):
    """What a kernel with averages would be asked: pages of huge pages are unknown, small ones are not."""
    monkeypatch.setattr(mapcounts, "counts_each_page", lambda roots: False)
    monkeypatch.setattr("zonerss.walk.frames.counts_each_page", lambda roots: False)
    zone = make_zone("zone")
    mem = zone.spawn()

    def look() -> Mapcounts:
        with stopped([zone.path]):
            snapshot = zonerss.take_snapshot(("cgroup",), source=source)
            found = zones_mapcounts(snapshot.ask().mapcounts(), snapshot.members)[zone.name]
        (usage,) = (usage for usage in snapshot.zones if usage.zone == zone.name)
        assert sum(found.classes_bytes) + found.unknown_bytes == usage.rss_bytes
        return found

    before = look()
    where, small = huge(mem), mem.map("anon 1009")
    after = look()
    assert after.unknown_bytes - before.unknown_bytes == 2 * HUGE * PAGE
    assert grown(before, after) == {1: 1009}
    counts = {
        place: [
            count for pages in zonerss.frames(mem.pid) if is_in(place, pages) for count in counts_of(pages)
        ]
        for place in (where, small)
    }
    assert counts[where] == [MAPCOUNT_UNKNOWN] * 2 * HUGE
    assert counts[small] == [1] * 1009


def is_in(place: Range, pages: VmaPages) -> bool:
    return place.start <= pages.vma.start < place.end


def counts_of(pages: VmaPages) -> list[int]:
    return pages.buffer.cast("Q")[2::4].tolist()


def test_it_is_found_out_what_this_kernel_counts():
    """By trying; its configuration says the same, where it can be read."""
    for path in (Path("/proc/config.gz"), Path(f"/boot/config-{kernel_release()}")):
        if path.exists():
            text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            break
    else:
        needs.skip("needs_kernel_config")
    assert counts_each_page(HOST) == (b"CONFIG_NO_PAGE_MAPCOUNT=y" not in text)


def kernel_release() -> str:
    return Path("/proc/sys/kernel/osrelease").read_text().strip()


@pytest.mark.parametrize(
    ("verb", "options", "rows"), [("ps", ["--mapcounts", "--zone"], "processes"), ("zone", [], "zones")]
)
def test_the_commands(make_zone, source, verb, options, rows):
    zone = make_zone("zone")
    mem = zone.spawn()
    mem.map("anon 1013")
    with stopped([zone.path]):
        command = [sys.executable, "-m", "zonerss", verb, *options, zone.name, "--by", "cgroup"]
        command += ["--source", source, "--json"]
        out = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    (row,) = json.loads(out)[rows]
    frames = row["anon_bytes"] + row["file_bytes"] + row["shmem_bytes"]
    told = sum(part["bytes"] for part in row["mapcounts"])
    assert told + row["mapcount_unknown_bytes"] == frames
    assert row["mapcounts"][0]["bytes"] >= 1013 * PAGE
