"""Another commit of this project, built, beside this checkout; and processes of either that are asked over pipes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

PROJECT = Path(__file__).parents[2]
CACHE = PROJECT / "vm" / "out" / "compare"
WORKER = Path(__file__).with_name("worker.py")


class CannotBuild(Exception):
    """A commit that is not there, or does not build; one sentence."""


@dataclass(frozen=True)
class Build:
    """A checkout with its virtual environment."""

    name: str
    """For people: the commit, and whether the checkout differs from it."""
    root: Path
    python: Path

    @property
    def package(self) -> str:
        """What it is imported by; it was collector once."""
        return "zonerss" if (self.root / "collector" / "zonerss").is_dir() else "collector"

    def command(self, *words: str) -> list[str | Path]:
        """The command line of zonerss."""
        return [self.python.with_name("zonerss"), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run zonerss once, and keep what it says."""
        return subprocess.run(
            self.command(*words), cwd="/", env=environment(), capture_output=True, text=True, check=False
        )


def used_by(process: subprocess.Popen[Any]) -> resource.struct_rusage:
    """Wait for a program's end: what it used."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used


def environment() -> dict[str, str]:
    """Ours, without what would send one build into the other's files."""
    names = ("PYTHONPATH", "PYTHONHOME", "ZONERSS_VENV")
    return {name: value for name, value in os.environ.items() if name not in names}


def git(*words: str) -> str:
    run = subprocess.run(["git", "-C", PROJECT, *words], capture_output=True, text=True, check=False)
    if run.returncode:
        raise CannotBuild(f"git {' '.join(words)}: {run.stderr.strip()}")
    return run.stdout.strip()


def this_build() -> Build:
    """The checkout that this runs from; vm/provision has built it."""
    changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    return Build(f"{git('rev-parse', '--short', 'HEAD')}{changed}", PROJECT, Path(sys.executable))


def build_of(commit: str) -> Build:
    """
    A commit, built by its own vm/provision below vm/out/compare. What is there already is used again.

    :raises CannotBuild: there is no such commit, or it does not build
    """
    full = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    root = CACHE / full
    if not root.is_dir():
        _check_out(full, root)
    if subprocess.run([root / "vm" / "provision", "run"], env=environment(), check=False).returncode:
        raise CannotBuild(f"{commit} does not build (above); it is in {root}")
    return Build(git("rev-parse", "--short", full), root, root / ".venv" / "bin" / "python")


def _check_out(commit: str, root: Path) -> None:
    half = root.with_name(f"{root.name}.{os.getpid()}")
    half.mkdir(parents=True)
    try:
        archive = subprocess.Popen(["git", "-C", PROJECT, "archive", commit], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", half], stdin=archive.stdout, check=True)
        if archive.wait():
            raise CannotBuild(f"git archive {commit} failed")
        half.rename(root)
    finally:
        shutil.rmtree(half, ignore_errors=True)


class Worker:
    """
    A process of a build that keeps its sessions warm (worker.py); use it as a context manager.

    It ends with the context, and at the end of its stdin, which is when we are killed.
    """

    def __init__(self, build: Build) -> None:
        self._build = build
        self._process: subprocess.Popen[str] | None = None

    def ask(self, what: str, **how: Any) -> dict[str, Any]:
        """
        Let it do something; see worker.py. It is started when it is first asked.

        :raises CannotAnswer: it could not; says why
        """
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"do": what, **how}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise CannotAnswer("the worker has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CannotAnswer(answer["error"])
        return answer

    def _start(self) -> subprocess.Popen[str]:
        # -P: not the directory of worker.py. A session of its own: Ctrl-C is for us to answer.
        return subprocess.Popen(
            [self._build.python, "-P", WORKER],
            cwd="/",
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


class CannotAnswer(Exception):
    """A build cannot do what is to be measured."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it SIGINT and SIGTERM end what goes on, once: while what was started is ended, nothing interrupts."""

    def interrupted(*_: object) -> NoReturn:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        signal.signal(number, interrupted)
    yield
