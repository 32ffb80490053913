"""The command `zonerss cap` on known zones: cold and hot pages of files, which need no swap, and who else maps them.

mem's own pages are locked, so what can be had is what the test maps. Hot pages are read all the while by a thread.
Others may clear accessed bits, too (DAMON), so a hot page may be taken for a cold one, and come back: few are. DAMON
may also page out what is cold, at any time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import contract
from tests.live import needs
from tests.live.conftest import cannot_serve
from tests.live.measure import Zone, major_faults
from tests.live.swap import swap_on
from tests.live.test_cap_hands import a_table, cached
from tests.live.test_stuck import a_stuck_process
from tests.oracle import PAGE, Kernel, pages_of
from tests.workloads.mem import Mem, Range
from zonerss.cap.foretold import foretell
from zonerss.kernel.capper import DIRECTORY
from zonerss.kernel.clearers import running_damon
from zonerss.kernel.roots import HOST
from zonerss.snapshot import Session

PROJECT = Path(__file__).resolve().parents[2]
MIB = (1 << 20) // PAGE
HOT, COLD = 6 * MIB, 10 * MIB
SPARE = 64 * PAGE
"""What the kernel may hold back of pages that a processor has just allocated, and what DAMON makes look cold."""


@pytest.fixture(autouse=True)
def alone(only_one: None) -> None:
    """One capper a machine."""
    if reason := cannot_serve("pagetable"):
        needs.skip("needs_pagetable", reason)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "zonerss", "cap", *words, "--by", "cgroup"]


def cap(*words: str) -> Any:
    """The document of a command that ends."""
    done = subprocess.run([*command(*words), "--json"], cwd=PROJECT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    contract.check(document)
    return document


def refused(*words: str) -> str:
    done = subprocess.run(command(*words), cwd=PROJECT, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def a_file(directory: Path, pages: int) -> Path:
    path = directory / f"file-{pages}"
    path.write_bytes(os.urandom(pages * PAGE))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path


def map_file(mem: Mem, path: Path, pages: int) -> Range:
    return mem.map(f"file {path} {pages} shared read")


@contextmanager
def again_and_again(act: Callable[[], object]) -> Iterator[None]:
    """Done by a thread; nothing else may be asked of its processes meanwhile."""
    ended, failed = threading.Event(), list[BaseException]()

    def repeat() -> None:
        try:
            while not ended.wait(0.05):
                act()
        except BaseException as err:
            failed.append(err)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert not failed


def reading(mem: Mem, where: Range, first: int, pages: int) -> AbstractContextManager[None]:
    """These pages are read again and again."""
    return again_and_again(lambda: mem.read(where, first, pages))


def present(where: Range, first: int, pages: int) -> int:
    kernel = Kernel()
    try:
        start = where.start + first * PAGE
        return sum(1 for _ in pages_of(kernel, where.pid, start, start + pages * PAGE))
    finally:
        kernel.close()


def undisturbed(began: float) -> bool:
    """Whether only we can have paged out what was touched then: DAMON takes what nobody has touched for a minute."""
    return time.monotonic() - began < 45 or not running_damon(HOST)


def rss(zone: Zone) -> int:
    with Session("pagetable") as session:
        (usage,) = session.take("cgroup", zone=[zone.name]).zones
        return usage.rss_bytes


@pytest.fixture
def mapped(disk_directory: Path, zone: Zone, mem: Mem) -> Range:
    """Pages of a file that one process maps; the first HOT of them are to be read."""
    return mem.map_file_of_single_pages(disk_directory / "mapped", HOT + COLD)


# ---- a dry run, and an enforced one ----------------------------------------------------------------------


def test_a_dry_run_tells_what_could_be_had_and_takes_nothing(zone: Zone, mem: Mem, mapped: Range) -> None:
    began, before = time.monotonic(), rss(zone)
    with reading(mem, mapped, 0, HOT):
        document = cap(f"{zone.name}={before - 8 * MIB * PAGE}", "--once", "--cold", "1s")
    (found,) = document["zones"]
    assert (document["enforce"], found["nover"], found["pout_bytes"]) == (False, 1, 0)
    forecast = found["forecast"]
    assert forecast["rss_bytes"] == sum(
        forecast[f"{name}_bytes"]
        for name in (
            "shared",
            "locked",
            *(f"{part}_{kind}" for part in ("several", "own") for kind in ("anon", "file", "shmem")),
        )
    )
    assert forecast["text"].startswith(f"over by {found['excess_bytes'] // (1 << 20)}")
    assert forecast["working_set_bytes"] <= before - COLD * PAGE + SPARE
    if undisturbed(began):
        assert abs(found["excess_bytes"] - 8 * MIB * PAGE) <= SPARE
        assert forecast["cold_file_bytes"] >= COLD * PAGE - SPARE
        assert present(mapped, 0, HOT + COLD) == HOT + COLD


def test_a_zone_that_could_not_be_read_whole_is_not_told_to_be_under_its_cap(
    zone: Zone, mem: Mem, mapped: Range, tmp_path: Path
) -> None:
    limit = rss(zone) + SPARE
    with a_stuck_process(tmp_path) as stuck:
        zone.add(stuck.pid)
        document = cap(f"{zone.name}={limit}", "--once")
    (found,) = document["zones"]
    assert found["bound_bytes"] > limit
    if found["rss_bytes"] is not None:  # not every kernel writes back under the lock
        assert "unread" not in [warning["name"] for warning in document["warnings"]]
        return
    assert (found["excess_bytes"], found["forecast"]) == (None, None)
    assert "whether it is over is not known: 1 process could not be read" in found["last_action"]
    assert [warning["name"] for warning in document["warnings"]] == ["unread"]


def test_enforced_it_comes_under_its_cap_and_what_is_used_stays(zone: Zone, mem: Mem, mapped: Range) -> None:
    began, before, faults = time.monotonic(), rss(zone), major_faults(mem.pid)
    limit = before - 8 * MIB * PAGE
    with reading(mem, mapped, 0, HOT):
        document = cap(f"{zone.name}={limit}", "--once", "--cold", "1s", "--enforce")
    (found,) = document["zones"]
    assert rss(zone) <= limit
    excess = before - limit
    assert found["pout_bytes"] <= excess + limit // 20 + SPARE
    if undisturbed(began):
        assert excess - SPARE <= found["pout_bytes"]
        assert found["nover"] == 1
    assert present(mapped, 0, HOT) >= HOT - SPARE // PAGE
    assert present(mapped, HOT, COLD) <= COLD - found["pout_bytes"] // PAGE + SPARE // PAGE
    assert major_faults(mem.pid) - faults <= SPARE // PAGE
    assert found["excess_bytes"] == 0


def test_what_a_neighbour_maps_is_not_taken(make_zone: Callable, disk_directory: Path) -> None:
    began, path = time.monotonic(), a_file(disk_directory, COLD)
    web, other = make_zone("web"), make_zone("other")
    ours, theirs = map_file(web.spawn(), path, COLD), map_file(other.spawn(), path, COLD)
    faults = major_faults(theirs.pid)
    with reading(other.mems[0], theirs, 0, COLD):
        document = cap(f"{web.name}={rss(web) // 2}", "--once", "--cold", "1s", "--enforce")
    (found,) = document["zones"]
    assert f"is shared with {other.name}" in found["last_action"]
    assert found["forecast"]["shared_bytes"] >= COLD * PAGE
    assert other.name in [shared["zone"] for shared in found["forecast"]["shared_with"]]
    assert found["pout_bytes"] <= SPARE
    assert present(theirs, 0, COLD) == COLD
    if undisturbed(began):
        assert present(ours, 0, COLD) == COLD
    assert major_faults(theirs.pid) == faults


def test_a_working_set_above_the_cap_is_told_at_the_first_look(zone: Zone, mem: Mem, mapped: Range) -> None:
    before, faults = rss(zone), major_faults(mem.pid)
    limit = before - (COLD + HOT // 2) * PAGE
    with reading(mem, mapped, 0, HOT):
        document = cap(f"{zone.name}={limit}", "--once", "--cold", "1s", "--enforce")
    (found,) = document["zones"]
    assert "above its cap" in found["last_action"] or "above the cap" in found["last_action"]
    assert found["excess_bytes"] > 0
    assert found["pout_bytes"] <= COLD * PAGE + SPARE  # the cold, and no more
    assert found["refault_bytes"] <= SPARE
    assert present(mapped, 0, HOT) >= HOT - SPARE // PAGE
    assert major_faults(mem.pid) - faults <= SPARE // PAGE
    assert mem.process.poll() is None


def test_the_studys_table(make_zone: Callable, disk_directory: Path) -> None:
    """With what docs/cap.md says of it: a zone of 120 MiB comes under 80, and nobody feels it."""
    limit = 80 << 20
    with ExitStack() as stack:
        table = stack.enter_context(a_table(make_zone, disk_directory))
        stack.enter_context(swap_on(128))
        cache, faults = cached(table.unmapped), major_faults(table.mem.pid)
        theirs = major_faults(table.neighbour.pid)
        with again_and_again(lambda: table.work(0)):
            excess = rss(table.zone) - limit
            (found,) = cap(f"{table.zone.name}={limit}", "--once", "--cold", "1s", "--enforce")["zones"]
            assert rss(table.zone) <= limit
        assert excess - SPARE <= found["pout_bytes"] <= excess + limit // 20
        assert (found["nover"], found["excess_bytes"]) == (1, 0)
        assert found["refault_bytes"] <= SPARE
        assert all(present(where, 0, where.pages) >= where.pages - SPARE // PAGE for where in table.hot)
        assert present(table.theirs, 0, table.theirs.pages) == table.theirs.pages
        assert major_faults(table.mem.pid) - faults <= SPARE // PAGE
        assert major_faults(table.neighbour.pid) == theirs
        assert cached(table.unmapped) == cache


@pytest.mark.parametrize("way", ["user", "euser", "zone/user", "euser/zone"])
def test_zones_of_users_have_caps(way: str) -> None:
    words = ["cap", "*=1000G", "--by", way, "--once", "--cold", "0s", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "zonerss", *words], cwd=PROJECT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    contract.check(document)
    with Session("pagetable") as session:
        assert {one["zone"] for one in document["zones"]} & {u.zone for u in session.take(way).zones}


# ---- one that lasts --------------------------------------------------------------------------------------


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(*words), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str], wanted: Callable[[Any], bool]) -> Any:
    """What --status says once it is as wanted."""
    while process.poll() is None:
        done = subprocess.run(
            [sys.executable, "-m", "zonerss", "cap", "--status", "--json"],
            cwd=PROJECT,
            capture_output=True,
            check=False,
        )
        document = json.loads(done.stdout) if done.returncode == 0 else None
        if document is not None and document["pid"] == process.pid and wanted(document):
            return document
        time.sleep(0.2)
    raise AssertionError(process.communicate())


def has_taken(said: Any) -> bool:
    return bool(said["zones"]) and said["zones"][0]["pout_bytes"] > 0


def has_shrunk(mapped: Range, excess_bytes: int) -> bool:
    """So much is gone, whoever has taken it: nothing may be over any more."""
    return (HOT + COLD - present(mapped, 0, HOT + COLD)) * PAGE >= excess_bytes - SPARE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_0(zone: Zone, mem: Mem, mapped: Range, number: int) -> None:
    with running(f"{zone.name}={rss(zone) // 2}", "--cold", "1h", "--enforce") as process:
        document = told(process, lambda said: bool(said["zones"]) and said["zones"][0]["nover"] == 1)
        assert document["zones"][0]["pout_bytes"] == 0
        process.send_signal(number)
        assert process.wait(60) == 0
    assert os.listdir(DIRECTORY) == ["lock"]


def test_one_that_is_killed_leaves_nothing(zone: Zone, mem: Mem, mapped: Range) -> None:
    limits = {path: path.read_text() for path in zone.path.glob("memory.*limit*")}
    limits |= {path: path.read_text() for path in zone.path.glob("memory.high")}
    limits |= {path: path.read_text() for path in zone.path.glob("memory.max")}
    size = rss(zone)
    with running(f"{zone.name}={size // 2}", "--cold", "1s", "--enforce") as process:
        # Used until the capper is there: what nobody touches for a minute DAMON may page out, and then nothing is over.
        with reading(mem, mapped, 0, HOT + COLD):
            told(process, lambda said: bool(said["zones"]) and said["zones"][0]["nover"] == 1)
        told(process, lambda said: has_taken(said) or has_shrunk(mapped, size - size // 2))
        process.kill()
        process.wait()
    assert {path: path.read_text() for path in limits} == limits
    mem.read(mapped, 0, HOT + COLD)  # it goes on
    done = subprocess.run(
        [sys.executable, "-m", "zonerss", "cap", "--status"], cwd=PROJECT, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"no capper runs" in done.stderr


# ---- a file of caps ----------------------------------------------------------------------------------------


def write(file: Path, text: str) -> None:
    beside = file.with_name("new")
    beside.write_text(text)
    beside.chmod(0o600)
    beside.rename(file)


def test_caps_are_read_anew_and_old_ones_stay_where_new_ones_are_wrong(
    zone: Zone, mem: Mem, mapped: Range, tmp_path: Path
) -> None:
    file, size = tmp_path / "caps.toml", rss(zone)

    def table(cap: object, more: str = "") -> str:
        return f"[[cap]]\nzone = '{zone.name}'\ncap = '{cap}'\n{more}"

    def is_capped(size: int) -> Callable[[Any], bool]:
        return lambda said: [one["cap_bytes"] for one in said["zones"]] == [size] and not said["warnings"]

    def is_wrong(where: str, why: str) -> Callable[[Any], bool]:
        start = f"{file}{where}"
        return lambda said: any(
            warning["text"].startswith(start) and why in warning["text"] for warning in said["warnings"]
        )

    write(file, table(10 * size))
    with running("--caps", str(file), "--cold", "1s", "--enforce") as process:
        told(process, is_capped(10 * size))
        # Read meanwhile: what nobody touches for a minute DAMON may page out, and then nothing is over.
        with reading(mem, mapped, 0, HOT + COLD):
            for text, where, why in (
                (table(size, "flor = 1\n"), ":4:1: ", "unknown key 'flor'"),
                (table("-5M"), ":3:7: ", "'-5M' is no size"),
                (table("5 parsecs"), ":3:7: ", "'5 parsecs' is no size"),
                (table("1M", "floor = '2M'\n"), ":4:9: ", "floor (2M) is above cap (1M)"),
            ):
                write(file, text)
                assert told(process, is_wrong(where, why))["zones"][0]["cap_bytes"] == 10 * size
            absent = "[[cap]]\nzone = 'no-such-zone-*'\ncap = '1M'\n"
            write(file, absent + table(10 * size))  # a rule for no zone is told of, and the others hold
            document = told(process, is_wrong(":1:1: ", "no zone is called"))
            assert [one["origin"] for one in document["zones"]] == [f"{file}:4:1"]
            write(file, table(size))
            file.chmod(0o660)
            assert (
                told(process, is_wrong(" is not", "written to by its group"))["zones"][0]["cap_bytes"]
                == 10 * size
            )
            file.rename(tmp_path / "other")
            file.symlink_to("other")
            assert told(process, is_wrong(" is not", "symbolic link"))["zones"][0]["cap_bytes"] == 10 * size
        write(file, table(size - 4 * MIB * PAGE))
        document = told(process, lambda said: has_taken(said) or has_shrunk(mapped, 4 * MIB * PAGE))
        assert document["zones"][0]["cap_bytes"] == size - 4 * MIB * PAGE
        assert document["zones"][0]["origin"] == f"{file}:1:1"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr is not None
        said = process.stderr.read()
        assert f"{file}:3:7: cap: '-5M' is no size" in said
        assert "; the caps from before stay" in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[cap]]\nzone = 'x'\ncap = '-5M'\n", ":3:7: cap: '-5M' is no size"),
        ("[[cap]]\nzone = 'x'\ncap = '1M'\nfloor = '2M'\n", ":4:9: floor (2M) is above cap (1M)"),
    ],
)
def test_what_is_refused_at_the_start(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "caps.toml"
    write(file, text)
    assert f"{file}{why}" in refused("--caps", str(file), "--once")


def test_the_command_of_a_zone_that_is_over(zone: Zone, mem: Mem, mapped: Range, tmp_path: Path) -> None:
    file, out, size = tmp_path / "caps.toml", tmp_path / "out", rss(zone)
    program = ["/bin/sh", "-c", f'echo "$ZONERSS_ZONE $ZONERSS_RSS_BYTES $ZONERSS_CAP_BYTES" > {out}']
    cap_bytes = size - 4 * MIB * PAGE
    write(file, f"[[cap]]\nzone = '{zone.name}'\ncap = '{cap_bytes}'\ncommand = {json.dumps(program)}\n")
    cap("--caps", str(file), "--once", "--cold", "1s")
    assert not out.exists()
    cap("--caps", str(file), "--once", "--cold", "1s", "--enforce")
    name, rss_bytes, told_cap = out.read_text().split()
    assert (name, int(told_cap)) == (zone.name, cap_bytes)
    assert abs(int(rss_bytes) - size) <= SPARE


# ---- the page of a zone ------------------------------------------------------------------------------------


def test_the_page_of_a_zone_tells_what_could_be_had(zone: Zone, mem: Mem, mapped: Range) -> None:
    words = [sys.executable, "-m", "zonerss", "zone", zone.name, "--by", "cgroup", "--cap", "1M", "--json"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, check=True)
    (found,) = json.loads(done.stdout)["zones"]
    forecast = found["forecast"]
    assert forecast["own_file_bytes"] == (HOT + COLD) * PAGE
    assert (forecast["cap_bytes"], forecast["painless_bytes"]) == (1 << 20, None)
    assert "coldness was not measured" in forecast["text"]
    with Session("pagetable") as session:
        again = foretell(session, "cgroup", [zone.name], 1 << 20)[zone.name]
    assert again.own_file_bytes == (HOT + COLD) * PAGE
    assert again.rss_bytes - (1 << 20) == again.excess_bytes
