"""The real systemd-oomd ends a service. A record tells of it whose journalctl was ended, and journald restarted.

No test of every run, as that of earlyoom. To run it:

    tests/guest/systemd/fetch systemd-oomd
    vm/guest test --kernel 6.12 --systemd tests/guest/systemd/real_oomd.py
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.guest.systemd.test_killers import systemctl
from tests.guest.test_autopsy import rss_of
from tests.live.test_autopsy import MIB
from tests.live.test_record import Running, begin  # noqa: F401  a fixture
from zonerss.commands import main

PROGRAM = Path(__file__).parents[3] / "vm/out/systemd-oomd/lib/systemd/systemd-oomd"
UNITS, SETTINGS = Path("/run/systemd/system"), Path("/run/systemd/oomd.conf.d/test.conf")
EATER = """
import mmap, os, sys, time
held, chunk = [], 1 << 20
file = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(file).st_size
for step in range(1 << 20):
    if step < 56:
        held.append(mmap.mmap(-1, chunk, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE))
        time.sleep(0.1)
    os.pread(file, chunk, step * chunk % size)
"""
"""Takes 56 MiB, and reads a file that does not fit beside it: it waits for what was just reclaimed."""


@pytest.fixture
def oomd(tmp_path: Path) -> Iterator[str]:
    """It ends what in a slice of ours waits for memory, and no other process; the name of a service in there."""
    # On a disk: of a tmpfs nothing can be reclaimed.
    with tempfile.NamedTemporaryFile(prefix="zonerss-test-", dir="/var/tmp") as file:
        file.write(bytes(96 * MIB))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # who reads it pays for it
        script = tmp_path / "eater.py"
        script.write_text(EATER)
        units = {
            "systemd-oomd.socket": "[Socket]\nListenStream=/run/systemd/oom/io.system.ManagedOOM\n",
            "systemd-oomd.service": "[Unit]\nRequires=systemd-oomd.socket\nAfter=systemd-oomd.socket\n"
            f"[Service]\nType=notify\nExecStart={PROGRAM}\n",
            "pressed.slice": "[Slice]\nManagedOOMMemoryPressure=kill\nManagedOOMMemoryPressureLimit=1%\n",
            "eater.service": "[Service]\nSlice=pressed.slice\nMemoryHigh=64M\n"
            f"ExecStart={sys.executable} -S {script} {file.name}\n",
        }
        SETTINGS.parent.mkdir(exist_ok=True)
        SETTINGS.write_text("[OOM]\nDefaultMemoryPressureDurationSec=2s\n")
        for name, text in units.items():
            (UNITS / name).write_text(text)
        systemctl("daemon-reload")
        yield "eater.service"
        systemctl("stop", *units)
        for name in units:
            (UNITS / name).unlink()
        SETTINGS.unlink()
        systemctl("daemon-reload")


def journalctl_of(pid: int) -> int:
    """The child that follows the journal."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(child) for child in children if Path(f"/proc/{child}/comm").read_text() == "journalctl\n")


def test_what_oomd_ends_is_told_by_a_record_that_has_lost_its_journalctl(
    oomd: str,
    begin: Callable[..., Running],  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "a.zrec"
    recorder = begin("-o", str(path), "--interval", "5s", "--black-box", "5m/1s")
    recorder.line_with("recording ")
    systemctl("restart", "systemd-journald.service")
    os.kill(journalctl_of(recorder.process.pid), signal.SIGKILL)
    recorder.line_with("has ended: it is started again")
    systemctl("start", "systemd-oomd.service", oomd)
    said = recorder.line_with("systemd-oomd has killed ")
    status, rest = recorder.end()
    assert status == 0, rest
    assert main(["autopsy", "--no-config", str(path), "--json"]) == 0
    kill = json.loads(capsys.readouterr().out)["kills"][-1]
    with capsys.disabled():
        print(said, *kill["words"], sep="\n")
    assert (kill["told_by"], kill["pid"], kill["limit_cgroup"], kill["constraint"]) == (
        "systemd-oomd",
        None,
        None,
        None,
    )
    assert kill["cgroup"] == f"/pressed.slice/{oomd}"
    assert kill["zone"].endswith(oomd)
    first, last = kill["before"][0], kill["before"][-1]
    assert oomd not in {zone["zone"] for zone in first["zones"]}
    assert rss_of(last, kill["zone"]) >= 32 * MIB
    assert any(row["zone"] == kill["zone"] and row["freed_bytes"] >= 32 * MIB for row in kill["whatif"])
