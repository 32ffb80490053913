"""mountinfo: every field, its escapes, and what is not of its form."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.errors import KernelFormatError
from zonerss.kernel.mounts import Mount, parse_mountinfo, read_mounts
from zonerss.kernel.roots import Roots

# proc_pid_mountinfo(5)'s own example.
EXAMPLE = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"


def test_every_field() -> None:
    assert parse_mountinfo(EXAMPLE) == (
        Mount(
            mount_id=36,
            parent_id=35,
            device="98:0",
            root="/mnt1",
            mount_point="/mnt2",
            options=("rw", "noatime"),
            tags=("master:1",),
            fs_type="ext3",
            source="/dev/root",
            super_options=("rw", "errors=continue"),
        ),
    )


def test_no_tags_or_several() -> None:
    none, two = parse_mountinfo(
        b"1 0 0:1 / / rw - tmpfs tmpfs rw\n2 1 0:2 / /a rw shared:1 unbindable - tmpfs tmpfs rw"
    )
    assert none.tags == ()
    assert two.tags == ("shared:1", "unbindable")


def test_escapes_are_decoded_once() -> None:
    (mount,) = parse_mountinfo(rb"1 0 0:1 /a\040b /c\011\012\134\134040d rw - fuse.x a\043b rw")
    assert mount.root == "/a b"
    assert mount.mount_point == "/c\t\n\\\\040d"
    assert mount.source == "a#b"


def test_bytes_that_are_no_utf8_and_carriage_returns_survive() -> None:
    (mount,) = parse_mountinfo(b"1 0 0:1 / /\xff\r\x1b[31m rw - tmpfs tmpfs rw")
    assert mount.mount_point == "/\udcff\r\x1b[31m"


def test_an_empty_source_is_an_empty_field() -> None:
    (mount,) = parse_mountinfo(b"1 0 0:1 / /a rw - tmpfs  rw,size=1k")
    assert (mount.source, mount.super_options) == ("", ("rw", "size=1k"))


def test_a_mount_point_called_dash() -> None:
    (mount,) = parse_mountinfo(b"1 0 0:1 - - rw - tmpfs - rw")
    assert (mount.root, mount.mount_point, mount.source) == ("-", "-", "-")


def test_options_with_a_space_that_a_file_system_left_unescaped() -> None:
    (mount,) = parse_mountinfo(b"1 0 0:1 / /a rw - odd src rw,label=a b,x")
    assert mount.super_options == ("rw", "label=a b", "x")


def test_nothing_is_no_mounts() -> None:
    assert parse_mountinfo(b"") == ()


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"\n",
        b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 ext3 /dev/root rw",
        b"36 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root",
        b"36 35 98:0 /mnt1 /mnt2 rw -",
        b"36 35 98 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        b"36 35 98:0:1 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        b"-6 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        b"3_6 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        b" 36 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        b"36 35 \xd9\xa3:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        b"9" * 5000 + b" 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
    ],
)
def test_what_is_not_understood_stops_with_path_line_and_raw_text(line: bytes) -> None:
    with pytest.raises(KernelFormatError) as caught:
        parse_mountinfo(EXAMPLE + line + b"\n", "/proc/7/mountinfo")
    sentence = str(caught.value)
    assert sentence.startswith("/proc/7/mountinfo: line 2 ")
    assert repr(line.split(b"\n")[0]) in sentence


def test_read_mounts_reads_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").write_bytes(EXAMPLE)
    assert read_mounts(Roots(proc=tmp_path)) == parse_mountinfo(EXAMPLE)
    with pytest.raises(OSError, match="mountinfo"):
        read_mounts(Roots(proc=tmp_path / "absent"))


@settings(deadline=None)
@given(st.binary() | st.binary().map(lambda noise: EXAMPLE[:40] + noise + EXAMPLE[40:]))
def test_arbitrary_bytes_raise_nothing_else(text: bytes) -> None:
    with contextlib.suppress(KernelFormatError):
        parse_mountinfo(text)


names = st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=30)


@settings(deadline=None)
@given(names, names)
def test_any_name_round_trips(point: str, source: str) -> None:
    def escape(name: str) -> bytes:
        raw = name.encode("utf-8", "surrogateescape")
        return b"".join(b"\\%03o" % byte if byte in b" \t\n\\" else bytes([byte]) for byte in raw)

    try:
        line = b"1 0 0:1 / /%b rw - tmpfs %b rw\n" % (escape(point), escape(source))
    except UnicodeEncodeError:
        return  # Lone surrogates that stand for no byte: no file has such a name.
    (mount,) = parse_mountinfo(line)
    assert mount.mount_point.encode("utf-8", "surrogateescape") == b"/" + point.encode(
        "utf-8", "surrogateescape"
    )
    assert mount.source.encode("utf-8", "surrogateescape") == source.encode("utf-8", "surrogateescape")
