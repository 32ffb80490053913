"""What containers of one image share, as a table."""

from __future__ import annotations

from typing import Any

from tests.unit import builders

from zonerss.answers.images import ImageSharing, ImageUsage
from zonerss.records.files import FileKind, MappedFile
from zonerss.records.images import Image
from zonerss.views.images import render

MIB = 1 << 20
LIBC = MappedFile("/usr/lib/libc.so.6", FileKind.FILE, True)
WEB = Image("ab" * 32, "evil\x1b[2J:1")
NAMELESS = Image("cd" * 32, None)


def usage(image: Image | None, containers: str, rss: int, apart: int, **fields: Any) -> ImageUsage:
    return ImageUsage(image, tuple(containers), rss * MIB, apart * MIB, (apart - rss) * MIB, **fields)


def sharing(*images: ImageUsage, total: ImageUsage, unknown: tuple[str, ...] = ()) -> ImageSharing:
    return ImageSharing(builders.snapshot(builders.usage("a")), images, total, unknown, ())


FOUND = sharing(
    usage(WEB, "abc", 20, 40, holds=[(LIBC, (0, 5120, 0, 0, 0))]),
    usage(NAMELESS, "d", 9, 9),
    total=usage(None, "abcde", 35, 60),
    unknown=("e",),
)


def test_the_table_and_what_sharing_saves() -> None:
    lines = render(FOUND)
    assert [line.split() for line in lines[:2]] == [
        ["CONTAINERS", "APART", "TOGETHER", "SAVED", "IMAGE", "WHAT", "IS", "SHARED"],
        ["3", "40M", "20M", "20M", "evil\\x1b[2J:1", "20M", "libc.so.6"],
    ]
    assert lines[2:6] == [
        "and 1 more image (--all)",
        "",
        "5 containers take 35M, each page once; without sharing 60M: 25M saved, 5.0M of it between images.",
        "Image unknown: e.",
    ]


def test_all_images() -> None:
    lines = render(FOUND, every=True)
    assert lines[2].split() == ["1", "9.0M", "9.0M", "0K", "cd" * 6, "–"]
    assert "--all" not in "".join(lines)


def test_nothing_to_tell() -> None:
    assert render(sharing(total=usage(None, "", 0, 0)))[0] == "No container runs here."
    assert render(sharing(usage(WEB, "a", 1, 1), total=usage(None, "a", 1, 1)))[0] == "1 more image (--all)"
