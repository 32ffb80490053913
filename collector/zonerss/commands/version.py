"""What `zonerss --version` prints: the version, the commit that it was built from, and the sources of frames in it."""

from __future__ import annotations

import re
from pathlib import Path

from zonerss import __version__
from zonerss.walk.pagetable import BUILT

PACKAGE = Path(__file__).resolve().parents[1]
_COMMIT = re.compile(r"[0-9a-f]{40}(?:\+changes)?")
_MOST_BYTES = 1 << 20


def version(package: Path = PACKAGE) -> str:
    """
    Two lines.

    :param package: the directory of the package
    """
    found = commit(package)
    sources = "pagetable, pagemap" if BUILT else "pagemap (built without pagetable)"
    return f"zonerss {__version__}, commit {found or 'unknown'}\nsources of frames: {sources}"


def commit(package: Path = PACKAGE) -> str | None:
    """
    The commit of this code: baked in by packaging, in a checkout that of git. None: neither tells.

    In a checkout it is the last one; whether files were changed since is not looked at.
    """
    if baked := _one(_read(package / "commit")):
        return baked
    git = package.parents[1] / ".git"
    if package.parent.name != "collector":
        return None
    head = _read(git / "HEAD").strip()
    ref = head.removeprefix("ref: ")
    if ref == head:
        return _one(head)
    packed = re.search(rf"^([0-9a-f]{{40}}) {re.escape(ref)}$", _read(git / "packed-refs"), re.MULTILINE)
    return _one(_read(git / ref)) or (packed[1] if packed else None)


def _one(text: str) -> str | None:
    """The text, if it is the name of a commit."""
    return text.strip() if _COMMIT.fullmatch(text.strip()) else None


def _read(path: Path) -> str:
    """What a file says; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
