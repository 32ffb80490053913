"""Numbers of the kernel's text files."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zonerss.kernel.numbers import whole_number


@pytest.mark.parametrize(("text", "number"), [(b"0", 0), (b"007", 7), (b"18446744073709551615", 2**64 - 1)])
def test_a_number(text: bytes, number: int) -> None:
    assert whole_number(text) == number


@given(st.binary() | st.text("0123456789 -+_٣²").map(str.encode))
@example(b"9" * 5000)
@example(b"1_000")
@example(b"7\n")
def test_anything_else_is_none(text: bytes) -> None:
    assert (whole_number(text) is not None) == bool(re.fullmatch(rb"[0-9]{1,20}", text))
