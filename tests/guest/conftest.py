"""Only in the guest is this directory collected: anywhere else its tests are not skipped, they are not there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.conftest import (  # noqa: F401  the fixtures of tests/live serve here as well
    cgroups,
    disk_directory,
    make_zone,
    measure,
    mem,
    neighbour,
    only_one,
    pauses,
    setting,
    source,
    tmpfs_directory,
    zone,
)

GUEST = Path("/run/guest/command")
SYSTEMD = Path("/run/systemd/system")
HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if not GUEST.exists() or (not SYSTEMD.exists() and collection_path.is_relative_to(HERE / "systemd")):
        return True
    return None


@pytest.fixture
def zram() -> Iterator[None]:
    """256 MiB of swap."""
    subprocess.run(["modprobe", "zram"], check=True)
    device = Path("/sys/block/zram0")
    (device / "disksize").write_text(str(256 << 20))
    subprocess.run(["mkswap", "-q", "/dev/zram0"], check=True)
    subprocess.run(["swapon", "/dev/zram0"], check=True)
    yield
    subprocess.run(["swapoff", "/dev/zram0"], check=True)
    (device / "reset").write_text("1")
