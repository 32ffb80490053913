"""record -- COMMAND on the real kernel: known memory, its cgroup, its signals, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live.cgroups import Hierarchy, memory_cgroup_of
from tests.oracle import PAGE
from tests.workloads.mem import Mem
from zonerss.history.recording import Recording

PROJECT = Path(__file__).parents[2]
RECORD = (sys.executable, "-m", "zonerss", "record", "--no-config")
TRIES = 600


def until(happens: Callable[[], bool]) -> None:
    """Wait for it, for so long that it fails only where it does not come at all."""
    for _ in range(TRIES):
        if happens():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def runner(report: Path, *options: str) -> list[str]:
    return [*RECORD, "--json", "--report", str(report), *options, "--"]


def recorded(tmp_path: Path, *command: str, options: tuple[str, ...] = ()) -> tuple[dict, int]:
    """The report of a command, and with which status record ended."""
    report = tmp_path / "report.json"
    done = subprocess.run([*runner(report, *options), *command], cwd=PROJECT, check=False)
    return json.loads(report.read_text()), done.returncode


def made_cgroups() -> list[Path]:
    """All cgroups of commands that there are, in the part of the hierarchy where they may be."""
    hierarchy = Hierarchy()
    own = hierarchy.mount / os.path.relpath(memory_cgroup_of(os.getpid()), hierarchy.root)
    places = {own, own.parent} if own != hierarchy.mount else {own}
    return [path for place in places if place.is_dir() for path in place.glob("zonerss-run-*")]


@pytest.fixture(autouse=True)
def no_cgroup_is_left() -> Iterator[None]:
    before = set(made_cgroups())
    yield
    assert set(made_cgroups()) <= before


@pytest.fixture
def run_mem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Mem]]:
    """run_mem(OPTIONS) is a mem that record runs."""
    monkeypatch.chdir(PROJECT)
    running: list[Mem] = []

    def begin(*options: str) -> Mem:
        running.append(Mem(runner=runner(tmp_path / "report.json", *options)))
        return running[-1]

    yield begin
    for mem in running:
        with suppress(OSError):
            mem.process.stdin.close()
        mem.process.wait()
        mem.process.stdout.close()


def end(mem: Mem, tmp_path: Path) -> dict:
    mem.process.stdin.close()
    mem.process.wait()
    return json.loads((tmp_path / "report.json").read_text())


def sizes(path: Path) -> list[int]:
    """Pages of private memory that each kept look saw of the command."""
    if not path.exists():
        return []
    with Recording(path) as recording:
        return [
            zone.anon_bytes // PAGE
            for moment in recording.moments()
            for zone in moment.snapshot.zones
            if zone.zone.startswith("zonerss-run-")
        ]


def test_its_peak_is_exact_to_the_page(run_mem: Callable[..., Mem], tmp_path: Path):
    kept = tmp_path / "x.zrec"
    mem = run_mem("-o", str(kept), "--interval", "0.1", "--lean")
    met = len(sizes(kept))  # of before it was ready
    until(lambda: len(sizes(kept)) > met + 1)
    first = sizes(kept)[-1]
    small = mem.map("anon 1009")
    until(lambda: sizes(kept)[-1] == first + 1009)
    large = mem.map("anon 5003")
    until(lambda: sizes(kept)[-1] == first + 1009 + 5003)
    mem.unmap(large, 0, large.pages)
    until(lambda: sizes(kept)[-1] == first + 1009)
    assert small.pages == 1009
    report = end(mem, tmp_path)
    assert report["peak"]["anon_bytes"] == (first + 1009 + 5003) * PAGE
    assert report["last"]["anon_bytes"] >= first * PAGE
    assert report["peak"]["zone"] == report["zone"]
    assert report["peak"]["cgroup"] == report["cgroup"]
    assert report["exit_status"] == 0
    assert report["largest_process_bytes"] is None or report["largest_process_bytes"] > 6012 * PAGE
    assert report["peak_charged_bytes"] is None or report["peak_charged_bytes"] >= 6012 * PAGE


def test_what_it_shares_and_with_whom(
    run_mem: Callable[..., Mem], make_zone, disk_directory: Path, tmp_path: Path
):
    file = disk_directory / "shared"
    file.write_bytes(bytes(83 * PAGE))
    other = make_zone("other").spawn()
    other.map(f"file {file} 83 shared read")
    kept = tmp_path / "x.zrec"
    mem = run_mem("-o", str(kept), "--interval", "0.1")
    mem.map(f"file {file} 83 shared read")
    mem.map("anon 2003")  # so that the peak is from now on
    until(lambda: bool(sizes(kept)) and sizes(kept)[-1] > 2003)
    report = end(mem, tmp_path)
    assert {name.rpartition("/")[2]: size for name, size in names_of(report).items()}["shared"] == 83 * PAGE
    (found,) = (entry for entry in report["files"] if entry["name"] and entry["name"].endswith("/shared"))
    assert found["exclusive_bytes"] == 0
    others = {entry["zone"] for entry in found["mapped_by"]} - {report["zone"]}
    shared = {entry["zone"]: entry["bytes"] for entry in report["shared_with"]}
    assert len(others) == 1
    assert shared[others.pop()] >= 83 * PAGE


def names_of(report: dict) -> dict[str, int]:
    return {entry["name"]: entry["bytes"] for entry in report["files"] if entry["name"]}


def test_it_ends_with_the_status_of_the_command(tmp_path: Path):
    report, code = recorded(tmp_path, "sh", "-c", "kill -KILL $$")
    assert code == report["exit_status"] == 128 + signal.SIGKILL


def test_what_is_over_before_a_look_has_a_bill_and_no_rss(tmp_path: Path):
    report, _ = recorded(tmp_path, "true")
    assert (report["peak"] is None) == (report["looks"] == 0)
    assert report["peak_charged_bytes"] != 0
    assert report["largest_process_bytes"] is None


def test_processes_that_it_leaves_are_told_and_live_on(tmp_path: Path):
    report, code = recorded(tmp_path, "sh", "-c", "sleep 600 >/dev/null 2>&1 & exit 3")
    (pid,) = report["left_processes"]
    (left,) = (path for path in made_cgroups() if path.name == report["zone"])
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not (left / "cgroup.procs").read_text())
    until(lambda: remove(left))
    assert code == 3


def remove(path: Path) -> bool:
    with suppress(OSError):
        path.rmdir()
    return not path.exists()


def test_a_signal_to_record_ends_the_command_and_is_told(tmp_path: Path):
    report = tmp_path / "report.json"
    running = subprocess.Popen([*runner(report), "sleep", "600"], cwd=PROJECT)
    until(lambda: any((path / "cgroup.procs").read_text() for path in made_cgroups()))
    running.send_signal(signal.SIGTERM)
    assert running.wait() == 128 + signal.SIGTERM
    assert json.loads(report.read_text())["signal"] == signal.SIGTERM


def test_what_a_killed_record_leaves_is_removed_by_the_next(tmp_path: Path):
    report = tmp_path / "report.json"
    running = subprocess.Popen([*runner(report), "sleep", "600"], cwd=PROJECT)
    until(lambda: any((path / "cgroup.procs").read_text() for path in made_cgroups()))
    (left,) = (path for path in made_cgroups() if path.name == f"zonerss-run-{running.pid}")
    pid = int((left / "cgroup.procs").read_text())
    running.kill()
    running.wait()
    os.kill(pid, 0)  # the command lives on
    os.kill(pid, signal.SIGKILL)
    until(lambda: not (left / "cgroup.procs").read_text())
    recorded(tmp_path, "true")
    assert not left.exists()


@pytest.mark.parametrize("who", ["alone", "with others", "with others and a limit"])
def test_where_its_cgroup_is(who: str, make_zone, cgroups, tmp_path: Path):
    """On version 2 a cgroup with processes hands no memory controller down: docs/record.md has the four cases."""
    zone, report = make_zone("a"), tmp_path / "report.json"
    is_first = cgroups.hierarchy.version == 1
    if who != "alone":
        zone.spawn()
    if who.endswith("limit"):
        limit = "memory.limit_in_bytes" if is_first else "memory.max"
        (zone.path / limit).write_text(str(1 << 30))
    command = [*runner(report), "sh", "-c", "sleep 0.5"]
    subprocess.run(command, cwd=PROJECT, check=True, preexec_fn=lambda: zone.add(os.getpid()))
    found = json.loads(report.read_text())
    is_beside = not is_first and who == "with others"
    assert found["cgroup"].rpartition("/")[0] == (zone.name.rpartition("/")[0] if is_beside else zone.name)
    assert found["peak"] is not None
    is_billed = is_first or not who.endswith("limit")
    assert (found["peak_charged_bytes"] is not None) == is_billed or (not is_first and not has_peak())
    assert [path for path in zone.path.iterdir() if path.is_dir()] == []
    if not is_first:
        assert (zone.path / "cgroup.subtree_control").read_text().split() == []


def has_peak() -> bool:
    """Whether this kernel has memory.peak."""
    hierarchy = Hierarchy()
    return any(hierarchy.mount.glob("*/memory.peak"))


def test_it_reads_our_standard_input_and_writes_our_standard_output(tmp_path: Path):
    command = [*runner(tmp_path / "report.json"), "sh", "-c", "cat; echo err >&2"]
    done = subprocess.run(command, cwd=PROJECT, input=b"in\n", capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"in\n", b"err\n")


def test_keys_of_the_terminal_reach_the_command(tmp_path: Path):
    """It has the terminal and its foreground; Ctrl-C does not end record before the command has ended."""
    report = tmp_path / "report.json"
    script = "import signal, sys; signal.signal(2, lambda *_: sys.exit(9)); print('ready', flush=True); signal.pause()"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(PROJECT)
        os.execv(sys.executable, [*runner(report), sys.executable, "-c", script])
    text = b""
    while b"ready" not in text:
        text += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    os.close(terminal)
    assert json.loads(report.read_text())["exit_status"] == 9
