"""Zones of real containers: podman's, two of one image, called by the names that people gave them."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import remove, state_of
from tests.oracle import PAGE
from tests.own import NAME
from zonerss.plain import dataclass

PROGRAMS = ("sh", "sleep")
SLEEPS = {"35", "230"}  # nanosleep, clock_nanosleep: their numbers on x86-64


@dataclass(frozen=True)
class Container:
    name: str
    id: str
    pid: int


class Engine:
    """podman, with the options that a host without systemd, or a root without CAP_SYS_RESOURCE, needs."""

    def __init__(self) -> None:
        self.command = ["podman"]
        if shutil.which("runc"):
            self.command += ["--runtime", "runc"]
        if not Path("/run/systemd/system").is_dir():
            self.command += ["--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        self.image = f"localhost/{NAME}"

    def run(self, *arguments: str, stdin: bytes = b"") -> str:
        return subprocess.run(
            [*self.command, *arguments], input=stdin, capture_output=True, check=True, timeout=120
        ).stdout.decode()

    def start(self, name: str, script: str, *options: str) -> Container:
        id = self.run(
            *("run", "--detach", "--name", name, "--network=none", "--init=false"),
            *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", *options),
            *(self.image, "/bin/sh", "-c", script),
        ).strip()
        return Container(name, id, int(self.run("inspect", "--format", "{{.State.Pid}}", id)))

    def remove(self, name: str) -> None:
        self.run("rm", "--force", "--time", "0", "--ignore", name)


def image_tar() -> bytes:
    """A root file system of two programs of this host and the libraries that they map."""
    files = {}
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program
        files[f"bin/{name}"] = program
        listed = subprocess.run(["ldd", program], capture_output=True, check=True).stdout.decode()
        for library in re.findall(r"(/\S+) \(0x", listed):
            files[library.lstrip("/")] = library
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", dereference=True) as tar:
        for inside, outside in files.items():
            tar.add(Path(outside).resolve(), inside)
    return out.getvalue()


def cgroup_leftovers() -> set[Path]:
    """podman's own cgroups, which stay when its last container is gone."""
    tops = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
    return {
        path
        for top in tops
        for path in (top / "libpod_parent/conmon", top / "libpod_parent")
        if path.is_dir()
    }


@contextmanager
def no_cgroup_leftovers() -> Iterator[None]:
    """Remove what podman's containers leave; what somebody else's containers are in by now stays."""
    before = cgroup_leftovers()
    try:
        yield
    finally:
        for path in sorted(cgroup_leftovers() - before, reverse=True):
            with suppress(OSError):
                remove(path)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    if not shutil.which("podman"):
        needs.skip("needs_container_engine", "podman is not installed")
    with no_cgroup_leftovers(), ordinary_storage():
        yield from prepared_engine()


@contextmanager
def ordinary_storage() -> Iterator[None]:
    """podman's directories for as long as the tests take, where its own lie on an overlay, which holds no other."""
    kept, running = Path("/var/lib/containers"), Path("/run/containers")
    with ExitStack() as mounts:
        kept.mkdir(exist_ok=True)
        kind = subprocess.run(["stat", "--file-system", "--format=%T", kept], capture_output=True, check=True)
        if kind.stdout.strip() == b"overlayfs":
            for place in (kept, running):  # The latter remembers that overlay did not work.
                place.mkdir(exist_ok=True)
                subprocess.run(["mount", "-t", "tmpfs", "zonerss-test", place], check=True)
                mounts.callback(subprocess.run, ["umount", "--lazy", place], check=True)
        yield


def prepared_engine() -> Iterator[Engine]:
    podman = Engine()
    try:
        podman.run("import", "-", podman.image, stdin=image_tar())
    except (subprocess.SubprocessError, OSError) as error:
        needs.skip("needs_container_engine", said(error))
    try:
        try:
            podman.run(
                "run",
                "--rm",
                "--network=none",
                "--ulimit=nofile=64:64",
                "--ulimit=nproc=64:64",
                podman.image,
                "/bin/sleep",
                "0",
            )
        except (subprocess.SubprocessError, OSError) as error:
            needs.skip("needs_container_engine", said(error))
        yield podman
    finally:
        podman.run("rmi", "--force", podman.image)


def said(error: Exception) -> str:
    text = getattr(error, "stderr", None) or str(error).encode()
    return text.decode(errors="replace").strip().rpartition("\n")[2]


@pytest.fixture
def start(engine: Engine) -> Iterator[Callable[[str], Container]]:
    """start("a") runs a container with two idle processes; its name is made unique."""
    names = []

    def start(name: str, script: str = "sleep 1000 & wait", *options: str) -> Container:
        names.append(f"{NAME}-{name}")
        container = engine.start(names[-1], script, *options)
        until(lambda: is_idle(container.pid))
        return container

    try:
        yield start
    finally:
        for name in names:
            engine.remove(name)


def is_idle(pid: int) -> bool:
    """Whether the shell waits for its child, which sleeps: both have all that they will ever map."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (
        bool(children)
        and comm(children[0]) == "sleep"
        and Path(f"/proc/{children[0]}/syscall").read_text().split()[0] in SLEEPS
        and state_of(pid, pid) == "S"
    )


def comm(pid: str) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def until(done: Callable[[], object]) -> None:
    for _ in range(6000):
        with suppress(OSError):
            if done():
                return
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def usages(*containers: Container) -> list[zonerss.Usage]:
    zones = {zone.zone: zone for zone in zonerss.take_snapshot(by="zone").zones}
    return [zones[container.name] for container in containers]


def test_two_containers_of_one_image_by_their_names(start):
    one, two = start("one"), start("two")
    for container, usage in zip((one, two), usages(one, two), strict=True):
        assert usage.kind == "podman"
        assert usage.id == container.id
        assert usage.processes == 2
        assert usage.cgroup is not None
        assert usage.cgroup.rpartition("/")[2] in (f"libpod-{container.id}", f"libpod-{container.id}.scope")
        assert usage.charged_bytes is not None
        assert usage.process_rss_bytes > usage.rss_bytes > usage.exclusive_bytes > 0


def test_the_pages_of_one_image_are_shared(engine, start):
    if engine.run("info", "--format", "{{.Store.GraphDriverName}}").strip() != "overlay":
        needs.skip("needs_container_engine", "only overlay shares the files of an image")
    one, two = start("one"), start("two")
    first, second = usages(one, two)
    together = zonerss.take_snapshot(by="zone", zone=[one.name, two.name]).total.rss_bytes
    libc = max(Path(name).stat().st_size for name in libraries(one.pid))
    shared = first.rss_bytes + second.rss_bytes - together
    assert libc / 4 < shared <= min(first.shared_bytes, second.shared_bytes)


def by_image(*words: str) -> dict[str, object]:
    command = [sys.executable, "-m", "zonerss", "share", "--by-image", "--json", *words]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


def test_what_containers_of_one_image_save(engine, start):
    one, two, three = start("one"), start("two"), start("three")
    document = by_image()
    (image,) = (image for image in document["images"] if one.name in image["containers"])
    assert image["id"] == engine.run("image", "inspect", "--format", "{{.Id}}", engine.image).strip()
    assert image["name"] == f"{engine.image}:latest"
    assert image["containers"] == sorted((one.name, two.name, three.name))
    found = usages(one, two, three)
    together = zonerss.take_snapshot(by="zone", zone=[one.name, two.name, three.name]).total.rss_bytes
    assert image["rss_bytes"] == together
    assert image["apart_bytes"] == sum(usage.rss_bytes for usage in found)
    assert image["saved_bytes"] == image["apart_bytes"] - together
    assert image["saved_bytes"] >= image["shared_bytes"] > 0
    if engine.run("info", "--format", "{{.Store.GraphDriverName}}").strip() != "overlay":
        needs.skip("needs_container_engine", "only overlay shares the files of an image")
    assert image["shared_bytes"] == sum(held["bytes"] for held in image["holds"])
    assert any(held["name"].endswith("libc.so.6") for held in image["holds"])
    libc = max(Path(name).stat().st_size for name in libraries(one.pid))
    assert image["saved_bytes"] > libc / 2


def test_a_recording_knows_images_of_containers_that_have_ended(engine, start, tmp_path):
    one, two = start("one"), start("two")
    file = str(tmp_path / "a.zrec")
    command = [sys.executable, "-m", "zonerss", "record", "-o", file, "--for", "0.1"]
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
    now = by_image()
    engine.remove(two.name)
    (found,) = (image for image in now["images"] if one.name in image["containers"])
    (kept,) = (image for image in by_image("--from", file)["images"] if one.name in image["containers"])
    for name in ("id", "name", "containers", "rss_bytes", "apart_bytes", "saved_bytes"):
        assert kept[name] == found[name], name
    assert kept["containers"] == sorted((one.name, two.name))


def test_an_image_without_a_name_and_one_that_has_ended(engine, start):
    one, two = start("one"), start("two")
    engine.run("untag", engine.image)
    try:
        (image,) = (image for image in by_image()["images"] if one.name in image["containers"])
        assert image["name"] is None
        assert image["containers"] == sorted((one.name, two.name))
    finally:
        engine.run("tag", image["id"], engine.image)
    engine.remove(two.name)
    (image,) = (image for image in by_image()["images"] if one.name in image["containers"])
    assert (image["containers"], image["saved_bytes"]) == ([one.name], 0)


def libraries(pid: int) -> set[str]:
    return {
        f"/proc/{pid}/root{line.split()[-1]}"
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines()
        if line.endswith(("libc.so.6", ".so"))
    }


# 4 MiB of a word, written to a disk, so that the container pays for page cache.
FILL = "x=0123456789abcdef; i=0; while [ $((i+=1)) -le 18 ]; do x=$x$x; done; echo $x >/disk/f; x="


def test_podmans_number_is_that_of_its_version(engine, start, disk_directory):
    version = tuple(int(part) for part in re.findall(r"\d+", engine.run("--version"))[:2])
    one = start("one", f"{FILL}; sleep 1000 & wait", "--volume", f"{disk_directory}:/disk")
    command = [sys.executable, "-m", "zonerss", "explain", one.name, "--numbers", "--json"]
    done = subprocess.run(command, capture_output=True, check=True)
    rows = {row["name"]: row["bytes"] for row in json.loads(done.stdout)["numbers"]}
    said = engine.run("stats", "--no-stream", "--format", "{{.ContainerStats.MemUsage}}", one.id)
    before = (4, 7) if "usage_in_bytes" in rows else (4, 0)
    name = (
        "podman stats" if version >= (5, 6) else "podman, before" if version >= before else "podman, at first"
    )
    slack = 64 * os.cpu_count() * PAGE
    assert abs(int(said) - rows[name]) <= slack, rows
    others = {"podman stats", "podman, before", "podman, at first"} - {name}
    assert any(abs(int(said) - rows[other]) > 2 * slack for other in others), rows


def test_stopping_one_changes_the_others_rss_by_nothing(engine, start):
    one, two = start("one"), start("two")
    _, before = usages(one, two)
    engine.remove(one.name)
    (after,) = usages(two)
    assert after.rss_bytes == before.rss_bytes
    assert after.exclusive_bytes >= before.exclusive_bytes


def test_the_monitor_is_no_part_of_the_container(start):
    one = start("one")
    monitor = re.search(r"^PPid:\t(\d+)$", Path(f"/proc/{one.pid}/status").read_text(), re.MULTILINE)[1]
    assert comm(monitor) == "conmon"
    snapshot = zonerss.take_snapshot(by="zone", processes=True)
    zone_of = {process.pid: process.zone for process in snapshot.processes}
    assert zone_of[one.pid] == one.name
    assert zone_of[int(monitor)] != one.name
    # podman gives it a cgroup, unless podman is run by a systemd service: then it stays in that.
    if "conmon" in Path(f"/proc/{monitor}/cgroup").read_text():
        assert zone_of[int(monitor)] in ("conmon", f"{one.name}/conmon")


def test_a_cgroup_that_the_container_made_belongs_to_it(start):
    one = start("one")
    (before,) = usages(one)
    made = [Path(f"/sys/fs/cgroup{top}{before.cgroup}") for top in ("/memory", "")]
    inner = next(path for path in made if path.is_dir()) / "inner"
    inner.mkdir()
    child = Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()[0]
    try:
        (inner / "cgroup.procs").write_text(child)
        (moved,) = usages(one)
        assert (moved.processes, moved.cgroup) == (before.processes, before.cgroup)
    finally:
        with suppress(OSError):
            (inner.parent / "cgroup.procs").write_text(child)
        inner.rmdir()


def test_a_container_that_ends_during_the_walk_is_a_gap_or_gone(engine, start):
    lasting, brief = start("lasting"), start("brief")
    with subprocess.Popen([*engine.command, "kill", brief.name], stdout=subprocess.DEVNULL) as killer:
        while killer.poll() is None:
            snapshot = zonerss.take_snapshot(by="zone")
            assert lasting.name in {zone.zone for zone in snapshot.zones}
    (usage,) = usages(lasting)
    assert usage.processes == 2


def test_the_json_has_the_name_and_the_full_id(start):
    one = start("one")
    command = [sys.executable, "-m", "zonerss", "--json", "--zone", one.name]
    document = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    (zone,) = document["zones"]
    assert (zone["zone"], zone["id"]) == (one.name, one.id)


def test_by_slice_and_session_hold_the_same_processes(start):
    one = start("one")
    snapshot = zonerss.take_snapshot(by=("zone", "session", "slice", "cgroup"))
    session = next(zone for zone in snapshot.groupings[1].zones if zone.zone == one.name)
    zone = next(zone for zone in snapshot.zones if zone.zone == one.name)
    assert session == zone
    assert len({grouping.by for grouping in snapshot.groupings}) == 4
