"""What packaging/image/keep makes of unpacked packages of another architecture: what stays, and what is missing."""

from __future__ import annotations

import shutil
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    loader = SourceFileLoader("packaging_keep", str(PROJECT / "packaging" / "image" / "keep"))
    module = module_from_spec(spec_from_loader("packaging_keep", loader))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module, "finish", lambda root: None)  # ldconfig wants to be root
    return module


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A root folder with Python, which is linked with the C library, and things that are of no use in an image."""
    for name in ("usr/bin/grep", "usr/sbin/init", "var/cache/apt/archives/a.deb", "usr/share/man/man1/a.1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    shutil.copy(Path(sys.executable).resolve(), tmp_path / "usr/bin/python3.11")
    (tmp_path / "usr/bin/python3.11").chmod(0o4755)
    (tmp_path / "usr/bin/python3").symlink_to("python3.11")
    (tmp_path / "status.d").mkdir()
    (tmp_path / "status.d/libc6").write_text("Package: libc6\n")
    return tmp_path


def libraries(keep: ModuleType, root: Path) -> None:
    (root / "usr/lib").mkdir()
    for name in keep.needed(root / "usr/bin/python3.11"):
        (root / "usr/lib" / name).touch()


def test_what_an_image_does_not_need_goes(keep: ModuleType, unpacked: Path) -> None:
    libraries(keep, unpacked)
    keep.prune(unpacked)
    left = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if not path.is_dir()}
    programs = {"usr/bin/python3.11", "usr/bin/python3"}
    assert left - {name for name in left if name.startswith("usr/lib/")} == {
        *programs,
        "var/lib/dpkg/status.d/libc6",
    }
    assert (unpacked / "usr/bin/python3.11").stat().st_mode & 0o7777 == 0o755


def test_a_library_that_is_not_there_is_an_error(keep: ModuleType, unpacked: Path) -> None:
    libraries(keep, unpacked)
    (unpacked / "usr/lib/libc.so.6").unlink()
    with pytest.raises(SystemExit, match=r"python3\.11 lacks libc\.so\.6"):
        keep.prune(unpacked)
