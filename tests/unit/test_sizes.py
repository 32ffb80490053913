"""Sizes of pages, of page tables and of huge pages are asked of the kernel, and are nowhere those of x86_64."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PLACES = ("collector/zonerss", "bpf", "tests/workloads", "tests/live", "tests/guest", "tests/oracle.py")
"""tests/unit is not among them: its machines are made up, and say how large their pages are."""
SUSPECTS = re.compile(
    r"\b(4096|4095|0x1000|0xfff|2097152|512|511|2048kB|2 ?<< ?20|2 ?\* ?(MIB|1024 ?\* ?1024))\b|(<<|>>) ?(12|21)\b"
    r"|(?i:shift)\w*[ =]+(12|21)\b|\b0x20_?0000\b"
)
COUNTS = "so many of something, whatever their size"
BUFFER = "room for text or for what is read at once"
EXCEPTIONS = {
    ("collector/zonerss/_core/blocks.h", "BLOCK_FRAMES"): COUNTS,
    (
        "collector/zonerss/_core/entry.h",
        "shape->page_shift == 12",
    ): "entries that arm64 writes together, by its pages",
    ("collector/zonerss/_core/foreign.c", "array_reserve"): BUFFER,
    ("collector/zonerss/_core/known.h", "TABLE_ENTRIES"): "entries copied at once, a table or a part of one",
    ("collector/zonerss/_core/pageflags.h", "FLAGS_AT_ONCE"): COUNTS,
    ("collector/zonerss/_core/pagemap.c", "define"): COUNTS,
    ("collector/zonerss/_core/pageout.h", "PAGEOUT_PAGES"): COUNTS,
    ("collector/zonerss/_core/pool.c", "text[512]"): BUFFER,
    ("collector/zonerss/_core/queue.h", "LARGE_PAGES_OF_JOB"): COUNTS,
    ("collector/zonerss/_core/ram.c", "BLOCK_FRAMES"): COUNTS,
    ("collector/zonerss/_core/ranges.c", "LARGE_PAGES"): COUNTS,
    ("collector/zonerss/kernel/hugepages.py", "2 MiB on x86_64"): "examples",
    ("bpf/pagetable.h", "PAGETABLE_"): "entries copied at once, a table or a part of one; and steps",
    ("collector/zonerss/answers/conditions.py", "_LONGEST"): BUFFER,
    ("collector/zonerss/walk/frames.py", "room"): COUNTS,
    ("collector/zonerss/history/recording.py", "_MOST_NAME"): BUFFER,
    ("collector/zonerss/history/identities.py", "_MOST_CACHED_OWNERS"): COUNTS,
    ("collector/zonerss/history/schema.py", "PAGE_SIZE"): "SQLite's pages",
    ("collector/zonerss/views/text.py", "lru_cache"): COUNTS,
    ("collector/zonerss/cap/rules.py", "_MOST_WORDS"): BUFFER,
    ("collector/zonerss/commands/cap.py", "_FILES"): COUNTS,
    ("collector/zonerss/serve/limits.py", ""): COUNTS,
    ("collector/zonerss/serve/sockets.py", "BACKLOG"): COUNTS,
    ("collector/zonerss/kernel/shmem.py", "_BLOCK_BYTES"): "st_blocks counts 512 bytes everywhere (stat(2))",
    ("collector/zonerss/kernel/btf.py", "_BATCH"): COUNTS,
    ("collector/zonerss/kernel/engines.py", "HOME_BYTES"): BUFFER,
    ("collector/zonerss/kernel/cmdline.py", "MOST_BYTES"): BUFFER,
    ("collector/zonerss/kernel/killers.py", "r"): BUFFER,
    ("collector/zonerss/kernel/events.py", "recv"): BUFFER,
    ("collector/zonerss/motion/tracer.py", "_MOVE_PATH"): BUFFER,
    ("tests/workloads/mem.py", "os.read"): BUFFER,
    ("tests/workloads/mem.c", "LINE"): BUFFER,
    ("tests/workloads/stuck.c", ""): "its own file system's blocks, and a path",
    ("tests/live/test_controls.py", "24 * MIB"): "how inexact charges are",
    ("tests/live/foreign_files.py", "size // 512"): "st_blocks counts 512 bytes everywhere (stat(2))",
    ("tests/live/test_cap_hands.py", "range(0, size"): "a step that meets every page, however large",
    ("tests/live/test_cap_hands.py", "512 * PAGE"): "PAGEOUT_PAGES",
    ("tests/live/test_pagetable.py", ""): "numbers around 512 entries",
    ("tests/live/test_run.py", "os.read"): BUFFER,
    ("tests/live/test_foreign_mounts.py", "MS_BIND"): "a flag",
    ("tests/live/test_machine.py", "4096"): COUNTS,
    ("tests/live/test_image.py", "ulimit"): COUNTS,
    ("tests/guest/test_architecture.py", "512"): COUNTS,
    ("tests/guest/systemd/test_cap_unit.py", "range(0, end"): "a step that meets every page, however large",
}
"""File and what is in the line: what such a number is there, if no size of pages."""


def without_comment(path: Path, line: str) -> str:
    return re.split(r"\s#\s|^\s*#\s" if path.suffix == ".py" else r"//", line)[0]


def files() -> list[Path]:
    found = [PROJECT / place for place in PLACES]
    below = [path for place in found if place.is_dir() for path in place.rglob("*.[chp]*")]
    return [
        path
        for path in (*below, *(place for place in found if place.is_file()))
        if path.suffix in (".c", ".h", ".py")
        and not {".output", "churn", "vendor", "out"} & set(path.relative_to(PROJECT).parts)
        and not path.name.startswith("_lib")
    ]


@cache
def suspects() -> list[tuple[str, int, str]]:
    return [
        (str(path.relative_to(PROJECT)), number, line.strip())
        for path in files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if SUSPECTS.search(without_comment(path, line)) and '"""' not in line
    ]


def is_excepted(path: str, line: str) -> bool:
    return any(path == name and word in line for name, word in EXCEPTIONS)


def test_sizes_are_asked_of_the_kernel() -> None:
    found = [f"{path}:{number}: {line}" for path, number, line in suspects() if not is_excepted(path, line)]
    assert not found, "\n".join(["sizes of x86_64:", *found])


@pytest.mark.parametrize(("path", "word"), EXCEPTIONS)
def test_each_exception_is_there(path: str, word: str) -> None:
    assert any(path == name and word in line for name, _, line in suspects()), (
        "take it out: nothing there looks like a size"
    )
