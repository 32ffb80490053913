"""Sizes as prstat prints them."""

from __future__ import annotations

import pytest

from zonerss.units import PAGE_BYTES, format_percent, format_size, pages_to_bytes

K, M, G = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "–"),
        (0, "0K"),
        (511, "0K"),
        (512, "1K"),
        (3400 * K, "3400K"),
        (9999 * K, "9999K"),
        (10_000 * K, "10M"),
        (555 * M, "555M"),
        (9999 * M, "9999M"),
        (10_000 * M, "9.8G"),
        (int(18.5 * G), "18.5G"),
        (100 * G, "100G"),
        (4096 * G, "4096G"),
    ],
)
def test_size(size_bytes: int | None, text: str) -> None:
    assert format_size(size_bytes) == text


def test_percent() -> None:
    assert format_percent(1, 1000) == "0.1%"
    assert format_percent(994, 10_000) == "9.9%"
    assert format_percent(995, 10_000) == "10%"
    assert format_percent(1, 0) == "–"


def test_pages() -> None:
    assert pages_to_bytes(3) == 3 * PAGE_BYTES
