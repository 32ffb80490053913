""".ci/run with stand-ins for what it runs: every step runs and is told of, whatever fails, in whichever lane."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
STEPS = {
    "vm/host unit",
    "vm/guest test --kernel 6.1 --systemd",
    "vm/container test",
    "vm/container run --least",
    "vm/host test --ignore tests/unit tests",
    "vm/guest test --kernel 6.12",
    "vm/host sanitize",
    ".ci/memory",
    "vm/package wheel test",
    "vm/same-everywhere",
    "vm/install vagrant-host",
    "vagrant validate",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What it runs says what it is called by, and fails if FAILS begins so."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / "vm").mkdir()
    shutil.copy(PROJECT / ".ci" / "run", tmp_path / ".ci")
    for name in {step.split()[0] for step in STEPS}:
        program = tmp_path / (name if "/" in name else f"bin/{name}")
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "ran {name} $*"\n[ "{name} $*" != "$FAILS" ]\n')
        program.chmod(0o755)
    return tmp_path


def run(checkout: Path, fails: str) -> tuple[int, str, dict[str, str]]:
    """Its status, all that it says, and its verdict by step."""
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    told = subprocess.run(
        [checkout / ".ci" / "run"],
        env={**os.environ, "PATH": path, "FAILS": fails},
        capture_output=True,
        text=True,
        check=False,
    )
    answers = re.escape(str(checkout)) + r"/vm/out/answers\.\w+"
    summary = re.sub(rf" {answers}", "", told.stdout.rpartition("\n==== in all ")[2])
    return told.returncode, told.stdout, dict(re.findall(r"^ +\d+ s  (.+?): (.+)$", summary, re.MULTILINE))


def test_every_step_runs_and_is_told_of(checkout: Path) -> None:
    status, said, verdicts = run(checkout, "")
    assert status == 0
    assert verdicts == dict.fromkeys(STEPS, "passed")
    assert all(f"\n==== {step}" in said for step in STEPS)
    assert not list((checkout / "vm" / "out").iterdir())


@pytest.mark.parametrize(
    "step",
    ["vm/host unit", "vm/guest test --kernel 6.1 --systemd", "vm/package wheel test", "vagrant validate"],
)
def test_one_that_fails_keeps_no_other_from_running_and_is_the_status(checkout: Path, step: str) -> None:
    status, _, verdicts = run(checkout, step)
    assert status == 1
    assert verdicts == {**dict.fromkeys(STEPS, "passed"), step: "FAILED with exit status 1"}
