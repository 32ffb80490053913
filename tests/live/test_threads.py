"""Threads in other cgroups than their process: its memory is in the zone that the kernel charges for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.cgroups import end_processes, move, remove
from tests.oracle import PAGE
from tests.own import NAME
from zonerss import take_snapshot
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.mounts import read_mounts
from zonerss.kernel.proc import read_tasks
from zonerss.kernel.roots import HOST
from zonerss.plain import dataclass

PAGES = 5003
# Two threads beside the first one, and the first of the two touches memory once it is told to.
PROGRAM = f"""
import ctypes, mmap, os, sys, threading, time

def touch():
    told.wait()
    while sys.argv[1] == "ends" and ") Z " not in open("/proc/self/stat").read():
        time.sleep(0.001)
    memory = mmap.mmap(-1, {PAGES * PAGE}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(b"x" * {PAGES * PAGE})
    print("done", flush=True)
    threading.Event().wait()

told = threading.Event()
others = [threading.Thread(target=touch), threading.Thread(target=threading.Event().wait)]
for thread in others:
    thread.start()
print(*(thread.native_id for thread in others), flush=True)
os.read(0, 1)
told.set()
if sys.argv[1] == "ends":
    ctypes.CDLL(None).syscall(60, 0)
threading.Event().wait()
"""


@dataclass
class Threaded:
    """A process of three threads."""

    process: subprocess.Popen
    tids: list[int]
    """Of the two beside the first one."""

    def touch(self) -> None:
        self.process.stdin.write(b"x")
        assert self.process.stdout.readline() == b"done\n"


@contextmanager
def threaded(path: Path, first: str) -> Iterator[Threaded]:
    """In a cgroup; whether its first thread "lives" or "ends" once it is told to touch its memory."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, first],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        preexec_fn=lambda: move(os.getpid(), path),
    )
    with process:
        try:
            yield Threaded(process, [int(word) for word in process.stdout.readline().split()])
        finally:
            process.kill()


@pytest.mark.parametrize(("first", "expected"), [("lives", 0), ("ends", 1)])
def test_threads_alone_in_other_memory_cgroups(cgroups, make_zone, source, first, expected):
    """Version 1: the first thread's cgroup is charged; where it has ended, that of the first one that lives."""
    if cgroups.hierarchy.version != 1:
        needs.skip("needs_cgroup1")
    zones = [make_zone(name) for name in "abc"]
    charges = [zone.path / "memory.usage_in_bytes" for zone in zones]
    with threaded(zones[0].path, first) as program:
        for tid, zone in zip(program.tids, zones[1:], strict=True):
            (zone.path / "tasks").write_text(str(tid))
        before = [int(file.read_text()) for file in charges]
        program.touch()
        charged = [int(file.read_text()) - bytes for file, bytes in zip(charges, before, strict=True)]
        snapshot = take_snapshot(by="cgroup", source=source)
    anon = {usage.zone: usage.anon_bytes for usage in snapshot.zones}
    for number, zone in enumerate(zones):
        assert (charged[number] > PAGES * PAGE // 2) == (number == expected)
        assert (anon.get(zone.name, 0) >= PAGES * PAGE) == (number == expected)


def test_a_threaded_cgroup():
    """Version 2, also where it lacks the memory controller: the cgroup above, which is no threaded one."""
    (mount, *_) = [mount for mount in read_mounts(HOST) if mount.fs_type == "cgroup2"] or [None]
    if not mount or mount.root != "/":
        needs.skip("needs_cgroup2")
    hierarchy = MemoryHierarchy(2, Path(mount.mount_point), "/")
    top = Path(mount.mount_point) / f"{NAME}-threads"
    inner = top / "threaded"
    top.mkdir()
    try:
        inner.mkdir()
        (inner / "cgroup.type").write_text("threaded")
        with threaded(top, "lives") as program:
            for tid in (program.process.pid, *program.tids):
                (inner / "cgroup.threads").write_text(str(tid))
            text = Path(f"/proc/{program.process.pid}/cgroup").read_text()
            assert f"0::/{top.name}/threaded\n" in text
            (task,) = read_tasks(HOST, hierarchy, among=(program.process.pid,)).tasks
            assert task.cgroup == f"/{top.name}"
    finally:
        for path in (inner, top):
            if path.exists():
                if path is top:
                    end_processes(path)
                remove(path)
