"""Pressure from recorded text."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.errors import KernelFormatError
from zonerss.kernel.pressure import UNKNOWN, parse_pressure, read_pressure
from zonerss.kernel.roots import Roots

TEXT = b"some avg10=12.34 avg60=1.00 avg300=0.10 total=1630586\nfull avg10=0.07 avg60=0.00 avg300=0.00 total=293141\n"


def test_both_lines() -> None:
    assert parse_pressure(TEXT) == (12.34, 0.07)


def test_a_line_that_is_missing_is_unknown() -> None:
    assert parse_pressure(TEXT.splitlines()[0]) == (12.34, None)
    assert parse_pressure(b"") == UNKNOWN == (None, None)


def test_other_text_stops() -> None:
    with pytest.raises(KernelFormatError, match=r"memory\.pressure: no line .*b'max"):
        parse_pressure(b"max 7\n")


def test_of_the_machine(tmp_path: Path) -> None:
    assert read_pressure(Roots(proc=tmp_path)) == UNKNOWN
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure/memory").write_bytes(TEXT)
    assert read_pressure(Roots(proc=tmp_path)) == (12.34, 0.07)


pieces = [b"some", b"full", b" avg10=", b"1.00", b"7", b".", b" ", b"\n", b"-", b"nan", b"9" * 5000]


@given(st.binary() | st.lists(st.sampled_from(pieces), max_size=12).map(b"".join))
def test_arbitrary_bytes_raise_nothing_else(text: bytes) -> None:
    with contextlib.suppress(KernelFormatError):
        assert all(value is None or (value >= 0 and math.isfinite(value)) for value in parse_pressure(text))


def test_a_number_that_is_none_stops() -> None:
    with pytest.raises(KernelFormatError):
        parse_pressure(b"some avg10=" + b"9" * 5000 + b".0 avg60=0.00\n")
