"""Swap on a zram device, for as short as can be: on this machine others may page out into it, too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live import needs

DEVICE = Path("/sys/block/zram0")
# Ends when its standard input does: when the test says so, or when the test is gone, however it ended.
GUARD = "read -r _; swapoff /dev/zram0; echo 1 >/sys/block/zram0/reset"


@contextmanager
def swap_on(mib: int) -> Iterator[None]:
    """Where no swap is in use; the fixture only_one is to be held."""
    if len(Path("/proc/swaps").read_text().splitlines()) > 1:
        needs.skip("needs_zram", "swap is in use")
    if not DEVICE.exists():
        subprocess.run(["modprobe", "zram"], check=False, capture_output=True)
    if not DEVICE.exists():
        needs.skip("needs_zram")
    guard = subprocess.Popen(["sh", "-c", GUARD], stdin=subprocess.PIPE, start_new_session=True)
    try:
        (DEVICE / "disksize").write_text(str(mib << 20))
        subprocess.run(["mkswap", "/dev/zram0"], check=True, capture_output=True)
        subprocess.run(["swapon", "/dev/zram0"], check=True)
        yield
    finally:
        guard.stdin.close()
        guard.wait()
        assert len(Path("/proc/swaps").read_text().splitlines()) <= 1
