"""A test that leaves a process or a thread of ours behind fails, and only that one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
HEAD = "import os, subprocess, threading, pytest\n"
FILES = {
    "tests": """
def test_process():
    subprocess.Popen(["sleep", "600"])

def test_after(): pass

def test_not_waited_for():
    global process
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

def test_thread():
    threading.Timer(600, print).start()

def test_all_ended():
    subprocess.run(["true"])
    thread = threading.Thread(target=print)
    thread.start()
    thread.join()

def test_daemon():
    threading.Thread(target=threading.Event().wait, daemon=True).start()
""",
    "kept": """
@pytest.fixture(scope="module")
def process():
    process = subprocess.Popen(["sleep", "600"])
    yield
    process.kill()
    process.wait()

def test_one(process): pass
def test_last(process): pass
""",
    "lost": """
@pytest.fixture(scope="module")
def process():
    subprocess.Popen(["sleep", "600"])

def test_one(process): pass
def test_last(process): pass
""",
}
SCRIPT = """
import os, signal, sys, pytest
from tests.leftovers import Leftovers
pytest.main(["-q", "-rE", "-p", "no:cacheprovider", "--rootdir", "."], plugins=[Leftovers()])
sys.stdout.flush()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.killpg(0, signal.SIGTERM)
os._exit(0)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest said of these tests."""
    directory = tmp_path_factory.mktemp("tests")
    for name, text in FILES.items():
        (directory / f"test_{name}.py").write_text(HEAD + text)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        process_group=0,
        check=True,
    )
    return done.stdout


def test_what_a_test_leaves_fails_it_and_no_other(said: str) -> None:
    failed = re.findall(r"^ERROR test_tests.py::test_(\w+)", said, re.M)
    assert failed == ["process", "not_waited_for", "thread"]
    assert "10 passed, 4 errors" in said


def test_what_was_left_is_named(said: str) -> None:
    left = re.findall("^left behind: (.*)$", said, re.M)
    wanted = ("(sleep)", "(sleep)", "(true) has not been waited for", "thread Thread-1")
    assert [name for name, line in zip(wanted, left, strict=True) if name not in line] == []


def test_a_fixture_of_several_tests_may_keep_what_it_began_until_it_ends(said: str) -> None:
    assert re.findall(r"^ERROR (test_[kl]\w+.py::\w+)", said, re.M) == ["test_lost.py::test_last"]
