"""What a mapped file is called: the one place that turns what the kernel calls it into what people call it."""

from __future__ import annotations

from collections.abc import Sequence

from zonerss.census.kinds import Kind, rss_of
from zonerss.records.files import FileKind, Holding, MappedFile
from zonerss.units import pages_to_bytes
from zonerss.views.columns import sizes
from zonerss.views.text import printable

NOT_FOUND = "(not found again)"
"""A file that had been replaced, or had left, when its name was looked up."""
SHARED = "shared anonymous memory"
"""The kernel calls it /dev/zero: mmap(2), MAP_SHARED with MAP_ANONYMOUS."""


def called(kind: FileKind | None, name: str) -> str:
    """Its name in full, safe to print; kind None: private memory."""
    return SHARED if kind is FileKind.SHARED else printable(name)


def full_name(file: MappedFile | None) -> str:
    """The name of a file in full, safe to print."""
    return NOT_FOUND if file is None else called(file.kind, file.name)


def short_name(file: MappedFile | None) -> str:
    """The last component of its name, or what it is where that says more; safe to print."""
    if file is None:
        return NOT_FOUND
    if file.kind is FileKind.SYSV:
        return f"SysV segment {file.inode}"
    if file.kind is FileKind.SHARED:
        return SHARED
    name = printable(file.name.rpartition("/")[2] or file.name)
    return f"{name} (deleted)" if file.kind is FileKind.DELETED else name


def summary(held: Sequence[Holding], private: str = "private", most: int = 3, in_bytes: bool = False) -> str:
    """
    What something holds in a few words: "992K libc.so.6, 4K private, 12K in 3 more"; of one name "992K libc.so.6, 16K
    more".

    :param private: what to call private memory
    :param most: so many are named
    """
    found, shown = dict[str, int](), sizes(in_bytes)
    for file, pages in held:
        found[private] = found.get(private, 0) + pages[Kind.ANON]
        name = short_name(file)
        found[name] = found.get(name, 0) + rss_of(pages) - pages[Kind.ANON]
    order = sorted((one for one in found.items() if one[1]), key=lambda one: (-one[1], one[0]))
    words = [f"{shown(pages_to_bytes(pages))} {name}" for name, pages in order[:most]]
    if rest := order[most:]:
        size = shown(pages_to_bytes(sum(pages for _, pages in rest)))
        words.append(f"{size} more" if most == 1 else f"{size} in {len(rest)} more")
    return ", ".join(words)
