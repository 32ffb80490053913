"""files: complete texts of records made by hand."""

from __future__ import annotations

from tests.unit import builders

from zonerss.answers.files import FileUsage
from zonerss.records.files import FileKind, MappedFile
from zonerss.views.files import document, render_files

KIB = 1024
USAGES = (
    FileUsage(
        MappedFile(
            "/usr/lib/libc.so.6", FileKind.FILE, True, 2048 * KIB, (254, 0), 17, None, ("/lower/libc.so.6",)
        ),
        1200 * KIB,
        0,
        (("web", 1200 * KIB), ("db", 400 * KIB), ("a", 4 * KIB), ("b", 4 * KIB), ("c", 4 * KIB)),
    ),
    FileUsage(
        MappedFile("/memfd:\x1b]0;evil\x07", FileKind.MEMFD, False, 8 * KIB, (0, 1), 18),
        8 * KIB,
        8 * KIB,
        (("web", 8 * KIB),),
    ),
    FileUsage(None, 4 * KIB, 4 * KIB, (("web", 4 * KIB),)),
)


def test_the_files_of_a_zone() -> None:
    lines = render_files(USAGES, "web")
    assert lines[0].split() == ["SIZE", "EXCL", "KIND", "FILE", "ALSO", "MAPPED", "BY"]
    assert lines[1].split() == [
        "1.2M",
        "0K",
        "file",
        "/usr/lib/libc.so.6",
        "db",
        "a",
        "b",
        "and",
        "1",
        "more",
    ]
    assert lines[2].split() == ["8K", "8K", "memfd", "/memfd:\\x1b]0;evil\\x07", "–"]
    assert lines[3].split() == ["4K", "4K", "–", "(not", "found", "again)", "–"]


def test_the_files_of_all_in_bytes() -> None:
    lines = render_files(USAGES, None, in_bytes=True)
    assert lines[0].split() == ["SIZE", "EXCL", "KIND", "FILE", "MAPPED", "BY"]
    assert lines[1].split()[:2] == ["1228800", "0"]
    assert lines[1].endswith("web db a and 2 more")


def test_no_files() -> None:
    assert render_files((), "web") == ["No file is mapped."]


def test_the_document() -> None:
    read = document(builders.snapshot(), "w\udcff", USAGES)
    assert (read["schema"], read["zone"]) == ("zonerss.files/1", "w\\xff")
    assert read["files"][0] == {
        "name": "/usr/lib/libc.so.6",
        "kind": "file",
        "aliases": ["/lower/libc.so.6"],
        "inode": 17,
        "size_bytes": 2048 * KIB,
        "bytes": 1200 * KIB,
        "exclusive_bytes": 0,
        "shared_bytes": 1200 * KIB,
        "mapped_by": [{"zone": name, "bytes": size} for name, size in USAGES[0].mapped_by],
    }
    assert read["files"][2]["name"] is None
    assert document(builders.snapshot(), None, USAGES)["zone"] is None
