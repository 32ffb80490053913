"""Recordings made by hand for pages: a night of one host, and a day of many zones. No kernel is asked."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from tests.unit.history.moments import Host, Process, member_order, moment
from zonerss.census.usage import zones_usage
from zonerss.history.keeper import Keeper
from zonerss.history.moment import Moment
from zonerss.plain import dataclass, replace
from zonerss.records import Zone
from zonerss.records.bills import Bill, Billed
from zonerss.records.files import OpenFile
from zonerss.units import PAGE_BYTES

HOSTILE = (
    "</script><script>document.title='taken'</script>",
    '"><img src=http://203.0.113.9/x onerror=alert(1)>',
    "{b}{@value}<!--<script>\u2028]]>${title}$data",
    "\u202egnp.exe\x1b[31m\x00\udcff&lt;&#39;",
    "javascript:alert(1)//" + "very-long-name-" * 12,
)
"""What a stranger may call a container, for each place in a page where a name comes to stand."""
MIB_PAGES = (1 << 20) // PAGE_BYTES
Course = Callable[[float, random.Random], float]
"""MiB of private memory by the part of the time that has passed."""


@dataclass(frozen=True)
class Made:
    """A zone made by hand."""

    name: str
    anon: Course
    file: float = 4.0
    """MiB that it alone maps."""
    cache: Course = lambda part, dice: 0.0
    """MiB of page cache on its bill that nobody maps."""
    limit: int | None = None
    """MiB."""
    workers: int = 2
    there: tuple[float, float] = (0.0, 1.0)
    """The part of the time in which it was there."""
    away: tuple[float, float] = (2.0, 2.0)
    """Of it, the part in which it was not."""

    def is_there(self, part: float) -> bool:
        """At a part of the time."""
        return self.there[0] <= part <= self.there[1] and not self.away[0] <= part <= self.away[1]


def flat(size: float) -> Course:
    """It wavers about one size."""
    return lambda part, dice: size + dice.gauss(0, size / 300)


def rising(size: float, by: float) -> Course:
    """It leaks."""
    return lambda part, dice: size + by * part + dice.gauss(0, 0.2)


def saw(size: float, teeth: float, count: int) -> Course:
    """It rises and falls."""
    return lambda part, dice: size + teeth * (part * count % 1) + dice.gauss(0, 0.2)


def wave(size: float, by: float) -> Course:
    """It follows the hours."""
    return lambda part, dice: size + by * math.sin(part * 2 * math.pi) + dice.gauss(0, 0.5)


ZONES = (
    Made("workers", rising(120, 160), limit=600, workers=8),
    Made("postgres", flat(52), file=18, limit=512, workers=12),
    Made("redis", flat(61), limit=86),
    Made("api", wave(58, 11), file=9, workers=4),
    Made("web", flat(36), file=6, workers=3),
    Made("collector", saw(30, 22, 6), limit=128),
    Made("log-shipper", flat(12), cache=lambda part, dice: 5 + 90 * part),
    Made("nightly-batch", rising(20, 30), there=(0.35, 0.6)),
    Made("monitoring/prometheus-0/prometheus", flat(88), file=12, limit=256),
    Made("system.slice/ssh.service", flat(3), file=2),
    Made("user-1000", flat(9), file=3, away=(0.25, 0.45)),
)
HOSTILE_ZONES = tuple(Made(name, flat(5 + number)) for number, name in enumerate(HOSTILE))
SHARED = {
    ("postgres", "api"): 21.0,
    ("api", "web"): 14.0,
    ("workers", "collector", "nightly-batch"): 9.0,
    ("redis", "web"): 2.5,
    ("log-shipper", "system.slice/ssh.service", "user-1000"): 3.1,
}
"""MiB of files that some zones map together."""
EVERYWHERE = 1.9
"""MiB that all map: the C library."""


def host_at(zones: tuple[Made, ...], seconds: float, part: float, dice: random.Random) -> Moment:
    """A host at one time; its chains close, but for what processors hold in stock."""
    there = [
        zone
        for zone in zones
        if zone.there[0] <= part <= zone.there[1] and not zone.away[0] <= part <= zone.away[1]
    ]
    zone_of = {made.name: Zone(made.name, f"/pods/{number}") for number, made in enumerate(zones)}
    names = {made.name for made in there}
    sets: dict[tuple[str, ...], list[int]] = {}
    for made in there:
        anon = max(round(made.anon(part, dice) * MIB_PAGES), 1)
        shmem = 14 * MIB_PAGES if made.name == "postgres" else 0
        sets[made.name,] = [anon, round(made.file * MIB_PAGES), shmem, 0, 0]
    for together, size in {**SHARED, tuple(made.name for made in there): EVERYWHERE}.items():
        members = tuple(name for name in together if name in names)
        if members:
            row = sets.setdefault(members, [0] * 5)
            row[1] += round(size * MIB_PAGES)
    processes, pid = [], 1000
    for made in there:
        own = sets[made.name,]
        common = sum(row[1] for members, row in sets.items() if len(members) > 1 and made.name in members)
        for number in range(made.workers):
            pid = 1000 + 50 * list(zone_of).index(made.name) + number
            anon = own[0] // made.workers
            mapped = anon, own[1] + common, own[2]
            figures = (sum(mapped), *mapped, 0, anon, anon + mapped[1] // 4, 0)
            command = made.name if made.name in HOSTILE else made.name.split("/")[-1][:15]
            processes.append(
                Process(pid, zone_of[made.name], zone_of[made.name].cgroup or "/", command, figures)
            )
    return _moment(there, zone_of, sets, processes, seconds, part, dice)


def _moment(
    there: list[Made],
    zone_of: Mapping[str, Zone],
    sets: Mapping[tuple[str, ...], list[int]],
    processes: list[Process],
    seconds: float,
    part: float,
    dice: random.Random,
) -> Moment:
    plain = moment(processes, {(0,): [1, 0, 0, 0, 0]}, seconds=seconds)
    order = {m.zones[0].name: m.owner for m in sorted(plain.snapshot.members, key=member_order)}
    parts = {tuple(sorted(order[name] for name in members)): row for members, row in sets.items()}
    inode = {made.name: 1000 + order[made.name] for made in there}
    billed = [
        Billed(tuple(sorted(order[n] for n in members)), inode[members[0]], tuple(row))
        for members, row in sets.items()
    ]
    bills, extra = {}, {}
    for made in there:
        paid = [row for members, row in sets.items() if members[0] == made.name]
        anon, mapped = sum(row[0] for row in paid), sum(row[1] + row[2] for row in paid)
        cache = round(made.cache(part, dice) * MIB_PAGES)
        shmem, kernel, stock = sum(row[2] for row in paid), 3 * MIB_PAGES // 2, dice.randrange(60)
        charged = (anon + mapped + cache + kernel + stock) * PAGE_BYTES
        stat = {
            "anon": anon * PAGE_BYTES, "file": (mapped + cache) * PAGE_BYTES, "shmem": shmem * PAGE_BYTES,
            "file_mapped": mapped * PAGE_BYTES, "inactive_file": cache * PAGE_BYTES,
            "slab": kernel * PAGE_BYTES // 2, "pagetables": kernel * PAGE_BYTES // 4,
            "kernel_stack": kernel * PAGE_BYTES // 8, "sock": 0,
        }  # fmt: skip
        cgroup = zone_of[made.name].cgroup or "/"
        bills[cgroup] = Bill(2, charged, stat, None, kernel * PAGE_BYTES, 0, 0)
        extra[made.name] = {
            "charged_bytes": charged,
            "limit_bytes": None if made.limit is None else made.limit << 20,
            "cache_unmapped_bytes": cache * PAGE_BYTES,
            "uncertainty_bytes": dice.randrange(1, 1 + made.workers) * 128 * PAGE_BYTES,
        }
    found = moment(
        processes,
        parts,
        seconds=seconds,
        billed=billed,
        bills=bills,
        extra=extra,
        open_files=tuple(_log(made, processes, part, dice) for made in there if made.name == "log-shipper"),
        cgroups={inode[made.name]: zone_of[made.name].cgroup or "/" for made in there},
    )
    bound = sum(fields["uncertainty_bytes"] for fields in extra.values())
    total = replace(found.snapshot.total, uncertainty_bytes=bound)
    return replace(found, snapshot=replace(found.snapshot, total=total, uncertainty="bound"))


def _log(made: Made, processes: list[Process], part: float, dice: random.Random) -> OpenFile:
    pid = next(process.pid for process in processes if process.zone.name == made.name)
    size = round(made.cache(part, dice)) << 20
    return OpenFile("/var/log/app.log", (8, 1), 77, pid, 2 * size, size)


def only_of(moment: Moment, names: Collection[str]) -> Moment:
    """As of ``record --zone``: the frames of all, and the figures of some."""
    kept = moment.snapshot
    usages, total = zones_usage(kept.parts, kept.members, 0, lambda zone: None, names)
    told = tuple(usage for usage in kept.zones if usage.zone in {one.zone for one in usages})
    groupings = (replace(kept.groupings[0], zones=told), *kept.groupings[1:])
    processes = tuple(process for process in kept.processes or () if process.zone in names)
    return replace(
        moment, snapshot=replace(kept, zones=told, total=total, groupings=groupings, processes=processes)
    )


def night(
    path: Path,
    zones: tuple[Made, ...] = ZONES + HOSTILE_ZONES,
    count: int = 180,
    seed: int = 1,
    only: Collection[str] = (),
) -> None:
    """
    Six hours, with 70 minutes in which nothing was recorded.

    :param only: figures of these zones only; empty: of all
    """
    dice = random.Random(seed)
    span = 6 * 3600
    with Keeper(path) as keeper:
        for number in range(count):
            seconds = span * number / (count - 1)
            if not 0.7 < number / count < 0.9:
                found = host_at(zones, seconds, number / (count - 1), dice)
                keeper.add(only_of(found, only) if only else found)


def day(path: Path, zones: int = 1000, count: int = 240) -> None:
    """A day of a host on which a tenth of the figures changes from snapshot to snapshot."""
    host = Host(
        zones,
        3 * zones,
        processes=1,
        names=[f"/kubepods/pod-{n:04}/{n * 7919 % 997:03}" for n in range(zones)],
    )
    dice = random.Random(2)
    with Keeper(path) as keeper:
        for number in range(count):
            keeper.add(host.moment(86_400 * number / count))
            host.drift(0.1)
            host.grow(dice.randrange(10), 300)
