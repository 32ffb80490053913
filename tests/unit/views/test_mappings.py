"""What a mapped file is called."""

from __future__ import annotations

import pytest

from zonerss.records.files import FileKind, MappedFile
from zonerss.views.mappings import called, full_name, short_name, summary

ZERO = MappedFile("/dev/zero", FileKind.SHARED, False, inode=7)
OTHER_ZERO = MappedFile("/dev/zero", FileKind.SHARED, False, inode=8)
LIBC = MappedFile("/usr/lib/libc.so.6", FileKind.FILE, True)


@pytest.mark.parametrize(
    ("file", "short", "full"),
    [
        (LIBC, "libc.so.6", "/usr/lib/libc.so.6"),
        (ZERO, "shared anonymous memory", "shared anonymous memory"),
        (MappedFile("/dev/zero", FileKind.FILE, True), "zero", "/dev/zero"),
        (
            MappedFile("/SYSV00000000", FileKind.SYSV, True, inode=32814),
            "SysV segment 32814",
            "/SYSV00000000",
        ),
        (MappedFile("/tmp/x\x1b[2J", FileKind.DELETED, False), "x\\x1b[2J (deleted)", "/tmp/x\\x1b[2J"),
        (MappedFile("/memfd:pool", FileKind.MEMFD, False), "memfd:pool", "/memfd:pool"),
        (MappedFile("/tmp/", FileKind.FILE, True), "/tmp/", "/tmp/"),
        (None, "(not found again)", "(not found again)"),
    ],
)
def test_names(file: MappedFile | None, short: str, full: str) -> None:
    assert (short_name(file), full_name(file)) == (short, full)


def test_called() -> None:
    assert called(None, "anon") == "anon"
    assert called(FileKind.SHARED, "/dev/zero") == "shared anonymous memory"


def test_summary() -> None:
    held = [
        (LIBC, (1, 20, 0, 0, 0)),
        (ZERO, (0, 0, 10, 0, 0)),
        (OTHER_ZERO, (0, 0, 20, 0, 0)),
        (None, (4, 1, 0, 0, 0)),
    ]
    assert summary(held) == "120K shared anonymous memory, 80K libc.so.6, 20K private, 4K in 1 more"
    assert summary(held, "of a fork", most=4).endswith("20K of a fork, 4K (not found again)")
    assert summary(held, most=1) == "120K shared anonymous memory, 104K more"
    assert summary([]) == ""
