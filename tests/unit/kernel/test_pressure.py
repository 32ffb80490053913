"""Pressure from recorded text."""

from __future__ import annotations

from pathlib import Path

import pytest

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
