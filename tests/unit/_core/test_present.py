"""What /proc/PID/smaps tells of large mappings (present.c)."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from tests.unit._core.doubles import load

ffi, lib = load(
    "present_double.c",
    [],
    ["-O1", "-pthread"],
    "int64_t double_present(int dir, uint64_t least_bytes, uint64_t most_ns, uint64_t *rows, size_t room);",
    ["present.c"],
)

LEAST = 1 << 22
FIGURES = """\
Size:            %(size)8d kB
KernelPageSize:        4 kB
Rss:             %(rss)8d kB
Pss:                   1 kB
Pss_Dirty:             1 kB
Shared_Clean:          1 kB
Anonymous:             1 kB
AnonHugePages:         1 kB
Shared_Hugetlb: %(shared)8d kB
Private_Hugetlb: %(private)7d kB
Swap:            %(swap)8d kB
SwapPss:               1 kB
Locked:                1 kB
THPeligible:           0
ProtectionKey:         0
VmFlags: rd wr mr mw me ac sd
"""


def mapping(
    start: int, end: int, rss: int = 0, swap: int = 0, shared: int = 0, private: int = 0, name: str = ""
) -> str:
    figures = {"size": (end - start) >> 10, "rss": rss, "swap": swap, "shared": shared, "private": private}
    return f"{start:08x}-{end:08x} rw-p 00000000 00:00 0 {name}\n" + FIGURES % figures


@pytest.fixture
def smaps(tmp_path: Path) -> Path:
    path = tmp_path / "task" / "1" / "smaps"
    path.parent.mkdir(parents=True)
    return path


def read(smaps: Path, least: int = LEAST, most_ns: int = 1 << 60) -> list[tuple[int, int, int]]:
    rows = ffi.new("uint64_t[]", 3 * 64)
    directory = os.open(smaps.parents[2], os.O_PATH)
    try:
        count = lib.double_present(directory, least, most_ns, rows, 64)
    finally:
        os.close(directory)
    if count < 0:
        raise OSError(-count, os.strerror(-count))
    return [tuple(rows[3 * at : 3 * at + 3]) for at in range(count)]


def test_large_mappings_and_what_is_there_of_them(smaps: Path) -> None:
    tib = 1 << 40
    smaps.write_text(
        mapping(0x10000, 0x20000, rss=64)
        + mapping(tib, 2 * tib)
        + mapping(2 * tib, 3 * tib, rss=8, swap=12, name="/a file: Rss: 7 kB")
        + mapping(3 * tib, 3 * tib + LEAST, shared=2048, private=4096, name="[anon:Swap:            1 kB]")
        + mapping(4 * tib, 4 * tib + LEAST - 4096, rss=4)
    )
    assert read(smaps) == [
        (tib, 2 * tib, 0),
        (2 * tib, 3 * tib, 20 << 10),
        (3 * tib, 3 * tib + LEAST, 6144 << 10),
    ]


@pytest.mark.parametrize("length", [1, 127, 128, 129, 4096, 65_536, 200_000])
def test_a_name_may_be_of_any_length(smaps: Path, length: int) -> None:
    """It is cut, and so is what is read at once."""
    name = "/" + "n" * length
    smaps.write_text(mapping(0, LEAST, rss=4, name=name) + mapping(LEAST, 2 * LEAST, rss=8, name=name))
    assert read(smaps) == [(0, LEAST, 4096), (LEAST, 2 * LEAST, 8192)]


@pytest.mark.parametrize(
    "bad", ["Rss: x kB\n", "Rss: \n", "Swap: 99999999999999999999 kB\n", "Swap: -1 kB\n"]
)
def test_a_figure_that_is_none_is_an_error(smaps: Path, bad: str) -> None:
    smaps.write_text(mapping(0, LEAST, rss=4) + bad)
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        read(smaps)


def test_after_too_much_time_no_more_is_known(smaps: Path) -> None:
    smaps.write_text(mapping(0, LEAST, rss=4))
    assert read(smaps, most_ns=0) == []


def test_without_smaps_it_is_an_error(smaps: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(smaps)


rows = st.lists(
    st.tuples(
        st.integers(1, 1 << 12), st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.text(max_size=200)
    ),
    max_size=60,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_any_mappings(smaps: Path, rows: list[tuple[int, int, int, str]]) -> None:
    text, expected, at = "", [], 0
    for pages, rss, swap, name in rows:
        end = at + (pages << 12)
        text += mapping(at, end, rss=rss, swap=swap, name=name.replace("\n", "\\012"))
        if end - at >= 1 << 20:
            expected.append((at, end, (rss + swap) << 10))
        at = end
    smaps.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read(smaps, 1 << 20) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(st.binary(max_size=300), st.sampled_from(mapping(0, LEAST, rss=4).encode().split(b"\n")))
    )
)
def test_any_text_is_read_or_refused(smaps: Path, lines: list[bytes]) -> None:
    smaps.write_bytes(b"\n".join(lines))
    with suppress(OSError):
        assert all(end - start >= LEAST for start, end, _ in read(smaps))
