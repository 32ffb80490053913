"""A moment as sections of tables, and back. Pure.

Figures refer to what they are of by number: zones, owners (a zone and a cgroup in it), processes, sets of owners, texts
and files have one each for as long as a recording keeps them. What follows from the rest is not kept: a part's order,
an owner's number in the parts, the names of a process's zone.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any, Protocol, TypeVar

from zonerss.census.kinds import Kind
from zonerss.census.parts import Parts, PartsBuilder
from zonerss.census.usage import Member
from zonerss.history.figures import Key, Malformed, Table, inflate
from zonerss.history.moment import GROUPINGS, Moment
from zonerss.kernel.boot import Uptime
from zonerss.plain import dataclass
from zonerss.records import Cause, Caveat, Gap, Grouping, ProcessUsage, Task, Usage, Zone
from zonerss.records.bills import Bill, Billed
from zonerss.records.files import Holding, MappedFile, OpenFile, holding_order
from zonerss.records.images import Image
from zonerss.records.machine import Machine
from zonerss.snapshot import Snapshot
from zonerss.units import PAGE_BYTES

OwnerKey = tuple[Zone, Zone]
"""What an owner is: a process's zone, and its zone by cgroup."""
_SIZES = ("anon_bytes", "file_bytes", "shmem_bytes", "hugetlb_bytes")
_MAPPED = (*_SIZES, "exclusive_bytes", "proportional_bytes", "swap_bytes")
ZONE_FIGURES = (
    *("processes", "process_rss_bytes", *_MAPPED, "charged_bytes", "limit_bytes", "high_bytes"),
    *("pressure_some", "pressure_full", "oom_kills", "cache_unmapped_bytes", "dead_cgroups_bytes"),
    *("dying_cgroups", "uncertainty_bytes"),
)
PROCESS_FIGURES = ("owner", "address_space", "pages", "size_bytes", *_MAPPED)
"""The last seven are unknown of processes that are not shown. pages: page table entries that map memory."""
_PAGES_AT, _MAPPED_AT = PROCESS_FIGURES.index("pages"), PROCESS_FIGURES.index(_MAPPED[0])
MACHINE_FIGURES = (
    *("memory_bytes", "free_bytes", "available_bytes", "page_cache_bytes", "shmem_bytes", "kernel_bytes"),
    *("hugetlb_bytes", "swap_bytes", "swap_free_bytes", "pressure_some", "pressure_full"),
)
BILL_FIGURES = ("version", "charged_bytes", "kernel_bytes", "swap_bytes", "dying", "has_own")
_ALWAYS = ("processes", "process_rss_bytes", *_SIZES, "swap_bytes")
"""Of a zone: what is never unknown."""
_HUNDREDTHS = ("pressure_some", "pressure_full")
_ALWAYS_AT, _PRESSURE_AT = (tuple(map(ZONE_FIGURES.index, fields)) for fields in (_ALWAYS, _HUNDREDTHS))
_SIZES_AT = tuple(at for at, name in enumerate(ZONE_FIGURES) if name not in ("limit_bytes", "high_bytes"))
_KINDS = len(Kind)

SHAPES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "zones": ((2, len(ZONE_FIGURES)), (1, len(ZONE_FIGURES)), (1, len(MACHINE_FIGURES))),
    "parts": ((1, _KINDS),),
    "processes": ((1, len(PROCESS_FIGURES)), (1, 1), (1, 1), (1, 1), (1, 2)),
    "bills": ((1, len(BILL_FIGURES)), (2, 1), (2, 1), (1, 1)),
    "holdings": ((2, _KINDS), (1, 1)),
    "payers": ((2, _KINDS), (1, 1)),
}
"""The sections, and of each of their tables how many columns its key and its figures have.

zones      (grouping, zone): ZONE_FIGURES; (zone): those of all together; (0): MACHINE_FIGURES
parts      (set): pages by kind
processes  (process): PROCESS_FIGURES; (pid): IPC namespace; (uid): text, its name; (text, an id): text, its name;
           (text, a container's id): text, the id of its image, and text, the image's name
bills      (text, a cgroup): BILL_FIGURES; (cgroup, text, a name of memory.stat): value; likewise of the cgroup alone;
           (cgroup): charge
holdings   (set, file or 0): pages by kind; (file): size
payers     (set, inode of a cgroup): pages by kind; (text, its path): inode
"""
LEAST_TABLES = {"processes": 4}
"""Of the sections whose last tables may be missing, because they are not known: how many there always are."""
_IMAGES = 4
"""Their table in processes. Schema versions before 3 had none."""
MOST_SIZE = 1 << 57
"""No kernel addresses so many bytes of memory; the sum of some fits into 64 bits."""
_MOST_STAT = 1 << 63
"""memory.stat of version 1 has limits in it, of which the largest is nearly that."""
MOST_OWNERS = 1 << 23
"""Of all sets of a moment together, when read."""

Sections = dict[str, list[Table] | None]
"""None: not kept."""


class Numbers(Protocol):
    """Gives numbers to what figures are of: the same again to what is the same."""

    def zone(self, zone: Zone) -> int: ...
    def owner(self, owner: OwnerKey) -> int: ...
    def process(self, task: Task) -> int: ...
    def owner_set(self, owners: tuple[int, ...]) -> int: ...
    def text(self, text: str) -> int: ...
    def file(self, file: MappedFile) -> int: ...


class Things(Protocol):
    """What the numbers are of. Raises :class:`Malformed` where there is no such number."""

    def zone(self, number: int) -> Zone: ...
    def owner(self, number: int) -> OwnerKey: ...
    def process(self, number: int, cgroup: str, size_bytes: int) -> Task: ...
    def process_key(self, number: int) -> tuple[int, int]: ...
    def owner_set(self, number: int) -> tuple[int, ...]: ...
    def text(self, number: int) -> str: ...
    def file(self, number: int, size_bytes: int | None) -> MappedFile: ...

    def fetch(self, table: str, numbers: Iterable[int]) -> None:
        """Many of a table will be asked for."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a moment stands beside its tables."""

    began: datetime
    ended: datetime
    uptime: Uptime
    other: bytes
    """Deflated JSON."""


# ---- a moment as tables ----------------------------------------------------------------------------------


def sections_of(moment: Moment, numbers: Numbers) -> Sections:
    """
    The tables of a moment.

    :raises Malformed: its sets have more owners than are read
    """
    writer = _Writer(moment, numbers)
    sections: Sections = {
        "zones": writer.zones(),
        "parts": writer.parts(),
        "processes": writer.processes(),
        "bills": writer.bills(),
        "holdings": writer.holdings(),
        "payers": writer.payers(),
    }
    writer.demand_readable()
    return sections


def other_of(moment: Moment) -> bytes:
    """What is neither figures nor times, as JSON; its text may hold escaped surrogates for bytes that are no UTF-8."""
    snapshot = moment.snapshot
    return zlib.compress(
        json.dumps(
            {
                "source": snapshot.source,
                "basis": snapshot.basis,
                "page_size": snapshot.page_size,
                "walk_ns": snapshot.walk_ns,
                "walk_pages": snapshot.walk_pages,
                "uncertainty": snapshot.uncertainty,
                "unsettled_bytes": snapshot.unsettled_bytes,
                "host_name": moment.host_name,
                "boot_id": moment.boot_id,
                "processors": moment.processors,
                "processes": snapshot.processes is not None,
                "machine": snapshot.machine is not None,
                "gaps": [[gap.pid, gap.step, gap.cause, gap.detail] for gap in snapshot.gaps],
                "holding_gaps": [[gap.pid, gap.step, gap.cause, gap.detail] for gap in moment.holding_gaps],
                **_open_files(moment),
                **({} if moment.capper is None else {"capper": moment.capper}),
                "warnings": [[caveat.name, caveat.text] for caveat in snapshot.warnings],
            },
            separators=(",", ":"),
        ).encode()
    )


def _rows_of(fields: Sequence[str]) -> Callable[[object], list[int | None]]:
    """What takes these fields of a record."""
    take = attrgetter(*fields)
    hundredths = [fields.index(field) for field in _HUNDREDTHS if field in fields]

    def row(record: object) -> list[int | None]:
        figures = list(take(record))
        for at in hundredths:
            if figures[at] is not None:
                figures[at] = round(figures[at] * 100)
        return figures

    return row


_zone_row, _mapped_row, _machine_row = map(_rows_of, (ZONE_FIGURES, _MAPPED, MACHINE_FIGURES))


def _open_files(moment: Moment) -> dict[str, Any]:
    if moment.open_files is None:
        return {}
    rows = (
        [file.name, *file.device, file.inode, file.pid, file.size_bytes, file.cached_bytes]
        for file in moment.open_files
    )
    return {"open_files": list(rows)}


class _Writer:
    def __init__(self, moment: Moment, numbers: Numbers) -> None:
        self._moment, self._snapshot, self._numbers = moment, moment.snapshot, numbers
        self._owner: dict[int, int] = {}
        for member in self._snapshot.members:
            if member.owner not in self._owner:
                one, other = member.zones
                self._owner[member.owner] = numbers.owner((one, other))
        filled = self._snapshot.parts.filled()
        members = self._snapshot.parts.members(filled)
        self._sets = {owners: self._given(owners) for owners in members}
        self._parts = [
            (self._sets[owners], pages) for owners, pages in zip(members, filled.values(), strict=True)
        ]
        self._set_of = {number: self._sets[owners] for number, owners in zip(filled, members, strict=True)}

    def zones(self) -> list[Table]:
        def zone(usage: Usage) -> int:
            return self._numbers.zone(Zone(usage.zone, usage.cgroup, usage.id, usage.kind))

        usages = [
            ((position, zone(usage)), _zone_row(usage))
            for position, grouping in enumerate(self._snapshot.groupings)
            for usage in grouping.zones
        ]
        total, machine = self._snapshot.total, self._snapshot.machine
        return [
            Table.of(usages, 2, len(ZONE_FIGURES)),
            Table.of([((zone(total),), _zone_row(total))], 1, len(ZONE_FIGURES)),
            Table.of([((0,), _machine_row(machine))] if machine else [], 1, len(MACHINE_FIGURES)),
        ]

    def parts(self) -> list[Table]:
        return [Table.of((((number,), pages) for number, pages in self._parts), 1, _KINDS)]

    def processes(self) -> list[Table]:
        shown = {usage.pid: usage for usage in self._snapshot.processes or ()}
        rows = []
        for member in self._snapshot.members:
            usage = shown.get(member.task.pid)
            mapped = _mapped_row(usage) if usage else [None] * len(_MAPPED)
            row = [self._owner[member.owner], member.mm, member.rss_pages, member.task.size_bytes, *mapped]
            rows.append(((self._numbers.process(member.task),), row))
        text = self._numbers.text
        moment = self._moment
        return [
            Table.of(rows, 1, len(PROCESS_FIGURES)),
            Table.of((((pid,), (space,)) for pid, space in moment.ipc_namespaces.items()), 1, 1),
            Table.of((((uid,), (text(name),)) for uid, name in moment.users.items()), 1, 1),
            Table.of((((text(id),), (text(name),)) for id, name in moment.containers.items()), 1, 1),
            *self._images(),
        ]

    def _images(self) -> list[Table]:
        if self._moment.images is None:
            return []
        text = self._numbers.text
        rows = (
            ((text(id),), [None if one is None else text(one) for one in (image.id, image.name)])
            for id, image in self._moment.images.items()
        )
        return [Table.of(rows, 1, 2)]

    def bills(self) -> list[Table]:
        text = self._numbers.text
        bills, stats, own = [], [], []
        for path, bill in self._moment.bills.items():
            cgroup = text(path)
            row = [bill.version, bill.charged_bytes, bill.kernel_bytes, bill.swap_bytes, bill.dying]
            bills.append(((cgroup,), [*row, int(bill.own is not None)]))
            stats += [((cgroup, text(name)), (value,)) for name, value in bill.stat.items()]
            own += [((cgroup, text(name)), (value,)) for name, value in (bill.own or {}).items()]
        charged = [((text(path),), (charge,)) for path, charge in self._moment.charged.items()]
        return [
            Table.of(bills, 1, len(BILL_FIGURES)),
            Table.of(stats, 2, 1),
            Table.of(own, 2, 1),
            Table.of(charged, 1, 1),
        ]

    def holdings(self) -> list[Table] | None:
        if self._moment.holdings is None:
            return None
        rows, sizes = [], {}
        for set_number, held in self._moment.holdings.items():
            owner_set = self._set_of[set_number]
            for file, pages in held:
                number = self._numbers.file(file) if file else 0
                rows.append(((owner_set, number), pages))
                if file:
                    sizes[number] = file.size_bytes
        return [Table.of(rows, 2, _KINDS), Table.of((((n,), (size,)) for n, size in sizes.items()), 1, 1)]

    def payers(self) -> list[Table] | None:
        if self._moment.billed is None:
            return None
        rows = [((self._set(row.owners), row.inode), row.pages) for row in self._moment.billed]
        paths = [((self._numbers.text(path),), (inode,)) for inode, path in self._moment.cgroups.items()]
        return [Table.of(rows, 2, _KINDS), Table.of(paths, 1, 1)]

    def demand_readable(self) -> None:
        if sum(map(len, self._sets)) > MOST_OWNERS:
            raise Malformed(f"its sets have more than {MOST_OWNERS:,} owners")

    def _set(self, owners: tuple[int, ...]) -> int:
        if owners not in self._sets:
            self._sets[owners] = self._given(owners)
        return self._sets[owners]

    def _given(self, owners: tuple[int, ...]) -> int:
        numbers = sorted(self._owner[owner] for owner in owners if owner in self._owner)
        return self._numbers.owner_set(tuple(numbers))


# ---- and back --------------------------------------------------------------------------------------------


def moment_of(
    frame: Frame,
    sections: Mapping[str, Sequence[Table] | None],
    things: Things,
    stats: Collection[str] | None = None,
) -> Moment:
    """
    The moment of some tables.

    :param stats: of memory.stat only these; None: all that was kept
    :raises Malformed: they are of no moment
    """
    try:
        return _Reader(frame, sections, things, stats).moment()
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        OverflowError,
        AttributeError,
        RecursionError,
    ) as err:
        raise Malformed(f"no moment: {err}") from err


class _Reader:
    def __init__(
        self,
        frame: Frame,
        sections: Mapping[str, Sequence[Table] | None],
        things: Things,
        stats: Collection[str] | None,
    ) -> None:
        self._frame, self._sections, self._things, self._stats = frame, sections, things, stats
        self._other = read_other(frame.other)
        self._owners: dict[int, int] = {}
        self._sets: dict[int, tuple[int, ...]] = {}
        self._room = MOST_OWNERS

    def moment(self) -> Moment:
        other, frame = self._other, self._frame
        self._fetch()
        members, processes = self._processes()
        groupings, total, machine = self._zones()
        parts = self._parts()
        billed, cgroups = self._payers()
        spaces, users, containers = self._names()
        snapshot = Snapshot(
            began=frame.began,
            ended=frame.ended,
            source=other.text("source"),
            basis=other.text("basis"),
            by=groupings[0].by,
            page_size=PAGE_BYTES,
            total=total,
            zones=groupings[0].zones,
            groupings=groupings,
            processes=processes if other.number("processes") else None,
            gaps=other.gaps("gaps"),
            walk_ns=other.number("walk_ns"),
            walk_pages=other.number("walk_pages"),
            parts=parts,
            members=members,
            uncertainty=other.text_or_none("uncertainty"),
            unsettled_bytes=other.number("unsettled_bytes"),
            warnings=other.warnings("warnings"),
            machine=machine,
        )
        return Moment(
            snapshot=snapshot,
            holdings=self._holdings(parts),
            holding_gaps=other.gaps("holding_gaps"),
            billed=billed,
            cgroups=cgroups,
            bills=self._bills(),
            charged={self._things.text(key): _int(value) for (key,), (value,) in self._rows("bills", 3)},
            ipc_namespaces=spaces,
            users=users,
            containers=containers,
            images=self._images(),
            host_name=other.text("host_name"),
            boot_id=other.text("boot_id"),
            processors=other.number("processors"),
            uptime=frame.uptime,
            capper=other.text_where_there("capper"),
            open_files=other.open_files("open_files"),
        )

    def _fetch(self) -> None:
        """What the tables refer to, at once."""
        fetch = self._things.fetch
        fetch("zones", (key[-1] for table in (0, 1) for key in self._keys("zones", table)))
        fetch("owners", self._columns("processes", 0, 0))
        fetch("processes", (number for (number,) in self._keys("processes", 0)))
        fetch("sets", (key[0] for name in ("parts", "holdings", "payers") for key in self._keys(name, 0)))
        fetch("files", (number for _, number in self._keys("holdings", 0) if number))
        texts = [key for table in range(4) for key in self._keys("bills", table)]
        texts += [*self._keys("processes", 3), *self._keys("processes", _IMAGES), *self._keys("payers", 1)]
        fetch("texts", chain(*texts, self._columns("processes", 2, 0), self._columns("processes", 3, 0)))

    def _table(self, section: str, table: int) -> Table:
        tables = self._sections[section] or ()
        return tables[table] if table < len(tables) else Table((), ((),) * SHAPES[section][table][1])

    def _keys(self, section: str, table: int) -> Sequence[Key]:
        return self._table(section, table).keys

    def _columns(self, section: str, table: int, column: int) -> Iterable[int]:
        return map(_int, self._table(section, table).columns[column])

    def _rows(self, section: str, table: int) -> Iterable[tuple[Key, tuple[int | None, ...]]]:
        return self._table(section, table).rows()

    def _zones(self) -> tuple[tuple[Grouping, ...], Usage, Machine | None]:
        of: dict[int, list[Usage]] = {position: [] for position in range(len(GROUPINGS))}
        for table in (0, 1):
            _demand_sizes(self._table("zones", table).columns)
        for (position, number), row in self._rows("zones", 0):
            of[position].append(_usage(self._things.zone(number), row))
        ((key, figures),) = self._rows("zones", 1)
        machines = [_machine(self._other.text("host_name"), row) for _, row in self._rows("zones", 2)]
        groupings = tuple(
            Grouping(by, tuple(sorted(usages, key=lambda usage: (-usage.rss_bytes, usage.zone))))
            for by, usages in zip(GROUPINGS, of.values(), strict=True)
        )
        return groupings, _usage(self._things.zone(key[0]), figures), machines[0] if machines else None

    def _processes(self) -> tuple[tuple[Member, ...], tuple[ProcessUsage, ...]]:
        placed, usages = [], []
        _demand_process_sizes(self._table("processes", 0).columns)
        for (number,), (owner, mm, pages, size, *mapped) in self._rows("processes", 0):
            one, other = zones = self._things.owner(_int(owner))
            task = self._things.process(number, other.cgroup or "/", _int(size))
            placed.append((one.name, task.pid, task, zones, _int(mm), _int(owner), _int(pages)))
            if mapped[0] is not None:
                sizes: list[Any] = [_int(pages) * PAGE_BYTES, *map(_int, mapped), task.size_bytes]
                usages.append(ProcessUsage(task.pid, one.name, task.uid, task.command, *sizes))
        placed.sort(key=itemgetter(0, 1))
        for *_, owner, _ in placed:
            self._owners.setdefault(owner, len(self._owners))
        usages.sort(key=lambda usage: (-usage.rss_bytes, usage.pid))
        members = (
            Member(task, mm, zones, self._owners[owner], pages)
            for _, _, task, zones, mm, owner, pages in placed
        )
        return tuple(members), tuple(usages)

    def _parts(self) -> Parts:
        builder = PartsBuilder(len(self._owners))
        for (number,), pages in self._rows("parts", 0):
            builder.add(self._set(number), [_int(count) for count in pages])
        return builder.parts()

    def _set(self, number: int) -> tuple[int, ...]:
        if number not in self._sets:
            owners = tuple(sorted(self._owners[owner] for owner in self._things.owner_set(number)))
            self._room -= len(owners)
            if self._room < 0:
                raise Malformed(f"its sets have more than {MOST_OWNERS:,} owners")
            self._sets[number] = owners
        return self._sets[number]

    def _holdings(self, parts: Parts) -> dict[int, tuple[Holding, ...]] | None:
        if self._sections["holdings"] is None:
            return None
        filled = parts.filled()
        number_of = dict(zip(parts.members(filled), filled, strict=True))
        sizes = dict(self._rows("holdings", 1))
        found: dict[int, list[Holding]] = {}
        files: dict[int, MappedFile | None] = {0: None}
        for (owner_set, number), pages in self._rows("holdings", 0):
            if number not in files:
                files[number] = self._things.file(number, sizes[number,][0])
            row = (files[number], tuple(map(_int, pages)))
            found.setdefault(number_of[self._set(owner_set)], []).append(row)
        return {number: tuple(sorted(rows, key=holding_order)) for number, rows in found.items()}

    def _payers(self) -> tuple[tuple[Billed, ...] | None, dict[int, str]]:
        if self._sections["payers"] is None:
            return None, {}
        billed = [
            Billed(self._set(owner_set), inode, tuple(map(_int, pages)))
            for (owner_set, inode), pages in self._rows("payers", 0)
        ]
        paths = {_int(inode): self._things.text(path) for (path,), (inode,) in self._rows("payers", 1)}
        return tuple(sorted(billed, key=lambda row: (row.owners, row.inode))), paths

    def _names(self) -> tuple[dict[int, int], dict[int, str], dict[str, str]]:
        text = self._things.text
        return (
            {pid: _int(space) for (pid,), (space,) in self._rows("processes", 1)},
            {uid: text(_int(name)) for (uid,), (name,) in self._rows("processes", 2)},
            {text(id): text(_int(name)) for (id,), (name,) in self._rows("processes", 3)},
        )

    def _images(self) -> dict[str, Image] | None:
        if len(self._sections["processes"] or ()) <= _IMAGES:
            return None
        text, found = self._things.text, {}
        for (id,), names in self._rows("processes", _IMAGES):
            image_id, name = (None if one is None else text(one) for one in names)
            if not (image_id or name):
                raise Malformed("an image without an id and a name")
            found[text(id)] = Image(image_id, name)
        return found

    def _bills(self) -> dict[str, Bill]:
        stats: tuple[dict[int, dict[str, int]], ...] = ({}, {})
        for table, found in zip((1, 2), stats, strict=True):
            demand_within(_MOST_STAT, self._table("bills", table).columns[0])
            names = {number for _, number in self._keys("bills", table)}
            text = {number: self._things.text(number) for number in names}
            if self._stats is not None:
                text = {number: name for number, name in text.items() if name in self._stats}
            for (cgroup, number), (value,) in self._rows("bills", table):
                if number in text:
                    found.setdefault(cgroup, {})[text[number]] = _int(value)
        for column in self._table("bills", 0).columns[1:4]:
            demand_within(MOST_SIZE, column)
        return {
            self._things.text(cgroup): Bill(
                version=_int(version),
                charged_bytes=charged,
                stat=stats[0].get(cgroup, {}),
                own=stats[1].get(cgroup, {}) if has_own else None,
                kernel_bytes=kernel,
                swap_bytes=swap,
                dying=dying,
            )
            for (cgroup,), (version, charged, kernel, swap, dying, has_own) in self._rows("bills", 0)
        }


def _demand_sizes(columns: Sequence[Sequence[int | None]]) -> None:
    """Of all zones at once, which takes a tenth of the time of one after the other."""
    if any(None in columns[at] for at in _ALWAYS_AT):
        raise Malformed("an unknown figure that must be known")
    for at in _SIZES_AT:
        demand_within(MOST_SIZE, columns[at])


def _demand_process_sizes(columns: Sequence[Sequence[int | None]]) -> None:
    demand_within(MOST_SIZE // PAGE_BYTES, columns[_PAGES_AT])
    for column in columns[_MAPPED_AT:]:
        demand_within(MOST_SIZE, column)


def _usage(zone: Zone, row: Sequence[int | None]) -> Usage:
    figures: list[Any] = list(row)
    for at in _PRESSURE_AT:
        if figures[at] is not None:
            figures[at] /= 100
    return Usage(zone.name, zone.cgroup, zone.id, zone.kind, *figures)


def _machine(host_name: str, row: Sequence[int | None]) -> Machine:
    figures: dict[str, Any] = dict(zip(MACHINE_FIGURES, row, strict=True))
    for field in _HUNDREDTHS:
        if figures[field] is not None:
            figures[field] /= 100
    for field in MACHINE_FIGURES:
        if field not in (*_HUNDREDTHS, "available_bytes"):
            _int(figures[field])
    return Machine(host_name=host_name, **figures)


def _int(value: int | None) -> int:
    if value is None:
        raise Malformed("an unknown figure that must be known")
    return value


def demand_within(most: int, figures: Sequence[int | None]) -> None:
    """:raises Malformed: one of them is larger, or less than 0 by more"""
    known: Sequence[Any] = (
        [figure for figure in figures if figure is not None] if None in figures else figures
    )
    if known and not -most < min(known) <= max(known) < most:
        raise Malformed("a figure that is larger than memory can be")


def read_other(other: bytes) -> Json:
    """
    What stands beside the tables.

    :raises ValueError: it is no JSON object, or of a host with pages of another size
    """
    found = Json(json.loads(inflate(other)))
    if (page_size := found.number("page_size")) != PAGE_BYTES:
        raise Malformed(f"its pages have {page_size} bytes, where this host's have {PAGE_BYTES}")
    return found


class Json:
    """An object of JSON whose members have the types that they are asked for."""

    def __init__(self, found: Any) -> None:
        if not isinstance(found, dict):
            raise Malformed("no JSON object")
        self._found = found

    def text(self, name: str) -> str:
        return _typed(self._found[name], str)

    def text_or_none(self, name: str) -> str | None:
        return None if self._found[name] is None else self.text(name)

    def text_where_there(self, name: str) -> str | None:
        """Of what some snapshots have only."""
        return self.text(name) if name in self._found else None

    def number(self, name: str) -> int:
        return _bounded(self._found[name])

    def gaps(self, name: str) -> tuple[Gap, ...]:
        return tuple(
            Gap(_bounded(pid), _typed(step, str), Cause(cause), _typed(detail, str))
            for pid, step, cause, detail in _typed(self._found[name], list)
        )

    def open_files(self, name: str) -> tuple[OpenFile, ...] | None:
        if name not in self._found:
            return None
        return tuple(
            OpenFile(
                _typed(text, str),
                (_unsigned(major), _unsigned(minor)),
                *map(_unsigned, (inode, pid, size, cached)),
            )
            for text, major, minor, inode, pid, size, cached in _typed(self._found[name], list)
        )

    def warnings(self, name: str) -> tuple[Caveat, ...]:
        return tuple(
            Caveat(_typed(one, str), _typed(text, str)) for one, text in _typed(self._found[name], list)
        )


def _bounded(value: Any) -> int:
    found = _typed(value, int)
    if not -(1 << 63) <= found < 1 << 63:
        raise Malformed("a number of more than 64 bits")
    return found


def _unsigned(value: Any) -> int:
    found = _typed(value, int)
    if not 0 <= found < 1 << 64:
        raise Malformed("a number that is negative or of more than 64 bits")
    return found


_T = TypeVar("_T")


def _typed(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise Malformed(f"{type(value).__name__} in place of {kind.__name__}")
    return value
