"""vm/install with stand-ins for dpkg and apt: what is there stays there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
DPKG_QUERY = r"""
for last in "$@"; do :; done
case $* in
    *Provides*) printf 'installed containerd, runc (= 1.1)\ninstalled \nhalf-installed tool\n' ;;
    *) [ "$last" != there ] && echo "dpkg-query: no packages found" >&2; printf 'installed there\n' ;;
esac
"""
APT_GET = r"""
echo "$*" >>"$LOG"
case $* in
    *update*) ;;
    *" -s "*) echo 'Remv docker-ce [1]'; echo 'Remv containerd.io [1]'; echo 'Inst tool (1)' ;;
    *)
        echo "E: Packages need to be removed but remove is disabled." >&2
        exit 100
        ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("vm/lib", "vm/packages", "bin"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(PROJECT / "vm" / "install", tmp_path / "vm")
    shutil.copy(PROJECT / "vm" / "lib" / "common.sh", tmp_path / "vm" / "lib")
    for name, text in {"dpkg-query": DPKG_QUERY, "apt-get": APT_GET}.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh{text}")
        program.chmod(0o755)
    return tmp_path


def install(checkout: Path, packages: str) -> tuple[int, str, str]:
    """Its status, what it says, and what apt-get was called with."""
    (checkout / "vm" / "packages" / "list").write_text(packages)
    log = checkout / "log"
    log.write_text("")
    path = f"{checkout / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [checkout / "vm" / "install", "list"],
        env={**os.environ, "PATH": path, "LOG": str(log)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr, log.read_text()


def test_what_another_package_provides_is_there(checkout: Path) -> None:
    assert install(checkout, "there\nrunc\n") == (0, "", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="vm/install installs as root only")
def test_nothing_is_removed_for_it(checkout: Path) -> None:
    status, said, calls = install(checkout, "there\nrunc\ntool\n")
    assert status == 1
    assert "tool cannot be installed beside docker-ce containerd.io: choose" in said
    installing = [line for line in calls.splitlines() if " install " in line and " -s " not in line]
    assert len(installing) == 1
    assert "--no-remove tool" in installing[0]
