"""The basis incore, held against an oracle that asks mincore of every page, one by one.

A zone has a page of a file if one of its processes maps it at an address that holds no anon page. It counts if
it is in the page cache, whoever brought it there.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import move, pids_in, stopped
from tests.live.conftest import mounted_image
from tests.live.measure import Zone
from tests.oracle import FILE_OR_SHARED, PAGE, PRESENT, SWAPPED, Kernel, pages_of, read_file
from tests.workloads.mem import Mem

MIB = 2**20 // PAGE
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWIPC = 0x08000000


# ---- the oracle ----------------------------------------------------------------------------------------


def file_pages_of(pid: int) -> Iterator[tuple[tuple[int, int], int, str]]:
    """Each page of a file that a process maps and has not copied: file, page, a path to open the file by."""
    pagemap = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
    try:
        for line in read_file(f"/proc/{pid}/maps").splitlines():
            span, flags, offset, _device, inode, *name = line.split(None, 5)
            system_v = bool(name) and name[0].startswith(b"/SYSV")
            if inode == b"0" and not system_v:
                continue
            start, end = (int(part, 16) for part in span.split(b"-"))
            path = f"/proc/{pid}/map_files/{start:x}-{end:x}"
            found = os.stat(path)
            words = os.pread(pagemap, (end - start) // PAGE * 8, start // PAGE * 8)
            for index in range((end - start) // PAGE):
                word = int.from_bytes(words[index * 8 : index * 8 + 8], "little")
                is_anon = word & (PRESENT | SWAPPED) and not word & FILE_OR_SHARED
                if flags.endswith(b"s") or not is_anon:
                    # The inode of a System V segment is its id, which any other file may have as its inode.
                    file = (found.st_dev, -found.st_ctime_ns if system_v else found.st_ino)
                    yield file, int(offset, 16) // PAGE + index, path
    finally:
        os.close(pagemap)


def is_cached(view: int, page: int) -> bool:
    answer = ctypes.c_ubyte()
    if LIBC.mincore(ctypes.c_void_p(view + page * PAGE), ctypes.c_size_t(PAGE), ctypes.byref(answer)):
        raise OSError(ctypes.get_errno(), "mincore")
    return bool(answer.value & 1)


def cached_pages(path: str, pages: set[int]) -> set[int]:
    """Those of a file's pages that are in the page cache: one mincore for each."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return set()
        with mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view:
            at = ctypes.addressof(ctypes.c_char.from_buffer(view))
            return {page for page in pages if page * PAGE < size and is_cached(at, page)}


def true_files(zone: Zone) -> set[tuple[tuple[int, int], int]]:
    """The file pages of a zone, by brute force."""
    mapped: dict[tuple[int, int], set[int]] = {}
    paths: dict[tuple[int, int], str] = {}
    for pid in pids_in(zone.path):
        for file, page, path in file_pages_of(pid):
            mapped.setdefault(file, set()).add(page)
            paths[file] = path
    return {(file, page) for file, pages in mapped.items() for page in cached_pages(paths[file], pages)}


def kernel_pages(zone: Zone) -> set[int]:
    """Frames of mappings that are of no file: the vdso."""
    kernel, frames = Kernel(), set()
    try:
        for pid in pids_in(zone.path):
            for line in read_file(f"/proc/{pid}/maps").splitlines():
                span, _flags, _offset, _device, inode, *name = line.split(None, 5)
                if inode == b"0" and name and name[0].startswith(b"[v") and name[0] != b"[vsyscall]":
                    start, end = (int(part, 16) for part in span.split(b"-"))
                    frames |= {
                        page.number for page in pages_of(kernel, pid, start, end) if page.kind == "file"
                    }
    finally:
        kernel.close()
    return frames


class Incore:
    """A snapshot by the basis incore of stopped zones, which the oracle has confirmed.

    Others may drop what is cached at any time: what the oracle found before must be what it finds afterwards.
    """

    def __init__(self, zones: list[Zone], bring: Callable[[], object] = lambda: None) -> None:
        """:param bring: puts into the page cache what is to be there"""
        for _ in range(TRIES):
            with stopped([zone.path for zone in zones]):
                bring()
                files = {zone.name: true_files(zone) for zone in zones}
                self.snapshot = zonerss.take_snapshot(by=("cgroup",), basis="incore")
                mapped = zonerss.take_snapshot(by=("cgroup",))
                self.files = {zone.name: true_files(zone) for zone in zones}
                kernel = {zone.name: kernel_pages(zone) for zone in zones}
            if files == self.files:
                break
        else:
            needs.skip("needs_quiet", "the page cache never stood still")
        before = {usage.zone: usage for usage in mapped.zones}
        self.usage = {usage.zone: usage for usage in self.snapshot.zones}
        for zone in zones:
            usage = self.usage[zone.name]
            found = (usage.file_bytes + usage.shmem_bytes) // PAGE
            assert found == len(self.files[zone.name]) + len(kernel[zone.name])
            assert usage.anon_bytes == before[zone.name].anon_bytes
            assert usage.rss_bytes >= before[zone.name].rss_bytes
            assert usage.process_rss_bytes == before[zone.name].process_rss_bytes

    def cached(self, zone: Zone, file: tuple[int, int]) -> set[int]:
        """The pages of one file that the oracle says are the zone's."""
        return {page for found, page in self.files[zone.name] if found == file}


TRIES = 10


def key(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def grown(before: Incore, after: Incore, zone: Zone, figure: str = "rss_bytes") -> int:
    return (getattr(after.usage[zone.name], figure) - getattr(before.usage[zone.name], figure)) // PAGE


def make_file(path: Path, pages: int) -> Path:
    """A file on disk of which nothing is cached."""
    with path.open("wb") as file:
        for _ in range(0, pages, MIB):
            file.write(os.urandom(min(pages, MIB) * PAGE))
        file.truncate(pages * PAGE)
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def read_pages(path: Path, first: int, pages: int) -> None:
    """Bring pages into the page cache, and no others."""
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(file.fileno(), pages * PAGE, first * PAGE)


# ---- tests ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["cachestat", "mincore"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    from zonerss.walk import incore

    if request.param == "cachestat" and not incore.has_cachestat():
        needs.skip("needs_cachestat")
    if request.param == "mincore":
        monkeypatch.setattr(incore, "has_cachestat", lambda: False)
    return request.param


@pytest.mark.parametrize("seed", [1, 2])
def test_overlapping_ranges_of_files_cached_in_part(make_zone: Callable, disk_directory, means, seed):
    chance = random.Random(seed)
    zones = [make_zone(name) for name in "ab"]
    mems = [zone.spawn() for zone in (*zones, *zones)]
    for number, pages in enumerate((64 * MIB, 5 * MIB + 3, 1)):
        path = make_file(disk_directory / f"file{number}", pages)
        for _ in range(12):
            read_pages(path, chance.randrange(pages), chance.randint(1, pages // 7 + 1))
        for mem in mems:
            how, touch = chance.choice(["shared", "private"]), chance.choice(["none", "none", "read"])
            where = mem.map(f"file {path} {pages} {how} none")
            for _ in range(4):
                first = chance.randrange(pages)
                mem.unmap(where, first, min(chance.randint(1, 100), pages - first))
            if pages < MIB or touch == "none":
                continue
            last = mem.map(f"file {path} {pages // 3} private none")
            mem.read(last, 11, 101)
            mem.write(last, 17, 53)  # copied: anon from now on
    Incore(zones)


def test_a_page_that_only_a_neighbour_touched_counts_for_both(make_zone: Callable, disk_directory, means):
    one, other = make_zone("a"), make_zone("b")
    mems = one.spawn(), other.spawn()
    path = make_file(disk_directory / "file", 1009)
    read_pages(path, 0, 1009)
    before = Incore([one, other])
    mems[0].map(f"file {path} 1009 shared read")
    mems[1].map(f"file {path} 1009 private none")  # mapped, never touched
    after = Incore([one, other])
    assert after.cached(one, key(path)) == after.cached(other, key(path)) == set(range(1009))
    for zone in (one, other):
        assert grown(before, after, zone) == 1009
        assert grown(before, after, zone, "exclusive_bytes") == 0
        assert grown(before, after, zone, "shared_bytes") == 1009
    mapped = zonerss.take_snapshot(by=("cgroup",), zone=other.name).zones[0]
    assert mapped.rss_bytes // PAGE == after.usage[other.name].rss_bytes // PAGE - 1009


def test_what_was_copied_on_write_is_no_page_of_the_file(zone, mem, disk_directory, means):
    path = make_file(disk_directory / "file", 211)
    read_pages(path, 0, 211)
    before = Incore([zone])
    where = mem.map(f"file {path} 211 private none")
    mem.write(where, 7, 31)
    after = Incore([zone], lambda: read_pages(path, 0, 211))
    there = after.cached(zone, key(path))
    assert len(there) > 100
    assert there.isdisjoint(range(7, 7 + 31))
    assert grown(before, after, zone, "file_bytes") == len(there)
    assert grown(before, after, zone, "anon_bytes") == 31


def test_a_deleted_file(zone, mem, disk_directory, means):
    path = make_file(disk_directory / "file", 307)
    read_pages(path, 0, 307)
    before = Incore([zone])
    mem.map(f"file {path} 307 private none")
    file = key(path)
    with path.open("rb", buffering=0) as held:
        path.unlink()
        after = Incore([zone], lambda: os.pread(held.fileno(), 307 * PAGE, 0))
    assert len(after.cached(zone, file)) > 200
    assert grown(before, after, zone, "file_bytes") == len(after.cached(zone, file))


def test_tmpfs_and_memfd_mapped_and_never_touched(make_zone: Callable, tmpfs_directory, means):
    zone, other = make_zone("a"), make_zone("b")
    mem, neighbour = zone.spawn(), other.spawn()
    path = tmpfs_directory / "file"
    path.write_bytes(b"x" * (401 * PAGE))
    os.truncate(path, 500 * PAGE)  # the rest is a hole
    before = Incore([zone, other])
    mem.map(f"file {path} 500 shared none")
    made = neighbour.map("memfd 103")
    mem.map(f"file {made.path} 103 shared none")
    after = Incore([zone, other])
    assert grown(before, after, zone, "shmem_bytes") == 401 + 103
    assert grown(before, after, zone, "exclusive_bytes") == 401
    assert grown(before, after, other, "shmem_bytes") == 103
    assert after.snapshot.total.shmem_bytes >= (401 + 103) * PAGE


def test_system_v_and_shared_anonymous_memory(zone, mem, means):
    before = Incore([zone])
    mem.map("sharedanon 61")
    mem.map("shm 67")
    assert grown(before, Incore([zone]), zone, "shmem_bytes") == 61 + 67


def test_system_v_segments_of_one_id_in_two_namespaces(make_zone: Callable, cgroups, means):
    """As in two containers: their first segments have the same device, inode and name."""
    zones = [make_zone(name) for name in "ab"]
    mems = []
    for zone in zones:

        def enter(path: Path = zone.path) -> None:
            move(os.getpid(), path)
            if LIBC.unshare(CLONE_NEWIPC):
                raise OSError(ctypes.get_errno(), "unshare")

        mems.append(Mem(before_exec=enter))
        zone.mems.append(mems[-1])
    before = Incore(zones)
    for mem, pages in zip(mems, (61, 67), strict=True):
        mem.map(f"shm {pages}")
        time.sleep(0.02)  # the kernel notes in clock ticks when they were made
    after = Incore(zones)
    for zone, pages in zip(zones, (61, 67), strict=True):
        assert grown(before, after, zone, "shmem_bytes") == pages
        assert grown(before, after, zone, "exclusive_bytes") == pages


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """mounted(TYPE, OPTIONS) is a new mount, gone after the test."""
    made: list[Path] = []

    def mount(kind: str, options: str) -> Path:
        where = tmp_path / f"mount{len(made)}"
        where.mkdir()
        command = ["mount", "-t", kind, "-o", options, "zonerss-test", where]
        done = subprocess.run(command, capture_output=True)
        if done.returncode:
            needs.skip("needs_mount", done.stderr.decode(errors="replace").strip())
        made.append(where)
        return where

    mount.made = made
    yield mount
    for where in reversed(made):
        subprocess.run(["umount", "-l", where], check=True)


@pytest.fixture
def lower(disk_directory: Path) -> Path:
    """A directory for overlays to lie upon."""
    path = disk_directory / "lower"
    path.mkdir()
    return path


@pytest.fixture
def overlay(disk_directory: Path, lower: Path, mounted: Callable[..., Path]) -> Callable[..., Path]:
    """overlay(OPTION) is a new overlay of the directory below, gone after the test."""
    made: list[Path] = []

    def mount(*options: str) -> Path:
        upper, work = (disk_directory / f"{name}{len(made)}" for name in ("upper", "work"))
        upper.mkdir()
        work.mkdir()
        places = (f"lowerdir={lower}", f"upperdir={upper}", f"workdir={work}")
        made.append(mounted("overlay", ",".join([*options, *places])))
        return made[-1]

    return mount


def test_an_overlay_of_two_file_systems_has_files_of_two_kinds(
    make_zone: Callable, tmp_path: Path, mounted, source: str
) -> None:
    """In maps a file on disk and one in tmpfs may have one device and one inode: both file systems are new here."""
    with mounted_image(tmp_path) as disk:
        memory = mounted("tmpfs", "size=8m")
        places = {"lowerdir": disk / "below", "upperdir": memory / "upper", "workdir": memory / "work"}
        for place in places.values():
            place.mkdir()
        for number in range(40):
            make_file(places["lowerdir"] / f"disk{number}", 11)
        view = mounted("overlay", ",".join(f"{name}={place}" for name, place in places.items()))
        for number in range(40):
            make_file(view / f"memory{number}", 11)
        zone = make_zone("a")
        mem = zone.spawn()
        before = measure_kinds(zone, source)
        for number in range(40):
            mem.map(f"file {view / f'disk{number}'} 11 private read")
            mem.map(f"file {view / f'memory{number}'} 11 private read")
        after = measure_kinds(zone, source)
        mem.end()
        subprocess.run(["umount", view], check=True)
        mounted.made.remove(view)
    assert [now - then for now, then in zip(after, before, strict=True)] == [440 * PAGE, 440 * PAGE]


def measure_kinds(zone: Zone, source: str) -> tuple[int, int]:
    """Bytes of files and of shared memory."""
    (usage,) = zonerss.take_snapshot(by="cgroup", source=source, zone=zone.name).zones
    return usage.file_bytes, usage.shmem_bytes


def test_two_overlays_of_one_file_below(make_zone: Callable, lower, overlay, means):
    make_file(lower / "file", 613)
    make_file(lower / "other", 613)
    zones = [make_zone(name) for name in "ab"]
    mems = [zone.spawn() for zone in zones]
    views = [overlay(), overlay()]
    os.utime(lower / "other", ns=(0, os.stat(lower / "file").st_mtime_ns))  # alike, but not the same
    before = Incore(zones)
    for mem, view in zip(mems, views, strict=True):
        mem.map(f"file {view / 'file'} 613 private none")
    mems[1].map(f"file {views[1] / 'other'} 613 private none")
    after = Incore(zones, lambda: [read_pages(lower / name, 0, 613) for name in ("file", "other")])
    same, other = (after.cached(zones[1], key(views[1] / name)) for name in ("file", "other"))
    assert len(same) > 500
    assert len(other) > 500
    assert after.cached(zones[0], key(views[0] / "file")) == same
    assert grown(before, after, zones[0], "file_bytes") == len(same)
    assert grown(before, after, zones[1], "file_bytes") == len(same) + len(other)
    assert grown(before, after, zones[0], "exclusive_bytes") == 0
    assert grown(before, after, zones[1], "exclusive_bytes") == len(other)
    for where in mems:
        where.end()


def test_an_overlay_and_the_file_below_are_one(make_zone: Callable, lower, overlay, means):
    """One zone maps the lower file by its own path, the other through an overlay; a second file is only as long."""
    make_file(lower / "file", 613)
    make_file(lower / "other", 613)
    view = overlay()
    zones = [make_zone(name) for name in "ab"]
    mems = [zone.spawn() for zone in zones]

    def bring() -> None:
        read_pages(lower / "file", 0, 613)
        read_pages(lower / "other", 100, 200)

    before = Incore(zones)
    mems[0].map(f"file {lower / 'file'} 613 private none")
    mems[0].map(f"file {lower / 'other'} 613 private none")
    mems[1].map(f"file {view / 'file'} 613 private none")
    mems[1].map(f"file {view / 'other'} 613 shared none")
    after = Incore(zones, bring)
    for zone, place in zip(zones, (lower, view), strict=True):
        there = sum(len(after.cached(zone, key(place / name))) for name in ("file", "other"))
        assert there > 600  # others may drop some of the 813 pages that were read
        assert grown(before, after, zone, "file_bytes") == there
        assert grown(before, after, zone, "exclusive_bytes") == 0
        assert grown(before, after, zone, "shared_bytes") == there
    for mem in mems:
        mem.end()


def test_an_overlay_that_has_only_the_times_of_a_file(make_zone: Callable, lower, overlay, means):
    """With metacopy, touch makes the overlay's time another one; the pages stay those of the file below."""
    make_file(lower / "file", 307)
    view = overlay("metacopy=on")
    os.utime(view / "file", ns=(0, 0))
    zones = [make_zone(name) for name in "ab"]
    mems = [zone.spawn() for zone in zones]
    before = Incore(zones)
    mems[0].map(f"file {lower / 'file'} 307 private none")
    mems[1].map(f"file {view / 'file'} 307 private none")
    after = Incore(zones, lambda: read_pages(lower / "file", 0, 307))
    for zone, place in zip(zones, (lower, view), strict=True):
        there = len(after.cached(zone, key(place / "file")))
        assert there > 200
        assert grown(before, after, zone, "file_bytes") == there
        assert grown(before, after, zone, "exclusive_bytes") == 0
    for mem in mems:
        mem.end()


def test_huge_pages_of_tmpfs_count_by_the_page(make_zone: Callable, mounted, means):
    view = mounted("tmpfs", "huge=always,size=64m")
    path = view / "file"
    with path.open("wb") as file:
        file.write(b"x" * (1536 * PAGE))  # three huge pages
    zone, other = make_zone("a"), make_zone("b")
    mem, neighbour = zone.spawn(), other.spawn()
    before = Incore([zone, other])
    where = mem.map(f"file {path} 1536 shared none")
    mem.unmap(where, 100, 500)
    neighbour.map(f"file {path} 601 shared none")
    after = Incore([zone, other])
    assert grown(before, after, zone, "shmem_bytes") == 1036
    assert grown(before, after, zone, "shared_bytes") == 101
    assert grown(before, after, other, "exclusive_bytes") == 500
    for mem in (*zone.mems, *other.mems):
        mem.end()


def test_private_and_shared_as_getvmusage_tells_them(zone, mem, disk_directory):
    from zonerss.answers.explain.getvmusage import how_mapped

    def ask():
        with stopped([zone.path]):
            snapshot = zonerss.take_snapshot(by=("cgroup",), basis="incore", zone=zone.name)
        owners = [member.owner for member in snapshot.members if member.zones[0].name == zone.name]
        usage = snapshot.zones[0]
        return how_mapped(snapshot.by_mapping, owners, usage.exclusive_bytes, (0, 0), 0), usage

    path = make_file(disk_directory / "file", 421)
    read_pages(path, 0, 421)
    before, _ = ask()
    mem.map(f"file {path} 211 private none")
    mem.map(f"file {path} 421 shared none")
    mem.map("anon 13")
    for _ in range(TRIES):
        read_pages(path, 0, 421)
        after, usage = ask()
        if cached_pages(str(path), set(range(421))) == set(range(421)):
            break
    assert after.rss_private_bytes - before.rss_private_bytes == 13 * PAGE
    assert after.rss_shared_bytes - before.rss_shared_bytes == 421 * PAGE
    assert after.both_bytes == 211 * PAGE
    assert after.rss_private_bytes + after.rss_shared_bytes == usage.rss_bytes
    assert after.exclusive_bytes + after.shared_with_others_bytes == usage.rss_bytes
