"""Shared memory, joined from things, mappings and frames made by hand."""

from __future__ import annotations

from tests.unit.answers.explain.test_machine import PAGE, RAM
from tests.unit.builders import MIB

from zonerss.answers.explain.tmpfs import Charged, Held, ShmemAnswer, shmem_answer
from zonerss.answers.files import FileUsage
from zonerss.plain import replace
from zonerss.records.files import FileKind, MappedFile
from zonerss.records.machine import RamCharge
from zonerss.records.shmem import Shmem, ShmemKind

SHM, OWN = (0, 23), (0, 1)
MOUNT = Shmem(ShmemKind.MOUNT, "/dev/shm", SHM, bytes=500 * MIB, pids=(1,))
MEMFD = Shmem(ShmemKind.MEMFD, "pool", OWN, 77, bytes=64 * MIB, pids=(42, 43))
GONE = Shmem(ShmemKind.DELETED, "/dev/shm/x", SHM, 5, bytes=8 * MIB, pids=(43,))
SEGMENT = Shmem(ShmemKind.SYSV, "0x00000001", (0, 0), 0, 4026531839, bytes=MIB, swap_bytes=0)
EMPTY = Shmem(ShmemKind.MOUNT, "/run/lock", (0, 30), bytes=0)
UNLIMITED = Shmem(ShmemKind.MOUNT, "/scratch", (0, 31), bytes=None)
ZONES = {1: "global", 42: "db", 43: "web"}


def mapped(kind: FileKind, device: tuple[int, int], inode: int, size: int, **by: int) -> FileUsage:
    file = MappedFile(
        "/memfd:pool" if kind is FileKind.MEMFD else "/x", kind, True, None, device, inode, 4026531839
    )
    return FileUsage(file, size, 0, tuple(by.items()))


def answer(things: list[Shmem], *usages: FileUsage) -> ShmemAnswer:
    return shmem_answer(things, usages, ZONES, RAM, str)


def held(found: ShmemAnswer) -> dict[str, Held]:
    return {one.thing.name: one for one in found.held}


def test_what_is_mapped_of_each() -> None:
    found = held(
        answer(
            [MOUNT, MEMFD, SEGMENT],
            mapped(FileKind.TMPFS, SHM, 3, 100 * MIB, db=100 * MIB),
            mapped(FileKind.TMPFS, SHM, 4, 20 * MIB, db=20 * MIB, web=5 * MIB),
            mapped(FileKind.MEMFD, OWN, 77, 64 * MIB, web=64 * MIB),
            mapped(FileKind.SYSV, OWN, 0, MIB // 2, db=MIB // 2),
            mapped(FileKind.FILE, (8, 1), 77, 9 * MIB, db=9 * MIB),
        )
    )
    mount = found["/dev/shm"]
    assert (mount.mapped_bytes, mount.not_mapped_bytes) == (120 * MIB, 380 * MIB)
    assert mount.mapped_by == (("db", 120 * MIB), ("web", 5 * MIB))
    assert (found["pool"].not_mapped_bytes, found["pool"].opened_by) == (0, ("db", "web"))
    assert found["0x00000001"].mapped_by == (("db", MIB // 2),)
    assert len(found) == 3


def test_a_deleted_file_is_also_part_of_its_mount() -> None:
    found = held(answer([MOUNT, GONE], mapped(FileKind.DELETED, SHM, 5, 6 * MIB, web=6 * MIB)))
    assert (found["/dev/shm"].mapped_bytes, found["/dev/shm/x"].mapped_bytes) == (6 * MIB, 6 * MIB)


def test_a_deleted_file_of_a_disk_is_page_cache() -> None:
    assert answer([], mapped(FileKind.DELETED, (8, 1), 5, MIB, web=MIB)).held == ()


def test_what_only_its_mappings_show_is_of_unknown_size() -> None:
    found = answer(
        [], mapped(FileKind.SHARED, OWN, 9, MIB, web=MIB), mapped(FileKind.MEMFD, OWN, 8, MIB, db=MIB)
    )
    assert {one.thing.kind for one in found.held} == {ShmemKind.SHARED, ShmemKind.MEMFD}
    assert {one.thing.bytes for one in found.held} == {None}
    assert {one.not_mapped_bytes for one in found.held} == {None}


def test_what_holds_nothing_is_left_out_and_what_is_unknown_is_not() -> None:
    found = answer([EMPTY, UNLIMITED, MEMFD])
    assert [one.thing.name for one in found.held] == ["pool", "/scratch"]


def test_totals_and_who_is_charged() -> None:
    charges = (
        RamCharge(7, True, (5, 5, 20, 0)),
        RamCharge(7, False, (0, 900, 200, 0)),
        RamCharge(0, False, (0, 0, 100, 0)),
        RamCharge(8, True, (50, 0, 0, 0)),
    )
    found = shmem_answer([], [], ZONES, replace(RAM, charges=charges), {7: "/web", 8: "/db"}.__getitem__)
    assert (found.mapped_bytes, found.not_mapped_bytes) == (22 * PAGE, 300 * PAGE)
    assert found.charged == (Charged("/web", 20 * PAGE, 200 * PAGE), Charged(None, 0, 100 * PAGE))
    assert answer([]).charged is None
