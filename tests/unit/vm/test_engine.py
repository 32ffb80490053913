"""The container engine: where there is none that can be used, one sentence says so before anything is built."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
NEEDED = ("bash", "dirname")
SCRIPT = "source vm/lib/common.sh; source vm/lib/engine.sh; find_engine; echo ${engine[0]}"


def find(checkout: Path, *programs: str, **environment: str) -> tuple[int, str, str]:
    """Status, stdout and stderr, with these programs on PATH and no others."""
    bin = checkout / "bin"
    bin.mkdir()
    for name in (*NEEDED, *programs):
        found = shutil.which(name)
        (bin / name).symlink_to(found or "/bin/true")
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", SCRIPT],
        cwd=checkout,
        env={"PATH": str(bin), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return told.returncode, told.stdout, told.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One whose packages are all installed."""
    shutil.copytree(PROJECT / "vm" / "lib", tmp_path / "vm" / "lib")
    (tmp_path / "vm" / "install").symlink_to("/bin/true")
    return tmp_path


def test_podman_with_runc_is_an_engine(checkout: Path) -> None:
    assert find(checkout, "podman", "runc") == (0, "podman\n", "")


@pytest.mark.parametrize(("there", "lacks"), [((), "podman"), (("podman",), "runc")])
def test_a_path_without_it_is_one_sentence(there: tuple[str, ...], lacks: str, checkout: Path) -> None:
    status, out, said = find(checkout, *there)
    assert (status, out) == (1, "")
    assert said.endswith(
        f": {lacks}'s package is installed, but no directory of PATH has {lacks}: "
        "add Debian's, /usr/bin and /usr/sbin.\n"
    )
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("docker", "docker is not installed: install it, or leave ZONERSS_ENGINE unset for podman.\n"),
        ("lxc", "ZONERSS_ENGINE is 'lxc': say podman or docker.\n"),
    ],
)
def test_one_that_is_named_and_not_there_is_one_sentence(engine: str, said: str, checkout: Path) -> None:
    told = find(checkout, "podman", "runc", ZONERSS_ENGINE=engine)
    assert told[:2] == (1, "")
    assert told[2].endswith(f": {said}")


def test_packages_that_cannot_be_installed_have_been_told_of(checkout: Path) -> None:
    """The script that installs says why; nothing is added."""
    (checkout / "vm" / "install").unlink()
    (checkout / "vm" / "install").symlink_to("/bin/false")
    assert find(checkout, "podman", "runc") == (1, "", "")
