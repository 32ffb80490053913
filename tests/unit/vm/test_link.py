"""The link that puts a checkout's zonerss on PATH: nothing of anybody else is touched."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    return tmp_path / "usr" / "local" / "bin"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A checkout's zonerss."""
    program = tmp_path / "venv" / "bin" / "zonerss"
    program.parent.mkdir(parents=True)
    program.touch()
    return program


def run(word: str, bin: Path, program: Path) -> str:
    """What vm/link says."""
    told = subprocess.run(
        [PROJECT / "vm" / "link", word],
        env={**os.environ, "ZONERSS_BIN": str(bin), "ZONERSS_VENV": str(program.parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == ""
    return told.stderr


def test_it_is_made_once_and_removed(bin: Path, program: Path) -> None:
    assert f"{bin}/zonerss leads to {program} from now on" in run("add", bin, program)
    assert (bin / "zonerss").readlink() == program
    assert run("add", bin, program) == ""
    assert "is gone" in run("remove", bin, program)
    assert not os.path.lexists(bin / "zonerss")
    assert "there is no" in run("remove", bin, program)


@pytest.mark.parametrize("word", ["add", "remove"])
def test_a_file_of_somebody_else_is_left(word: str, bin: Path, program: Path) -> None:
    bin.mkdir(parents=True)
    (bin / "zonerss").write_text("somebody's")
    assert "is no link of ours" in run(word, bin, program)
    assert (bin / "zonerss").read_text() == "somebody's"


@pytest.mark.parametrize("word", ["add", "remove"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_to_elsewhere_is_left_and_its_end_said(
    word: str, is_there: bool, bin: Path, program: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    if is_there:
        other.touch()
    bin.mkdir(parents=True)
    (bin / "zonerss").symlink_to(other)
    told = run(word, bin, program)
    assert f"leads to {other}" in told
    assert ("which is not there" in told) is not is_there
    assert (bin / "zonerss").readlink() == other


def test_the_link_of_a_checkout_that_is_not_built_is_removed(bin: Path, program: Path) -> None:
    run("add", bin, program)
    program.unlink()
    assert run("add", bin, program) == ""
    assert "is gone" in run("remove", bin, program)


def test_host_and_vagrant_call_it() -> None:
    assert re.search(
        r'^ +"\$project/vm/link" add \|\| true\b', (PROJECT / "vm" / "host").read_text(), re.MULTILINE
    )
    assert "/vagrant/vm/link add" in (PROJECT / "Vagrantfile").read_text()
