"""A test that leaves a process, a thread or a mount of ours behind fails, and only that one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
HEAD = "import os, subprocess, threading, pytest\n"
PROCESS = 'subprocess.Popen(["sleep", "600"])'


def outcome(tmp_path: Path, text: str) -> tuple[list[str], str]:
    """How the tests of a file ended, each a letter as pytest -q shows it, and all that it said."""
    file = tmp_path / "test_of_leftovers.py"
    file.write_text(HEAD + text)
    script = (
        "import os, signal, pytest; from tests.leftovers import Leftovers\n"
        f"status = pytest.main(['-q', '-p', 'no:cacheprovider', '--rootdir', {str(tmp_path)!r}, {str(file)!r}], "
        "plugins=[Leftovers()])\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.killpg(0, signal.SIGTERM)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        process_group=0,
        check=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.endswith("[100%]")]
    return line.removesuffix("[100%]").split(), done.stdout


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (PROCESS, "(sleep)"),
        ("global process; process = subprocess.Popen(['true']); "
         "os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)", "has not been waited for"),
        ("threading.Timer(1, print).start()", "thread Thread-1"),
    ],
)  # fmt: skip
def test_what_a_test_leaves_fails_it_and_no_other(tmp_path: Path, begin: str, said: str) -> None:
    (letters,), text = outcome(
        tmp_path, f"def test_one():\n    {begin}\ndef test_other(): pass\ndef test_last(): pass\n"
    )
    assert letters == ".E.."
    assert "left behind: " in text
    assert said in text


def test_what_is_ended_and_what_does_not_matter(tmp_path: Path) -> None:
    (letters,), _ = outcome(
        tmp_path,
        "def test_one():\n    subprocess.run(['true'])\n"
        "    threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    )
    assert letters == "."


FIXTURE = f"""
@pytest.fixture(scope="module")
def wide():
    process = {PROCESS}
    yield process
    END

def test_one(wide): pass
def test_other(wide): pass
"""


def test_a_fixture_of_several_tests_may_keep_what_it_began_until_it_ends(tmp_path: Path) -> None:
    assert outcome(tmp_path, FIXTURE.replace("END", "process.kill(); process.wait()"))[0] == [".."]
    assert outcome(tmp_path, FIXTURE.replace("END", "pass"))[0] == ["..E"]
