"""What would come back if zones ended: foretold, then done, then measured."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import zonerss
from tests.live.cgroups import TestCgroups, pids_in, stopped
from tests.live.measure import Zone
from tests.live.test_files import spawn_in_new_ipc_namespace
from tests.oracle import PAGE
from zonerss.answers.whatif import WhatIf
from zonerss.commands.whatif import measure

pytestmark = pytest.mark.same_in_container

MIB = 1 << 20


@pytest.fixture
def without(make_zone: Callable, source: str) -> Callable[..., WhatIf]:
    """without(zone, ...) is what would come back of these, with the processes of all zones of the test stopped."""

    def take(*zones: Zone) -> WhatIf:
        with stopped([zone.path for zone in make_zone.zones]), zonerss.Session(source) as session:
            return measure(session, "cgroup", [zone.name for zone in zones])[1]

    return take


def make_file(path: Path, pages: int) -> Path:
    with path.open("wb") as file:
        for page in range(pages):
            file.write(page.to_bytes(8, "big") * (PAGE // 8))
        file.flush()
        os.fsync(file.fileno())
    return path


def grown(before: WhatIf, after: WhatIf) -> dict[str, int]:
    """By how many pages each sum grew; what did not is left out."""
    names = ("freed", "reclaimable", "stays", "kept", "swap", "hugetlb")
    both = {name: [getattr(answer, f"{name}_bytes") for answer in (before, after)] for name in names}
    return {name: (new - old) // PAGE for name, (old, new) in both.items() if new != old}


# ---- each sort of memory -------------------------------------------------------------------------------


def test_private_memory_is_freed(make_zone, without):
    zone = make_zone("a")
    mem = zone.spawn()
    before = without(zone)
    mem.map("anon 1009")
    assert grown(before, without(zone)) == {"freed": 1009}


def test_a_file_is_reclaimable_and_a_deleted_one_freed(make_zone, without, disk_directory):
    file = make_file(disk_directory / "file", 1013)
    zone = make_zone("a")
    mem = zone.spawn()
    before = without(zone)
    mem.map(f"file {file} 1013 shared read")
    assert grown(before, without(zone)) == {"reclaimable": 1013}
    file.unlink()
    assert grown(before, without(zone)) == {"freed": 1013}


def test_a_tmpfs_file_stays_and_a_deleted_one_is_freed(make_zone, without, tmpfs_directory):
    file = make_file(tmpfs_directory / "file", 1019)
    zone = make_zone("a")
    mem = zone.spawn()
    before = without(zone)
    mem.map(f"file {file} 1019 shared read")
    assert grown(before, without(zone)) == {"stays": 1019}
    file.unlink()
    assert grown(before, without(zone)) == {"freed": 1019}


@pytest.mark.parametrize("command", ["memfd 1021", "sharedanon 1021"])
def test_memory_without_a_name_is_freed(make_zone, without, command):
    zone = make_zone("a")
    mem = zone.spawn()
    before = without(zone)
    mem.map(command)
    assert grown(before, without(zone)) == {"freed": 1021}


def test_a_segment_stays_until_it_is_removed(make_zone, without):
    libc = ctypes.CDLL(None, use_errno=True)
    zone = make_zone("a")
    mem = zone.spawn()
    before = without(zone)
    # mem removes its segment at once, so that nothing is left of a test; this one is ours.
    segment = libc.shmget(0, ctypes.c_size_t(1031 * PAGE), 0o600 | 0o1000)
    assert segment >= 0
    try:
        mem.map(f"shmat {segment} 1031")
        assert grown(before, without(zone)) == {"stays": 1031}
    finally:
        libc.shmctl(segment, 0, None)
    assert grown(before, without(zone)) == {"freed": 1031}


def test_a_segment_goes_with_its_namespace(make_zone, without):
    zone, other = make_zone("a"), make_zone("b")
    mem = spawn_in_new_ipc_namespace(zone)
    other.spawn()
    before = without(zone)
    mem.map("shm 1033")
    assert grown(before, without(zone)) == {"freed": 1033}


def test_what_others_map_is_kept_and_they_are_named(make_zone, without, disk_directory):
    file = make_file(disk_directory / "file", 1039)
    a, b, c = make_zone("a"), make_zone("b"), make_zone("c")
    mem = a.spawn()
    for zone in (b, c):
        zone.spawn()
    before = without(a)
    mem.map(f"file {file} 1039 shared read")
    b.mems[0].map(f"file {file} 1039 shared read")
    c.mems[0].map(f"file {file} 39 shared read")
    after = without(a)
    assert grown(before, after) == {"kept": 1039}
    old, new = dict(before.kept_by), dict(after.kept_by)
    assert (new[b.name] - old[b.name], new[c.name] - old[c.name]) == (1039 * PAGE, 39 * PAGE)
    assert without(a, b, c).reclaimable_bytes >= 1039 * PAGE


def test_together_they_free_what_each_keeps(make_zone, without):
    a, b = make_zone("a"), make_zone("b")
    memory = a.spawn().map("memfd 1049")
    b.spawn().map(f"file {memory.path} 1049 shared read")
    alone, together = without(a), without(a, b)
    assert alone.kept_bytes >= 1049 * PAGE
    assert together.freed_bytes >= alone.freed_bytes + without(b).freed_bytes + 1049 * PAGE


# ---- identities ----------------------------------------------------------------------------------------


def test_without_all_zones_nothing_is_kept_and_the_sum_is_the_total(make_zone, source):
    make_zone("a").spawn().map("memfd 11")
    with zonerss.Session(source) as session:
        everyone = [usage.zone for usage in session.take("cgroup").zones]
        while True:
            try:
                snapshot, answer, _ = measure(session, "cgroup", everyone)
                break
            except zonerss.ZonerssError:  # one of them has gone meanwhile
                everyone = [usage.zone for usage in session.take("cgroup").zones]
    if {usage.zone for usage in snapshot.zones} == set(everyone):
        assert answer.rss_bytes == snapshot.total.rss_bytes
    assert answer.freed_bytes + answer.reclaimable_bytes + answer.stays_bytes == (
        answer.rss_bytes - answer.kept_bytes
    )


def test_as_json(make_zone):
    zone = make_zone("a")
    zone.spawn().map("anon 1051")
    words = ("whatif", "--by", "cgroup", "--without", zone.name, "--json")
    text = subprocess.run([sys.executable, "-m", "zonerss", *words], check=True, capture_output=True).stdout
    document = json.loads(text)
    assert document["schema"] == "zonerss.whatif/1"
    assert document["without"] == [zone.name]
    assert document["freed_bytes"] >= 1051 * PAGE
    parts = ("freed_bytes", "reclaimable_bytes", "stays_bytes", "kept_bytes")
    assert sum(document[part] for part in parts) == document["rss_bytes"]
    assert all(row["zone"] != zone.name for row in document["kept_by"])


# ---- against the truth ---------------------------------------------------------------------------------


def charged(zone: Zone) -> int:
    """What the kernel bills a zone, in bytes."""
    names = ("memory.current", "memory.usage_in_bytes")
    return int(next(path for name in names if (path := zone.path / name).exists()).read_text())


def cached(zone: Zone) -> int:
    """How much of it is page cache, tmpfs included; the bill has what the file system needs besides for each page."""
    stat = dict(line.split() for line in (zone.path / "memory.stat").read_text().splitlines())
    return int(stat["cache" if "cache" in stat else "file"])


def end(zone: Zone) -> None:
    zone.end()
    while pids_in(zone.path):
        time.sleep(0.001)


def sync(file: Path) -> None:
    fd = os.open(file, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def drop_cache(file: Path) -> None:
    fd = os.open(file, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


@pytest.mark.slow
def test_what_was_foretold_of_500_mb_comes_true(
    make_zone, cgroups: TestCgroups, source, disk_directory, tmpfs_directory
):
    """200 MB of anon, 200 MB of a file and 100 MB of tmpfs: each within 2 % of what then goes from the kernel's bills.

    Another zone wrote the files and pays for them. Nobody else's memory is in either bill, whatever the machine does.
    """
    doomed, writer = make_zone("doomed"), make_zone("writer")
    on_disk, on_tmpfs = disk_directory / "file", tmpfs_directory / "file"
    author = writer.spawn()
    for file, size in ((on_disk, 200 * MIB), (on_tmpfs, 100 * MIB)):
        file.touch()
        os.truncate(file, size)
        author.map(f"file {file} {size // PAGE} shared write")
    sync(on_disk)
    end(writer)
    mem = doomed.spawn()
    mem.map(f"anon {200 * MIB // PAGE}")
    mem.map(f"file {on_disk} {200 * MIB // PAGE} shared read")
    mem.map(f"file {on_tmpfs} {100 * MIB // PAGE} shared read")
    with zonerss.Session(source) as session:
        foretold = measure(session, "cgroup", [doomed.name])[1]
    assert foretold.freed_bytes >= 200 * MIB
    assert foretold.reclaimable_bytes >= 200 * MIB
    assert foretold.stays_bytes >= 100 * MIB

    before = charged(doomed), cached(writer)
    end(doomed)
    ended = charged(doomed), cached(writer)
    drop_cache(on_disk)
    dropped = cached(writer)
    on_tmpfs.unlink()
    nothing_left = cached(writer)
    assert before[0] - ended[0] == pytest.approx(foretold.freed_bytes, rel=0.02)
    assert before[1] == pytest.approx(ended[1], rel=0.02)  # files outlive who mapped them
    assert ended[1] - dropped == pytest.approx(foretold.reclaimable_bytes, rel=0.02)
    assert dropped - nothing_left == pytest.approx(foretold.stays_bytes, rel=0.02)
