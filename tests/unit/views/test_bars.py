"""Bars: to scale, by kind, the shared end dim."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import KIB, usage

from zonerss.views.bars import GLYPHS, LEGEND, bar, legend
from zonerss.views.terminal import Style
from zonerss.views.text import cells

PLAIN, COLOURED = Style(), Style(True)


def test_by_kind_and_to_scale() -> None:
    half = usage(anon_bytes=20 * KIB, file_bytes=20 * KIB, shmem_bytes=10 * KIB, exclusive_bytes=50 * KIB)
    assert bar(half, 50 * KIB, 10, PLAIN) == "████▓▓▓▓░░"
    assert bar(half, 100 * KIB, 10, PLAIN) == "██▓▓░"


def test_little_is_seen_and_nothing_is_not() -> None:
    tiny = usage(anon_bytes=1, file_bytes=0, shmem_bytes=0)
    assert bar(tiny, 1 << 40, 10, PLAIN) == "█"
    assert bar(usage(anon_bytes=0, file_bytes=0, shmem_bytes=0), 1 << 40, 10, PLAIN) == ""
    assert bar(tiny, 0, 10, PLAIN) == ""


def test_the_shared_end_is_dim() -> None:
    half = usage(anon_bytes=20, file_bytes=20, shmem_bytes=0, exclusive_bytes=30)
    assert bar(half, 40, 4, COLOURED) == "\x1b[34m██\x1b[0m\x1b[32m▓\x1b[0m\x1b[32;2m▓\x1b[0m"
    unknown = usage(anon_bytes=20, file_bytes=20, shmem_bytes=0, exclusive_bytes=None)
    assert bar(unknown, 40, 2, COLOURED) == "\x1b[34m█\x1b[0m\x1b[32m▓\x1b[0m"


SIZES = st.integers(0, 1 << 40)


@given(SIZES, SIZES, SIZES, SIZES, st.integers(1, 60), st.booleans())
def test_a_bar_has_room(anon: int, file: int, shmem: int, own: int, width: int, coloured: bool) -> None:
    rss = anon + file + shmem
    drawn = usage(anon_bytes=anon, file_bytes=file, shmem_bytes=shmem, exclusive_bytes=min(own, rss))
    text = bar(drawn, rss, width, Style(coloured))
    assert cells(text) == (width if rss else 0)
    glyphs = [char for char in text if char in GLYPHS.values()]
    assert glyphs == sorted(glyphs, key=list(GLYPHS.values()).index)


def test_the_legend_is_as_long_as_there_is_room() -> None:
    assert legend(len(LEGEND), PLAIN) == LEGEND == "anon█ file▓ shmem░"
    assert legend(len(LEGEND) - 1, PLAIN) == "█▓░"
    assert legend(2, PLAIN) == ""
    assert cells(legend(40, COLOURED)) == len(LEGEND)
