"""smaps and statm: ordinary, missing, garbage."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.errors import CannotServe, KernelFormatError
from zonerss.kernel.roots import Roots
from zonerss.kernel.smaps import parse_pfnmaps, parse_smaps, parse_statm, read_smaps, read_statm_rss
from zonerss.units import PAGE_BYTES

TEXT = b"""\
5581f2000000-5581f2001000 rw-p 00003000 fe:00 1234   /usr/bin/a b
Size:                  4 kB
Rss:                   4 kB
Private_Hugetlb:       0 kB
THPeligible:           0
VmFlags: rd wr mr mw me ac sd
7f0000000000-7f0000200000 rw-s 00001000 00:01 77 /dev/zero (deleted)
Rss:                  12 kB
VmFlags: rd wr sh mr mw me ms sd
7f1000000000-7f1000001000 rw-s 00000000 00:01 8 /SYSV00000000 (deleted)
Rss:                   0 kB
7f2000000000-7f2000001000 r--s 00000000 00:19 9 /dev/shm/x
Rss:                   4 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Rss:                   0 kB
"""


def test_rows():
    rows = list(parse_smaps(TEXT))
    assert [(row.end - row.start, row.shared, row.is_shared_anon) for row in rows] == [
        (4096, False, False),
        (2 << 20, True, True),
        (4096, True, True),
        (4096, True, False),
        (4096, False, False),
    ]
    assert rows[0].flags == {"rd", "wr", "mr", "mw", "me", "ac", "sd"}
    assert rows[0].sizes["Rss"] == 4096
    assert rows[1].offset == 4096
    assert rows[1].file == (b"00:01 /dev/zero (deleted)", 77)
    assert sum(row.sizes["Rss"] for row in rows) == 20 * 1024


def test_garbage_stops():
    with pytest.raises(KernelFormatError, match="smaps:2: a line that is not understood"):
        list(parse_smaps(b"5581f2000000-5581f2001000 rw-p 00003000 fe:00 1234\nwhat is this\n"))


def test_a_process_that_has_left(tmp_path):
    with pytest.raises(CannotServe, match="there is no process 42"):
        read_smaps(Roots(proc=tmp_path), 42)


def test_statm(tmp_path):
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "statm").write_text("1000 61 38 5 0 40 0\n")
    assert read_statm_rss(Roots(proc=tmp_path), 42) == 61 * PAGE_BYTES
    (tmp_path / "42" / "statm").write_text("1000\n")
    with pytest.raises(KernelFormatError, match="not seven numbers"):
        read_statm_rss(Roots(proc=tmp_path), 42)


@pytest.mark.parametrize(
    "name", [b"/tmp/a\rb", b"/tmp/a\x0b\x0c\x1c\x85\xe2\x80\xa8b", b"/tmp/a\\012Rss: 9 kB", b"/a: b"]
)
def test_a_name_of_any_bytes_is_one_line(name):
    (row,) = parse_smaps(b"5581f2000000-5581f2001000 r--s 00000000 fe:00 7 %b\nRss:   4 kB\n" % name)
    assert row.file == (b"fe:00 " + name, 7)
    assert row.sizes == {"Rss": 4096}


def test_mappings_by_frame_number():
    text = TEXT + (
        b"7fff00000000-7fff00004000 r--p 00000000 00:00 0                          [vvar]\n"
        b"Rss:                   0 kB\nVmFlags: rd mr pf io de dd sd\n"
        b"7fff00004000-7fff00005000 r-xp 00000000 00:00 0                          [vdso]\nVmFlags: rd ex mr mw me de\n"
        b"7fff10000000-7fff10001000 r--s 00000000 00:05 4 /tmp/a\rVmFlags: pf\nVmFlags: rd mr ?? \n"
        b"7fff20000000-7fff20003000 rw-s 000f0000 00:05 4 /dev/mem\nVmFlags: rd wr sh mr mw me ms pf io dd \n"
    )
    assert list(parse_pfnmaps(text)) == [(0x7FFF00000000, 0x7FFF00004000), (0x7FFF20000000, 0x7FFF20003000)]
    assert list(parse_pfnmaps(TEXT)) == []
    flagged = [(row.start, row.end) for row in parse_smaps(text) if "pf" in row.flags]
    assert list(parse_pfnmaps(text)) == flagged


lines = st.sampled_from(TEXT.split(b"\n")) | st.binary(max_size=40)


@settings(deadline=None)
@given(st.binary() | st.lists(lines, max_size=8).map(b"\n".join))
def test_arbitrary_bytes_raise_nothing_else(text):
    assert all(start >= 0 and end >= 0 for start, end in parse_pfnmaps(text))
    with contextlib.suppress(KernelFormatError):
        for row in parse_smaps(text):
            assert row.start >= 0


@settings(deadline=None)
@given(st.binary(max_size=40).filter(lambda name: not {0, 10} & set(name) and name == name.lstrip(b" ")))
def test_no_name_changes_what_is_read(name):
    rows = list(parse_smaps(TEXT.replace(b"/dev/shm/x", name)))
    assert [row.sizes["Rss"] for row in rows] == [4096, 12288, 0, 4096, 0]
    assert rows[3].file == (b"00:19 " + name, 9)


@given(st.binary() | st.text("0123456789 \n-_٣").map(str.encode))
def test_any_statm_is_pages_or_not_understood(text: bytes) -> None:
    with contextlib.suppress(KernelFormatError):
        assert parse_statm(text) == int(text.split()[1])


@pytest.mark.parametrize("text", [b"", b"1 2 3 4 5 6", b"1 x 3 4 5 6 7", b"1 " + b"9" * 5000 + b" 3 4 5 6 7"])
def test_another_statm_stops(text: bytes) -> None:
    with pytest.raises(KernelFormatError, match="not seven numbers"):
        parse_statm(text)
