"""The process that compiles: what comes of one that cannot, or that is ended. No program is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zonerss.kernel import compiler
from zonerss.kernel.compiler import CannotLoad, load


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """From now on the process runs these lines, with the number of its socket in ``there``."""
    real = subprocess.Popen

    def run(lines: str) -> None:
        def popen(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
            lead = f"import json, os, signal, socket\nthere = socket.socket(fileno={command[3]})\n"
            return real([sys.executable, "-c", lead + lines], **options)

        monkeypatch.setattr(compiler.subprocess, "Popen", popen)

    return run


def loaded() -> dict[str, int]:
    return load(Path("/nowhere"), ["-DX=1"], ["one"], ["two"], ())


def test_one_that_the_kernel_ends_for_its_memory_is_a_sentence(child: Callable[[str], None]) -> None:
    child("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(CannotLoad, match="too little memory"):
        loaded()


def test_one_that_ends_otherwise(child: Callable[[str], None]) -> None:
    child("raise SystemExit(3)")
    with pytest.raises(CannotLoad, match="status 3"):
        loaded()


def test_what_it_says(child: Callable[[str], None]) -> None:
    child("there.sendall(json.dumps('bcc is missing').encode())")
    with pytest.raises(CannotLoad, match="bcc is missing"):
        loaded()


def test_what_it_hands_over(child: Callable[[str], None]) -> None:
    child('r, w = os.pipe(); socket.send_fds(there, [b\'["one", "two"]\'], [r, w])')
    found = loaded()
    assert list(found) == ["one", "two"]
    assert os.write(found["two"], b"x") == 1
    assert os.read(found["one"], 1) == b"x"
    for fd in found.values():
        assert not os.get_inheritable(fd)
        os.close(fd)


def test_a_program_that_does_not_compile_is_said() -> None:
    """With bcc or without: there is no such file."""
    with pytest.raises(CannotLoad, match="bcc"):
        loaded()


def test_no_variable_of_the_environment_decides_what_the_child_imports(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bcc.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(CannotLoad):
        loaded()
    assert not (tmp_path / "imported").exists()
