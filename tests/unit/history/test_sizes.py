"""Sizes of zones and processes read without the rest of a moment: the same as with it."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.unit.history.moments import Host, moments

from zonerss.history.keeper import Keeper
from zonerss.history.moment import GROUPINGS, Moment
from zonerss.history.recording import Recording


def demand_same(recording: Recording, kept: list[Moment]) -> None:
    numbers = recording.between()
    for position, by in enumerate(GROUPINGS):
        found = list(recording.zone_sizes(numbers, by))
        assert [number for number, _ in found] == numbers
        for one, (_, sizes) in zip(kept, found, strict=True):
            assert sizes == {zone.zone: zone.rss_bytes for zone in one.snapshot.groupings[position].zones}
    for one, (_, processes) in zip(kept, recording.process_sizes(numbers), strict=True):
        start = {member.task.pid: member.task.start_ticks for member in one.snapshot.members}
        assert processes == {
            (one.boot_id, usage.pid, start[usage.pid]): usage.rss_bytes
            for usage in one.snapshot.processes or ()
        }
    assert recording.damaged == []


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25)
@given(moments(), moments(10))
def test_any_moment(first: Moment, second: Moment) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.zrec")
        with Keeper(path) as keeper:
            for one in (first, second):
                keeper.add(one)
        with Recording(path) as recording:
            demand_same(recording, list(recording.moments()))


def test_zones_and_processes_that_come_and_go(tmp_path: Path) -> None:
    path, kept = tmp_path / "a.zrec", []
    host, larger = Host(3, 2), Host(5, 3)
    with Keeper(path) as keeper:
        for number in range(6):
            kept.append((larger if number in (2, 3) else host).moment(10 * number))
            keeper.add(kept[-1])
            host.drift(0.5)
    with Recording(path) as recording:
        demand_same(recording, kept)


@pytest.mark.parametrize(
    ("column", "value"),
    [("zones", "x'00'"), ("zones", "7"), ("segment", "99"), ("id", "99")],
)
def test_what_is_damaged_is_left_out_and_said(tmp_path: Path, column: str, value: str) -> None:
    path, host = tmp_path / "a.zrec", Host(3, 2)
    with Keeper(path) as keeper:
        for number in range(4):
            keeper.add(host.moment(10 * number))
            host.drift()
    with Recording(path) as recording:
        numbers = recording.between()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE snapshots SET {column} = {value} WHERE id = 3")
    connection.close()
    with Recording(path) as recording:
        found = list(recording.zone_sizes(numbers, "zone"))
        assert [number for number, *_ in found] == [1, 2, 4]
        assert len(recording.damaged) == (column != "id")
