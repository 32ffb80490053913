"""The link that puts a checkout's zonerss on PATH: nothing of anybody else is touched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    return tmp_path / "usr" / "local" / "bin"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The zonerss of a checkout that has what vm/link looks at."""
    checkout = tmp_path / "checkout"
    for name in ("vm/link", "vm/lib/common.sh"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, checkout / name)
    for name in (".venv/bin/zonerss", "collector/zonerss/core.py"):
        (checkout / name).parent.mkdir(parents=True)
        (checkout / name).touch(0o644)
    for directory in (checkout, *checkout.rglob("*")):
        directory.chmod(0o755)
    return checkout / ".venv" / "bin" / "zonerss"


def run(word: str, bin: Path, program: Path, status: int = 0, **environment: str) -> str:
    """What vm/link says."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("SUDO_UID", "ZONERSS_VENV")
    }
    told = subprocess.run(
        [program.parents[2] / "vm" / "link", word],
        env={**inherited, "ZONERSS_BIN": str(bin), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.returncode, told.stdout) == (status, ""), told.stderr
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


@pytest.mark.parametrize(
    "place", [".", ".venv/bin", ".venv/bin/zonerss", "collector", "collector/zonerss/core.py"]
)
@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_what_others_may_write_is_not_linked_to(mode: int, place: str, bin: Path, program: Path) -> None:
    path = program.parents[2] / place
    path.chmod(mode)
    told = run("add", bin, program, status=1)
    assert re.search(rf": {re.escape(str(path))} may be written by others than \S+ \(mode {mode:o}\)", told)
    assert not os.path.lexists(bin / "zonerss")


def test_a_directory_of_all_in_which_each_keeps_what_is_theirs_may_lead_there(
    bin: Path, program: Path
) -> None:
    program.parents[2].chmod(0o1777)
    run("add", bin, program)
    assert (bin / "zonerss").readlink() == program


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("place", [".", ".venv/bin/zonerss", "collector/zonerss/core.py"])
def test_what_is_somebody_elses_is_not_linked_to_unless_they_called_sudo(
    place: str, bin: Path, program: Path
) -> None:
    path = program.parents[2] / place
    os.chown(path, 54321, 0)
    assert f": {path} belongs to 54321: no link is made" in run(
        "add", bin, program, status=1, SUDO_UID="1000"
    )
    assert not os.path.lexists(bin / "zonerss")
    run("add", bin, program, SUDO_UID="54321")
    assert (bin / "zonerss").readlink() == program


def test_a_link_on_the_way_does_not_hide_whose_the_checkout_is(
    tmp_path: Path, bin: Path, program: Path
) -> None:
    (tmp_path / "short").symlink_to(program.parents[2])
    program.parents[2].chmod(0o775)
    assert str(program.parents[2]) in run("add", bin, tmp_path / "short" / ".venv/bin/zonerss", status=1)
    program.parents[2].chmod(0o755)
    run("add", bin, tmp_path / "short" / ".venv/bin/zonerss")
    assert (bin / "zonerss").readlink() == program


def test_host_and_vagrant_call_it() -> None:
    assert re.search(
        r'^ +"\$project/vm/link" add \|\| true\b', (PROJECT / "vm" / "host").read_text(), re.MULTILINE
    )
    assert "/vagrant/vm/link add" in (PROJECT / "Vagrantfile").read_text()
