"""A recording made by hand: a zone that grows for some minutes, and one that shares with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.unit.cap.samples import M
from tests.unit.history.moments import Process, moment

from zonerss.history.moment import Moment
from zonerss.plain import replace
from zonerss.records import Zone
from zonerss.records.machine import Machine
from zonerss.units import PAGE_BYTES

ZONES = (Zone("db", "/db"), Zone("web", "/web"))
PROCESSES = tuple(
    Process(pid, zone, zone.cgroup or "", zone.name, (0,) * 8) for pid, zone in enumerate(ZONES, 1)
)


def pages(mib: int) -> int:
    return mib * M // PAGE_BYTES


def at(seconds: float, web_mib: int, shared_mib: int = 50, swap_mib: int = 1024) -> Moment:
    """web has so much anon of its own, and shares with db."""
    parts: dict[tuple[int, ...], Sequence[int]] = {
        (0,): (pages(20), 0, 0, 0, 0),
        (1,): (pages(web_mib), 0, 0, 0, 0),
        (0, 1): (0, pages(shared_mib), 0, 0, 0),
    }
    made = moment(
        PROCESSES,
        {owners: row for owners, row in parts.items() if any(row)},
        seconds=seconds,
        lean=True,
        extra={"web": {"process_rss_bytes": (web_mib + shared_mib) * M}},
    )
    machine = made.snapshot.machine
    assert isinstance(machine, Machine)
    machine = replace(machine, swap_bytes=swap_mib * M, swap_free_bytes=swap_mib * M)
    return replace(made, snapshot=replace(made.snapshot, machine=machine))


def growing(minutes: int = 10, **fields: int) -> Iterator[Moment]:
    """100 MiB of its own, and 50 more each minute."""
    for minute in range(minutes):
        yield at(60 * minute, 100 + 50 * minute, **fields)
