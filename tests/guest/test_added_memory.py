"""Memory that the machine is given while a session is open counts.

It is that of the guest's virtio-mem device, whose driver nobody has loaded before. It stays for as long as the guest
runs, and the kernel prefers it for what processes touch from then on.
"""

from __future__ import annotations

import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

import zonerss
from tests.live import needs
from tests.live.cgroups import stopped
from tests.live.conftest import SOURCES
from tests.oracle import PAGE, Kernel, pages_of
from tests.unit.threads import until
from zonerss.records import Cause

DRIVER = "virtio_mem"


def added_memory() -> list[range]:
    """The frames that a driver has added."""
    found = re.findall(
        r"^ *([0-9a-f]+)-([0-9a-f]+) : System RAM \(.*\)$", Path("/proc/iomem").read_text(), re.M
    )
    return [range(int(first, 16) // PAGE, (int(last, 16) + 1) // PAGE) for first, last in found]


def add_memory() -> None:
    """All that the device has, for pages that can be moved: the kernel takes these first."""
    Path("/sys/devices/system/memory/auto_online_blocks").write_text("online_movable")
    done = subprocess.run(["modprobe", DRIVER], check=False, capture_output=True, text=True)
    if done.returncode:
        needs.skip("needs_more_memory", done.stderr.strip())
    until(added_memory, "the driver adds memory")
    states = "/sys/devices/system/memory/memory*/state"
    until(lambda: not [p for p in Path("/").glob(states[1:]) if p.read_text() != "online\n"], "it is used")


def test_memory_that_was_added_counts(zone, mem):
    if added_memory():
        needs.skip("needs_more_memory", "all of it has been added before")
    with ExitStack() as stack:
        sessions = [stack.enter_context(zonerss.Session(source)) for source in SOURCES]

        def anon_pages() -> list[int]:
            with stopped([zone.path]):
                snapshots = [session.take("cgroup", zone=zone.name) for session in sessions]
            for snapshot in snapshots:
                assert Cause.OUTSIDE not in {gap.cause for gap in snapshot.gaps}
            return [snapshot.zones[0].anon_bytes // PAGE for snapshot in snapshots]

        before = anon_pages()
        add_memory()
        where = mem.map("anon 5003")
        kernel = Kernel()
        stack.callback(kernel.close)
        frames = [page.number for page in pages_of(kernel, mem.pid, where.start, where.end)]
        assert sum(any(frame in added for added in added_memory()) for frame in frames) > 2500
        assert anon_pages() == [pages + 5003 for pages in before]
