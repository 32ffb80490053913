"""Which files a zone maps: by their frames, whatever they are called where."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import move, stopped
from tests.live.measure import Zone
from tests.oracle import PAGE, pages_of
from tests.oracle import Kernel as OracleKernel
from tests.workloads.mem import Mem
from zonerss.answers.files import FileUsage
from zonerss.commands.files import measure
from zonerss.records.files import FileKind

CLONE_NEWIPC = 0x08000000


@pytest.fixture
def files_of(make_zone: Callable, source: str) -> Callable[[Zone | None], list[FileUsage]]:
    """files_of(zone) are the mapped files of a zone of this test, all of whose processes are stopped."""

    def take(zone: Zone | None) -> list[FileUsage]:
        with stopped([z.path for z in make_zone.zones]), zonerss.Session(source) as session:
            return list(measure(session, "cgroup", zone and zone.name)[1])

    return take


def make_file(path: Path, pages: int) -> Path:
    path.write_bytes(b"".join(page.to_bytes(8, "big") * (PAGE // 8) for page in range(pages)))
    return path


def named(files: list[FileUsage], name: str) -> FileUsage:
    (usage,) = (u for u in files if u.file and name in (u.file.name, *u.file.aliases))
    return usage


def pages(usage: FileUsage) -> tuple[int, int, dict[str, int]]:
    """Mapped, exclusive, and by zone."""
    return usage.bytes // PAGE, usage.exclusive_bytes // PAGE, {z: b // PAGE for z, b in usage.mapped_by}


def test_how_much_is_mapped_how_much_exclusively_and_who_else(make_zone, files_of, disk_directory):
    file = make_file(disk_directory / "file", 71)
    a, b = make_zone("a"), make_zone("b")
    a.spawn().map(f"file {file} 71 shared read")
    b.spawn().map(f"file {file} 29 private read")
    assert pages(named(files_of(a), str(file))) == (71, 42, {a.name: 71, b.name: 29})
    assert pages(named(files_of(b), str(file))) == (29, 0, {a.name: 71, b.name: 29})
    assert pages(named(files_of(None), str(file))) == (71, 42, {a.name: 71, b.name: 29})
    found = named(files_of(a), str(file)).file
    assert (found.kind, found.size_bytes, found.inode) == (FileKind.FILE, 71 * PAGE, os.stat(file).st_ino)


def test_pages_that_were_written_privately_are_not_the_files_any_more(make_zone, files_of, disk_directory):
    file = make_file(disk_directory / "file", 37)
    zone = make_zone("a")
    mem = zone.spawn()
    mem.write(mem.map(f"file {file} 37 private read"), 3, 11)
    assert pages(named(files_of(zone), str(file)))[0] == 37 - 11


def test_a_deleted_file(make_zone, files_of, disk_directory):
    file = make_file(disk_directory / "file", 41)
    zone = make_zone("a")
    zone.spawn().map(f"file {file} 41 shared read")
    file.unlink()
    make_file(file, 5)  # another one of the same name
    zone.spawn().map(f"file {file} 5 shared read")
    found = [usage for usage in files_of(zone) if usage.file and usage.file.name == str(file)]
    assert {(u.file.kind, u.file.lasts, u.bytes // PAGE) for u in found} == {
        (FileKind.DELETED, False, 41),
        (FileKind.FILE, True, 5),
    }


def test_a_file_whose_name_only_looks_deleted(make_zone, files_of, disk_directory):
    file = make_file(disk_directory / "file(deleted)", 7)
    link = disk_directory / "link"
    file.rename(disk_directory / "file (deleted)")
    link.symlink_to(disk_directory / "file (deleted)")
    zone = make_zone("a")
    zone.spawn().map(f"file {link} 7 shared read")
    usage = named(files_of(zone), str(disk_directory / "file (deleted)"))
    assert (usage.file.kind, usage.file.lasts) == (FileKind.FILE, True)


def test_one_name_of_two_was_deleted(make_zone, files_of, disk_directory):
    """The file stays: it has another name."""
    file = make_file(disk_directory / "file", 13)
    os.link(file, disk_directory / "second")
    zone = make_zone("a")
    zone.spawn().map(f"file {file} 13 shared read")
    file.unlink()
    usage = named(files_of(zone), f"{file} (deleted)")
    assert (usage.file.kind, usage.file.lasts) == (FileKind.FILE, True)


def test_two_names_of_one_file(make_zone, files_of, disk_directory):
    file = make_file(disk_directory / "file", 17)
    os.link(file, disk_directory / "second")
    a, b = make_zone("a"), make_zone("b")
    a.spawn().map(f"file {file} 17 shared read")
    b.spawn().map(f"file {disk_directory / 'second'} 17 shared read")
    usage = named(files_of(a), str(file))
    assert pages(usage) == (17, 0, {a.name: 17, b.name: 17})
    assert {usage.file.name, *usage.file.aliases} == {str(file), str(disk_directory / "second")}


def test_memfd_tmpfs_segment_and_shared_anonymous_memory(make_zone, files_of, tmpfs_directory):
    zone = make_zone("a")
    mem = zone.spawn()
    file = make_file(tmpfs_directory / "file", 19)
    mem.map(f"file {file} 19 shared read")
    gone = make_file(tmpfs_directory / "gone", 29)
    mem.map(f"file {gone} 29 shared read")
    gone.unlink()
    mem.map("memfd 23")
    segment = mem.map("shm 31")
    mem.map("sharedanon 37")
    found = {
        (usage.file.kind, usage.file.lasts): usage.bytes // PAGE
        for usage in files_of(zone)
        if usage.file and usage.file.kind not in (FileKind.FILE, FileKind.KERNEL)
    }
    assert found.pop((FileKind.SYSV, True), 0) + found.pop((FileKind.SYSV, False), 0) == 31
    assert found == {
        (FileKind.TMPFS, True): 19,
        (FileKind.DELETED, False): 29,
        (FileKind.MEMFD, False): 23,
        (FileKind.SHARED, False): 37,
    }
    (usage,) = (u for u in files_of(zone) if u.file and u.file.kind is FileKind.SYSV)
    assert usage.file.inode == segment.id


def test_segments_of_two_namespaces_that_have_one_number_are_two(make_zone, files_of):
    """Ids are given out in each IPC namespace anew: the first one is the same everywhere."""
    a, b = make_zone("a"), make_zone("b")
    segments = [spawn_in_new_ipc_namespace(zone).map(f"shm {count}") for zone, count in ((a, 43), (b, 47))]
    assert segments[0].id == segments[1].id
    for zone, count in ((a, 43), (b, 47)):
        (usage,) = (u for u in files_of(zone) if u.file and u.file.kind is FileKind.SYSV)
        assert pages(usage) == (count, count, {zone.name: count})


def spawn_in_new_ipc_namespace(zone: Zone) -> Mem:
    libc = ctypes.CDLL(None, use_errno=True)

    def enter() -> None:
        if libc.unshare(CLONE_NEWIPC):
            raise OSError(ctypes.get_errno(), "unshare")
        move(os.getpid(), zone.path)

    zone.mems.append(Mem(before_exec=enter))
    return zone.mems[-1]


def test_more_files_than_were_reckoned_with(make_zone, files_of, disk_directory, monkeypatch):
    zone = make_zone("a")
    mem = zone.spawn()
    for count in range(1, 8):
        mem.map(f"file {make_file(disk_directory / f'file-{count}', count)} {count} shared read")
    monkeypatch.setattr("zonerss.walk.files._ROOM", 2)
    files = files_of(zone)
    for count in range(1, 8):
        assert pages(named(files, str(disk_directory / f"file-{count}")))[0] == count


# ---- overlay: the same lower file under another device in each mount ----------------------------------------


@pytest.fixture
def overlays(make_zone: Callable, disk_directory: Path) -> Iterator[Callable[[str], Path]]:
    """overlays("a") is a mount over the one lower directory; all are gone afterwards."""
    lower = disk_directory / "lower"
    lower.mkdir()
    mounted: list[Path] = []

    def mount(name: str) -> Path:
        upper, work, merged = (disk_directory / f"{what}-{name}" for what in ("upper", "work", "merged"))
        for directory in (upper, work, merged):
            directory.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        done = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, merged], capture_output=True, text=True
        )
        if done.returncode:
            needs.skip("needs_container_engine", f"no overlay can be mounted: {done.stderr.strip()}")
        mounted.append(merged)
        return merged

    yield mount
    for zone in make_zone.zones:
        zone.end()
    for merged in reversed(mounted):
        subprocess.run(["umount", merged], check=True)


def test_one_lower_file_of_two_overlays_is_one_file(make_zone, files_of, overlays, disk_directory):
    lower = make_file(disk_directory / "lower" / "libc.so", 61)
    a, b, host = make_zone("a"), make_zone("b"), make_zone("host")
    paths = [overlays(name) / "libc.so" for name in "ab"]
    for zone, path in zip((a, b), paths, strict=True):
        zone.spawn().map(f"file {path} 61 shared read")
    host.spawn().map(f"file {lower} 7 shared read")
    usage = named(files_of(a), str(paths[0]))
    assert pages(usage) == (61, 0, {a.name: 61, b.name: 61, host.name: 7})
    assert {usage.file.name, *usage.file.aliases} == {*map(str, paths), str(lower)}
    assert frames(a) & frames(b)


def frames(zone: Zone) -> set[int]:
    kernel = OracleKernel()
    try:
        return {page.number for mem in zone.mems for page in pages_of(kernel, mem.pid) if page.kind == "file"}
    finally:
        kernel.close()


def test_a_file_that_one_overlay_has_changed_is_two(make_zone, files_of, overlays, disk_directory):
    make_file(disk_directory / "lower" / "data", 67)
    a, b = make_zone("a"), make_zone("b")
    paths = [overlays(name) / "data" for name in "ab"]
    with paths[1].open("r+b") as changed:
        changed.write(b"changed")  # copies it up
    for zone, path in zip((a, b), paths, strict=True):
        zone.spawn().map(f"file {path} 67 shared read")
    found = [pages(usage) for usage in files_of(None) if usage.file and usage.file.name in map(str, paths)]
    assert sorted(found, key=str) == sorted([(67, 67, {a.name: 67}), (67, 67, {b.name: 67})], key=str)


# ---- identities ---------------------------------------------------------------------------------------------


def test_identities_of_files(make_zone, source):
    zone = make_zone("a")
    zone.spawn().map("memfd 11")
    with zonerss.Session(source) as session:
        snapshot, files, _, _ = measure(session, "cgroup", None)
    total = snapshot.total
    # What was not found again counts among the files, so nothing is missing; a frame is of one file.
    assert sum(usage.bytes for usage in files) == total.file_bytes + total.shmem_bytes + total.hugetlb_bytes
    for usage in files:
        assert usage.exclusive_bytes <= usage.bytes <= sum(size for _, size in usage.mapped_by)
        assert max(size for _, size in usage.mapped_by) <= usage.bytes
