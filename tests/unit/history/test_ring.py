"""The ring: what goes in comes out, the oldest go first, and it never takes more than it has."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.history.moments import Host, moments, same

from zonerss.history.moment import Moment
from zonerss.history.ring import Ring, RingTooSmall
from zonerss.plain import replace

SIZE = 1 << 16


def seconds_of(ring: Ring) -> list[int]:
    return [round(moment.uptime.boottime_ns / 1e9) - 200 for moment in ring.not_kept()]


def lean(host: Host, seconds: float) -> Moment:
    return host.moment(seconds, lean=True)


def test_looks_come_out_as_they_went_in_and_once() -> None:
    host, added = Host(5, 5), []
    with Ring(300, SIZE) as ring:
        for seconds in range(3):
            added.append(lean(host, seconds))
            ring.add(added[-1])
            host.drift()
        assert 0 < ring.used_bytes <= SIZE
        for one, other in zip(ring.not_kept(), reversed(added), strict=True):
            same(one, other)
        assert list(ring.not_kept()) == []
        ring.add(lean(host, 3))
        assert seconds_of(ring) == [3]


@given(moments())
@settings(max_examples=25)
def test_any_moment_comes_out_as_it_went_in(moment: Moment) -> None:
    bare = replace(moment, holdings=None, billed=None)
    with Ring(300, 1 << 20) as ring:
        ring.add(bare)
        (found,) = ring.not_kept()
        same(found, bare)


def test_what_is_older_than_the_span_goes() -> None:
    host = Host(2, 2)
    with Ring(10, SIZE) as ring:
        for seconds in range(0, 40, 4):
            ring.add(lean(host, seconds))
        assert seconds_of(ring) == [36, 32, 28]


def test_a_full_ring_forgets_the_oldest_only() -> None:
    host = Host(9, 20)
    with Ring(10_000, SIZE) as ring:
        for seconds in range(200):
            ring.add(lean(host, seconds))
            host.drift(0.1)
            assert ring.used_bytes <= SIZE
        there = seconds_of(ring)
        assert 1 < len(there) < 200
        assert there == list(range(199, 199 - len(there), -1))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40))
@settings(deadline=None, max_examples=50)
def test_looks_of_any_size_never_overlap(sizes: list[int]) -> None:
    """Where one is damaged by another, inflating it fails."""
    moment, noise = lean(Host(1, 1), 0), random.Random(1)
    names: list[str] = []
    with Ring(10_000, 4096) as ring:
        for size in sizes:
            names.append("".join(chr(noise.randrange(0x4E00, 0x9F00)) for _ in range(size)))
            ring.add(replace(moment, host_name=names[-1]))
            there = len(ring)
            assert 1 <= there <= len(names)
        assert [found.host_name for found in ring.not_kept()] == names[: -there - 1 : -1]


def test_a_look_that_is_larger_than_the_ring_is_refused() -> None:
    host = Host(50, 50)
    with Ring(300, 512) as ring:
        with pytest.raises(RingTooSmall, match="the black box has 512"):
            ring.add(lean(host, 0))
        assert len(ring) == 0


def test_what_was_not_written_is_not_taken_for_kept() -> None:
    host = Host(2, 2)
    with Ring(300, SIZE) as ring:
        for seconds in range(4):
            ring.add(lean(host, seconds))
        looks = ring.not_kept()
        next(looks)
        next(looks)  # the first is kept now; the second failed
        looks.close()
        assert seconds_of(ring) == [2, 1, 0]
