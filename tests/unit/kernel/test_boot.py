"""The boot that this is."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.errors import KernelFormatError
from zonerss.kernel.boot import boot_offset_ns, parse_boot_offset, read_boot_id, read_uptime
from zonerss.kernel.roots import HOST, Roots


def test_the_id_of_this_boot_is_a_uuid_and_stays() -> None:
    found = read_boot_id(HOST)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found)
    assert read_boot_id(HOST) == found


def test_without_proc_it_is_not_known(tmp_path: Path) -> None:
    assert read_boot_id(Roots(proc=tmp_path)) == ""


def test_the_clocks_go_forward() -> None:
    one, other = read_uptime(), read_uptime()
    assert one.monotonic_ns <= other.monotonic_ns
    assert 0 < one.boottime_ns <= other.boottime_ns


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "self").mkdir()
    return Roots(proc=tmp_path)


@pytest.mark.parametrize(
    ("text", "offset_ns"),
    [
        ("monotonic           0         0\nboottime            0         0\n", 0),
        ("monotonic           0         0\nboottime        86400 500000000\n", 86_400_500_000_000),
        ("1 0 0\n7 -5 0\n", -5_000_000_000),
        ("", 0),
    ],
)
def test_time_namespace(roots: Roots, text: str, offset_ns: int) -> None:
    (roots.proc / "self" / "timens_offsets").write_text(text)
    assert boot_offset_ns(roots) == offset_ns


@given(st.integers(-(2**62), 2**62), st.integers(0, 999_999_999), st.sampled_from(["boottime", "7"]))
def test_any_offset_is_read(seconds: int, ns: int, name: str) -> None:
    text = f"monotonic           1         2\n{name:<10} {seconds:>10} {ns:>9}\n"
    assert parse_boot_offset(text.encode()) == seconds * 1_000_000_000 + ns


@given(st.binary() | st.text(st.sampled_from("boottime7 -019\t\n")).map(str.encode))
def test_any_text_is_an_offset_or_refused(text: bytes) -> None:
    with contextlib.suppress(KernelFormatError):
        assert isinstance(parse_boot_offset(text), int)


def test_an_offset_of_another_form_is_given_in_full(roots: Roots) -> None:
    (roots.proc / "self" / "timens_offsets").write_text("boottime one 0\n")
    with pytest.raises(KernelFormatError, match=r"timens_offsets: .*b'boottime one 0'"):
        boot_offset_ns(roots)


def test_no_time_namespaces(roots: Roots) -> None:
    assert boot_offset_ns(roots) == 0
