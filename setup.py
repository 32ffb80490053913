"""What pyproject.toml cannot say: the C core is built by cffi, the BPF skeleton by bpf/build, pages come with it."""

import os
import subprocess
import sys
from pathlib import Path

from setuptools import setup

PROJECT = Path(__file__).resolve().parent
SHARE = PROJECT / "packaging" / "share"
"""Man pages, completions and units, as packaging/sdist/tree makes them."""


def data_files() -> list[tuple[str, list[str]]]:
    """What goes below share of where it is installed, by directory."""
    found = [path for path in sorted(SHARE.rglob("*")) if path.is_file()]
    if not found and os.environ.get("ZONERSS_RELEASE") == "1" and {"bdist_wheel", "sdist"} & set(sys.argv):
        sys.exit("setup.py: there are no man pages: build a release by packaging/wheel/build.")
    files: dict[str, list[str]] = {}
    for path in found:
        files.setdefault(f"share/{path.parent.relative_to(SHARE)}", []).append(str(path.relative_to(PROJECT)))
    return list(files.items())


subprocess.run([PROJECT / "bpf" / "build"], check=True)
setup(cffi_modules=["collector/zonerss/_core/build.py:core"], data_files=data_files())
