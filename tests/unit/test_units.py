"""Sizes as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.units import PAGE_BYTES, format_percent, format_size, pages_to_bytes

K, M, G = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "–"),
        (0, "0K"),
        (511, "0K"),
        (512, "1K"),
        (4 * K, "4K"),
        (1023 * K + 511, "1023K"),
        (1023 * K + 512, "1.0M"),
        (3400 * K, "3.3M"),
        (9400 * K, "9.2M"),
        (int(9.94 * M), "9.9M"),
        (int(9.96 * M), "10M"),
        (555 * M, "555M"),
        (1023 * M, "1023M"),
        (1024 * M, "1.0G"),
        (int(18.5 * G), "18.5G"),
        (int(99.94 * G), "99.9G"),
        (int(99.96 * G), "100G"),
        (4096 * G, "4.0T"),
        (1 << 64, "16.0E"),
        (-5 * M, "-5.0M"),
    ],
)
def test_size(size_bytes: int | None, text: str) -> None:
    assert format_size(size_bytes) == text


def value_of(text: str) -> float:
    return float(text[:-1]) * 1024.0 ** (1 + "KMGTPE".index(text[-1]))


some_sizes = st.integers(0, 1 << 64) | st.builds(
    lambda unit, near, by: max((near << 10 * unit) + by, 0),
    st.integers(0, 5),
    st.sampled_from([1, 10, 100, 1000, 1023, 1024]),
    st.integers(-(1 << 30), 1 << 30),
)


@given(some_sizes, some_sizes)
def test_a_greater_size_is_never_shown_as_a_smaller_one(one: int, other: int) -> None:
    small, great = value_of(format_size(min(one, other))), value_of(format_size(max(one, other)))
    assert small <= great


@given(some_sizes)
def test_a_size_is_at_most_five_characters_wide_and_near_the_truth(size_bytes: int) -> None:
    text = format_size(size_bytes)
    assert len(text) <= 5
    assert abs(value_of(text) - size_bytes) <= max(size_bytes / 19, 512)


def test_percent() -> None:
    assert format_percent(1, 1000) == "0.1%"
    assert format_percent(994, 10_000) == "9.9%"
    assert format_percent(995, 10_000) == "10%"
    assert format_percent(1, 0) == "–"


def test_pages() -> None:
    assert pages_to_bytes(3) == 3 * PAGE_BYTES
