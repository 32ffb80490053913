"""Zones with processes whose memory is known, snapshots of them, and kernel settings that are put back."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.cgroups import TestCgroups, move
from tests.oracle import PAGE, SWAP_BACKED, Kernel, pages_of
from tests.own import NAME
from tests.workloads.build import build_mem
from tests.workloads.mem import Mem, MemError

SOURCES = ("pagemap", "pagetable")


@pytest.fixture(scope="session")
def cgroups() -> Iterator[TestCgroups]:
    """The cgroup of this run; it goes with all that is in it."""
    try:
        made = TestCgroups()
        made.open()
    except OSError as error:
        needs.skip("needs_cgroups", str(error))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def neighbour(cgroups: TestCgroups) -> Iterator[Mem]:
    """A process that all the while maps what every process maps: the vdso.

    Without it the pages of the vdso would belong to a zone alone or not as other processes come and go. It runs
    from a file of its own, so as to share nothing else.
    """
    path = cgroups.make("neighbour")
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-") as directory:
        program = Path(shutil.copy(build_mem(), directory))
        mem = Mem(before_exec=lambda: move(os.getpid(), path), program=program)
        try:
            yield mem
        finally:
            mem.end()
            cgroups.remove(path)


@pytest.fixture
def make_zone(cgroups: TestCgroups, neighbour: Mem) -> Iterator[Callable]:
    """make_zone("a") is a cgroup of its own, with zone.spawn() to start processes in it."""
    from tests.live.measure import Zone

    zones: list[Zone] = []

    def make(name: str) -> Zone:
        zones.append(Zone(cgroups, cgroups.make(name)))
        return zones[-1]

    make.zones = zones
    yield make
    for zone in zones:
        zone.end()
    for zone in zones:
        cgroups.remove(zone.path)


@pytest.fixture
def zone(make_zone: Callable):
    """A zone with one process."""
    zone = make_zone("a")
    zone.spawn()
    return zone


@pytest.fixture
def mem(zone) -> Mem:
    """The process of that zone."""
    return zone.mems[0]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch):
    """Nobody has made us wait before: whom an earlier test found to do so is asked again."""
    from zonerss.kernel.patience import Pauses

    pauses = Pauses()
    for module in ("zonerss.kernel.patience", "zonerss.walk.jobs"):
        monkeypatch.setattr(f"{module}.PAUSES", pauses)
    return pauses


@functools.cache
def cannot_serve(source: str) -> str:
    """Why a source of frames cannot serve on this host; empty when it can."""
    import zonerss
    from zonerss.errors import CannotServe

    try:
        zonerss.take_snapshot(by=("cgroup",), source=source)
    except CannotServe as error:
        return str(error) or "no reason given"
    return ""


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    """Every source of frames that this host can serve, one after the other."""
    reason = cannot_serve(request.param)
    if reason:
        needs.skip("needs_frames" if request.param == "pagemap" else f"needs_{request.param}", reason)
    return request.param


@pytest.fixture
def measure(source: str, make_zone: Callable) -> Callable:
    """measure() is a snapshot of all zones of this test, stopped meanwhile and confirmed by the oracle."""
    from tests.live.measure import measure_zones

    def take(**options):
        return measure_zones(make_zone.zones, source, **options)

    return take


# ---- places for files ----------------------------------------------------------------------------------


@pytest.fixture
def tmpfs_directory() -> Iterator[Path]:
    """On tmpfs, whose pages are shmem."""
    path = Path(tempfile.mkdtemp(prefix=f"{NAME}-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def disk_directory() -> Iterator[Path]:
    """On a file system whose mapped pages are page cache of a file, and can be written through a mapping."""
    for parent in (tempfile.gettempdir(), "/var/tmp"):
        with tempfile.TemporaryDirectory(prefix=f"{NAME}-", dir=parent) as path:
            if pages_are_files(Path(path)):
                yield Path(path)
                return
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-") as path, mounted_image(Path(path)) as directory:
        if not pages_are_files(directory):
            needs.skip("needs_disk_file_system")
        yield directory


@contextmanager
def mounted_image(path: Path) -> Iterator[Path]:
    """A file system in a file, for hosts that have nothing but tmpfs: a virtual machine's, for instance."""
    image, directory = path / "image", path / "mounted"
    directory.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    for command in (["mke2fs", "-q", "-t", "ext4", image], ["mount", "-o", "loop", image, directory]):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            needs.skip("needs_disk_file_system", done.stderr.strip())
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


def pages_are_files(directory: Path) -> bool:
    file = directory / "probe"
    file.write_bytes(bytes(PAGE))
    mem, kernel = Mem(), Kernel()
    try:
        where = mem.map(f"file {file} 1 shared write")
        (page,) = pages_of(kernel, mem.pid, where.start, where.end)
        return not kernel.flags(page.number) & SWAP_BACKED
    except MemError:
        return False
    finally:
        mem.end()
        kernel.close()
        file.unlink()


# ---- settings of the kernel ----------------------------------------------------------------------------


# vm/container shows this directory of the host's. A mount of proc has inodes of its own since Linux 5.8: what is locked
# there is locked for nobody else.
MACHINE_LOCK = "/sys/fs/cgroup"


@pytest.fixture
def only_one() -> Iterator[None]:
    """What the machine has once, as its swap and its huge pages, is one test run's at a time."""
    lock = os.open(MACHINE_LOCK, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield
    os.close(lock)


@pytest.fixture
def setting(only_one: None) -> Iterator[Callable[[str, object], None]]:
    """setting(PATH, VALUE) writes a file of the kernel's; what stood there comes back afterwards."""
    before: list[tuple[Path, str]] = []

    def write(path: str, value: object) -> None:
        file = Path(path)
        text = file.read_text()
        # Where the kernel lists the choices, [this] is the one that is made.
        chosen = re.search(r"\[(.*?)\]", text)
        before.append((file, chosen[1] if chosen else text))
        file.write_text(str(value))

    yield write
    for file, text in reversed(before):
        file.write_text(text)
