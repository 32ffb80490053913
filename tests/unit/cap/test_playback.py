"""What a cap would have done with what was recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest
from tests.unit import builders
from tests.unit.cap import recorded
from tests.unit.cap.samples import M

from zonerss.cap.playback import replay
from zonerss.cap.records import Cap
from zonerss.errors import CannotServe, UsageError


def web(cap_mib: int, floor_mib: int = 0):  # type: ignore[no-untyped-def]
    def caps(zones: Collection[str]) -> Mapping[str, Cap]:
        assert set(zones) >= {"web"}
        return {"web": Cap("web", cap_mib * M, floor_bytes=floor_mib * M)}

    return caps


def test_a_zone_that_grows_is_held() -> None:
    found = replay(recorded.growing(), web(400))
    points, state = found.simulated.points["web"], found.simulated.states["web"]
    assert points[0].without_bytes == points[0].rss_bytes == 150 * M
    assert max(point.without_bytes for point in points) == 600 * M
    late = [point for point in points if point.at_ns > 320e9]
    assert min(point.rss_bytes for point in late) <= 400 * M
    assert points[-1].without_bytes - points[-1].rss_bytes == state.pout_bytes > 100 * M
    assert found.snapshots == 10
    assert found.began == builders.BEGAN
    assert found.ended == builders.BEGAN + timedelta(minutes=9)


def test_what_is_shared_is_not_taken() -> None:
    found = replay((recorded.at(60 * minute, 10, 500) for minute in range(5)), web(400))
    assert found.simulated.asked_bytes == {"web": 10 * M}
    assert found.simulated.states["web"].rss_bytes == 500 * M


def test_what_is_not_cold_is_not_taken() -> None:
    found = replay(recorded.growing(), web(400), cold_share=0.25)
    state = found.simulated.states["web"]
    assert 0 < state.pout_bytes <= 550 * M // 4
    assert state.refault_bytes == 0
    assert replay(recorded.growing(), web(400), cold_share=0.0).simulated.asked_bytes == {"web": 0}


def test_swap_that_was_not_there_is_not_filled() -> None:
    assert replay(recorded.growing(swap_mib=0), web(400)).simulated.asked_bytes == {"web": 0}
    assert replay(recorded.growing(swap_mib=32), web(400)).simulated.states["web"].pout_bytes == 30 * M


def test_a_zone_that_was_below_its_cap_is_left_alone() -> None:
    found = replay(recorded.growing(), web(700))
    assert not found.simulated.events
    assert found.simulated.walks == {"web": 0}


def test_a_zone_that_comes_later_and_goes() -> None:
    moments = [recorded.at(0, 0, 0), recorded.at(60, 600, 0), recorded.at(120, 0, 0)]
    found = replay(moments, web(400))
    assert [point.without_bytes for point in found.simulated.points["web"]][:2] == [0, 600 * M]
    assert found.simulated.states["web"].pout_bytes == 220 * M
    assert found.simulated.points["web"][-1].rss_bytes == 0


def test_caps_of_zones_that_were_not_recorded_are_nothing() -> None:
    found = replay(recorded.growing(2), lambda _: {"other": Cap("other", 1)})
    assert not found.simulated.caps


def test_by_cgroup() -> None:
    found = replay(recorded.growing(), lambda _: {"/web": Cap("/web", 400 * M)}, by="cgroup")
    assert found.simulated.states["/web"].pout_bytes > 0


def test_what_cannot_be_simulated_is_said() -> None:
    with pytest.raises(UsageError, match="--by user"):
        replay([], web(400), by="user")
    with pytest.raises(CannotServe, match="no snapshot"):
        replay([], web(400))
