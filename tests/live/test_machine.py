"""Where the machine's memory is, and what holds shared memory: known sizes, mapped and not, on a machine that works."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live import needs
from tests.live.cgroups import move
from tests.live.conftest import MACHINE_LOCK
from tests.oracle import PAGE
from tests.workloads import mem
from zonerss.answers.explain.account import explain_machine, explain_shmem
from zonerss.answers.explain.machine import MachineChain
from zonerss.answers.explain.tmpfs import Held, ShmemAnswer
from zonerss.records.shmem import ShmemKind
from zonerss.snapshot import Session

MIB = 2**20
PROJECT = Path(__file__).parents[2]
HUGE = mem.HUGE * PAGE


def look() -> MachineChain:
    with Session() as session:
        return explain_machine(session).chain


def parts(chain: MachineChain) -> Counter[str]:
    """What is not there has no part: it counts as 0."""
    return Counter({part.name: part.bytes for part in chain.parts})


def assert_closes(chain: MachineChain) -> None:
    assert sum(part.bytes for part in chain.parts) + chain.unaccounted_bytes == chain.memory_bytes
    assert chain.holds, chain


def zonerss(*arguments: str) -> Any:
    command = [sys.executable, "-m", "zonerss", *arguments, "--json"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_it_closes_and_the_counters_agree() -> None:
    for _ in range(3):
        chain = look()
        assert_closes(chain)
        if chain.agrees:
            return
    differing = {check.counter for check in chain.checks if not check.agrees}
    assert not differing & {"MemTotal", "Hugetlb"}
    needs.skip("needs_quiet", ", ".join(sorted(differing)))


def test_it_closes_under_load(tmp_path: Path) -> None:
    busy = "while :; do head -c 64M /dev/zero > {0}; cat {0} > /dev/null; rm {0}; /bin/true; done"
    loads = [
        subprocess.Popen(["/bin/sh", "-c", busy.format(tmp_path / f"load{number}")], start_new_session=True)
        for number in range(2)
    ]
    try:
        for _ in range(2):
            assert_closes(look())
    finally:
        for load in loads:
            os.killpg(load.pid, 9)
            load.wait()


def test_the_document(zone) -> None:
    document = zonerss("explain")
    assert document["schema"] == "zonerss.machine/1"
    steps = sum(step["bytes"] for step in document["steps"])
    assert steps + document["unaccounted_bytes"] == document["memory_bytes"]
    meminfo = document["machine"]["memory_bytes"]
    assert document["memory_bytes"] == meminfo
    assert document["holds"] is True


@contextmanager
def tmpfs_file(directory: Path, size: int) -> Iterator[Path]:
    path = directory / "held"
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(b"x" * MIB)
    yield path
    path.unlink()


def room_for(size: int) -> None:
    statistics = os.statvfs("/dev/shm")
    free = int(Path("/proc/meminfo").read_text().partition("MemAvailable:")[2].split()[0]) * 1024
    if statistics.f_bavail * statistics.f_frsize < size or free < 2 * size:
        needs.skip("needs_memory", f"{size // MIB} MiB of tmpfs")


def test_tmpfs_that_nobody_maps(tmpfs_directory: Path) -> None:
    """Others write to tmpfs files and map them, too: it is looked at until nothing of that fell into the moment."""
    size = 500 * MIB
    room_for(size)
    seen = []
    for _ in range(20):
        before = parts(look())
        with tmpfs_file(tmpfs_directory, size):
            chain = look()
        assert_closes(chain)
        after = parts(chain)
        off = [
            after["shmem_not_mapped"] - before["shmem_not_mapped"] - size,
            after["zones_shmem"] - before["zones_shmem"],
        ]
        if max(map(abs, off)) <= MIB:
            return
        seen.append(off)
    pytest.fail(f"not mapped and mapped by zones were off by {seen}")


def test_what_zones_map_is_what_the_census_says(zone, mem) -> None:
    mem.map("anon 20000")
    with Session() as session:
        account = explain_machine(session)
    made, total = parts(account.chain), account.snapshot.total
    # What was freed since is in no zone any more; nothing is added.
    assert 20000 * PAGE <= made["zones_anon"] <= total.anon_bytes
    assert made["zones_shmem"] <= total.shmem_bytes
    assert made["zones_file"] + made["zones_kernel"] <= total.file_bytes


def test_settings_are_changed_by_one_run_at_a_time(only_one: None) -> None:
    """By none in a container, with a mount of proc of its own, while we do."""
    other = ("unshare", "--pid", "--fork", "--mount-proc", "flock", "--nonblock", MACHINE_LOCK, "true")
    assert subprocess.run(other, check=False).returncode == 1


def test_hugetlb_in_use_promised_and_free(setting, zone) -> None:
    path = "/proc/sys/vm/nr_hugepages"
    had = int(Path(path).read_text())
    before = parts(look())
    try:
        setting(path, had + 7)
    except OSError as error:
        needs.skip("needs_hugetlb", str(error))
    if int(Path(path).read_text()) < had + 7:
        needs.skip("needs_hugetlb", "memory is too fragmented")
    memory = mmap.mmap(-1, 5 * HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)  # MAP_HUGETLB
    try:
        for page in range(3):
            memory[page * HUGE] = 1
        chain = look()
    finally:
        memory.close()
    assert_closes(chain)
    after = parts(chain)

    def grown(name: str) -> int:
        return after[name] - before[name]

    assert grown("zones_hugetlb") == 3 * HUGE
    assert grown("hugetlb_reserved") == 2 * HUGE
    assert grown("hugetlb_free") == 2 * HUGE
    assert {check.counter: check.agrees for check in chain.checks}["Hugetlb"]


# ---- explain --tmpfs -------------------------------------------------------------------------------------


def shmem() -> ShmemAnswer:
    with Session() as session:
        return explain_shmem(session, "cgroup").answer


def held_of(answer: ShmemAnswer, kind: ShmemKind, inode: int = 0, device: int | None = None) -> Held:
    (found,) = (
        held
        for held in answer.held
        if held.thing.kind is kind
        and held.thing.inode == inode
        and (device is None or os.makedev(*held.thing.device) == device)
    )
    return found


def test_a_file_on_a_mount(tmpfs_directory: Path, zone, mem) -> None:
    device = tmpfs_directory.stat().st_dev
    (tmpfs_directory / "something").write_bytes(bytes(PAGE))  # what holds nothing is not listed
    before = held_of(shmem(), ShmemKind.MOUNT, device=device)
    with tmpfs_file(tmpfs_directory, 64 * MIB) as path:
        where = mem.map(f"file {path} 4096 shared")
        after = held_of(shmem(), ShmemKind.MOUNT, device=device)
        assert after.thing.bytes == os.statvfs(tmpfs_directory).f_frsize * (
            os.statvfs(tmpfs_directory).f_blocks - os.statvfs(tmpfs_directory).f_bfree
        )
        assert after.thing.bytes - before.thing.bytes == 64 * MIB
        assert after.mapped_bytes - before.mapped_bytes == 4096 * PAGE
        assert dict(after.mapped_by)[zone.name] == 4096 * PAGE
        assert after.not_mapped_bytes - before.not_mapped_bytes == 48 * MIB
        assert where.start
        mem.end()


def test_a_memfd_that_nobody_maps_and_who_is_charged(zone, cgroups) -> None:
    code = (
        "import os,sys\nfd=os.memfd_create('zonerss-test')\n"
        "for _ in range(24): os.write(fd, b'x' * (1 << 20))\n"
        "print(os.fstat(fd).st_ino, flush=True)\nsys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: move(os.getpid(), zone.path),
    )
    try:
        inode = int(process.stdout.readline())
        answer = shmem()
        held = held_of(answer, ShmemKind.MEMFD, inode)
        assert (held.thing.name, held.thing.bytes, held.mapped_bytes) == ("zonerss-test", 24 * MIB, 0)
        assert (held.not_mapped_bytes, held.mapped_by) == (24 * MIB, ())
        assert held.opened_by == (zone.name,)
        assert held.thing.pids == (process.pid,)
        if answer.charged is None:
            needs.skip("needs_frames", "no /proc/kpagecgroup")
        (row,) = (row for row in answer.charged if row.cgroup == zone.name)
        assert row.not_mapped_bytes == 24 * MIB
    finally:
        process.communicate()


def test_a_deleted_file_of_a_tmpfs(tmpfs_directory: Path) -> None:
    path = tmpfs_directory / "gone"
    with path.open("wb") as file:
        file.write(bytes(5 * MIB))
        file.flush()
        path.unlink()
        status = os.fstat(file.fileno())
        held = held_of(shmem(), ShmemKind.DELETED, status.st_ino, status.st_dev)
    assert (held.thing.bytes, held.mapped_bytes, held.thing.name) == (5 * MIB, 0, str(path))


SEGMENT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if {unshare}: assert libc.unshare(0x08000000) == 0
libc.shmat.restype = ctypes.c_void_p
number = libc.shmget(0, 6 << 20, 0o1600)
address = libc.shmat(number, None, 0)
ctypes.memset(address, 1, 3 << 20)
libc.shmdt(ctypes.c_void_p(address))
print(number, os.stat("/proc/self/ns/ipc").st_ino, flush=True)
sys.stdin.read()
libc.shmctl(number, 0, None)
"""


@pytest.mark.parametrize("unshare", [False, True])
def test_a_segment_of_an_ipc_namespace_that_nobody_maps(unshare: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SEGMENT.format(unshare=unshare)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        number, namespace = map(int, process.stdout.readline().split())
        (held,) = (
            held
            for held in shmem().held
            if held.thing.kind is ShmemKind.SYSV
            and (held.thing.inode, held.thing.ipc_namespace) == (number, namespace)
        )
        assert (held.thing.bytes, held.mapped_bytes, held.not_mapped_bytes) == (3 * MIB, 0, 3 * MIB)
    finally:
        process.communicate()
    assert (
        os.stat("/proc/self/ns/ipc").st_ino
        == os.stat(f"/proc/{os.getpid()}/task/{os.getpid()}/ns/ipc").st_ino
    )


MOUNT = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x20000) == 0  # CLONE_NEWNS
assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # MS_REC | MS_PRIVATE
assert libc.mount(b"tmpfs", sys.argv[1].encode(), b"tmpfs", 0, b"size=64M") == 0
with open(sys.argv[1] + "/file", "wb") as file: file.write(bytes(9 << 20))
print(os.stat(sys.argv[1]).st_dev, flush=True)
sys.stdin.read()
"""


def test_a_mount_that_only_another_mount_namespace_has(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", MOUNT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    line = process.stdout.readline()
    try:
        if not line:
            needs.skip("needs_mount", process.stderr.read().decode()[-200:])
        held = held_of(shmem(), ShmemKind.MOUNT, device=int(line))
        assert (held.thing.bytes, held.mapped_bytes, held.thing.name) == (9 * MIB, 0, str(tmp_path))
    finally:
        process.communicate()


def test_the_document_of_shared_memory() -> None:
    document = zonerss("explain", "--tmpfs")
    assert document["schema"] == "zonerss.shmem/1"
    charged = sum(row["mapped_bytes"] + row["not_mapped_bytes"] for row in document["charged"])
    assert charged == document["mapped_bytes"] + document["not_mapped_bytes"]
