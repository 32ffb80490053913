"""Which zone a process belongs to. Pure: cgroup paths, ids and names in, zones out.

Two steps for a cgroup path. Where: which of its ancestors is the zone. What: its kind, its id, its name.
`--by zone` takes the outermost container, pod or machine on the path, so that whatever runs inside of one
belongs to it; failing that the outermost service, scope or session (below user@UID.service those of the
user's own manager); failing that the topmost cgroup, and "global" for processes of the root cgroup itself
(SmartOS: the global zone).

The path schemes and where each is documented: docs/zones.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from zonerss.errors import UsageError
from zonerss.records import Task, Zone
from zonerss.zones.rules import Rule
from zonerss.zones.schemes import SHORT_ID, Found, Names, find_container, find_unit

WAYS = ("zone", "cgroup", "depth=N", "slice", "session", "user", "euser", "command", "WAY/WAY")
"""What --by takes. zone: containers, services, sessions. cgroup: every cgroup that holds a process. depth=N:
the ancestor at depth N, 0 being the root. slice, session: systemd's (getvmusage: projects, tasks). user,
euser: by real or effective user. command: by the kernel's comm. zone/user: each zone's users apart (getvmusage:
ALL_RUSERS, where user alone is COL_RUSERS), and so of any two."""

COLLECTIVES = ("zone", "zone/slice", "zone/session", "zone/user", "zone/euser", "slice", "user", "euser")
"""What getvmusage takes: ALL_ZONES, ALL_PROJECTS, ALL_TASKS, ALL_RUSERS, ALL_EUSERS, COL_PROJECTS, COL_RUSERS,
COL_EUSERS. SYSTEM is the total of any."""

GLOBAL = Zone(name="global", kind="global")
"""The root cgroup's own processes."""

ROOT_SLICE = Zone(name="-.slice", kind="slice")
"""Whatever is in no slice; systemd's name for the root."""


_ESCAPE = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class By:
    """One way of grouping processes into zones; made by :func:`parse_by`."""

    way: str
    """One of zone, cgroup, depth, slice, session, user, euser, command."""
    depth: int | None = None
    """For way depth: how many path components the zone's cgroup has."""
    both: tuple[By, By] | None = None
    """For two ways at once: a zone of the first, divided by the second."""

    def __str__(self) -> str:
        if self.both:
            return f"{self.both[0]}/{self.both[1]}"
        return self.way if self.depth is None else f"{self.way}={self.depth}"

    @property
    def needs_uids(self) -> bool:
        """Whether Task.uid (user) or Task.euid (euser) must have been read."""
        if self.both:
            return any(way.needs_uids for way in self.both)
        return self.way in ("user", "euser")

    def zone_of(self, task: Task, names: Names | None = None, rules: Sequence[Rule] = ()) -> Zone:
        """
        The zone of one process. Its name is not yet unique: see :func:`label`.

        :raises ValueError: by user or euser, and the task carries no uid
        """
        return zoner(self, names or Names(), rules)(task)


def parse_by(text: str) -> By:
    """
    A way of grouping from its spelling on the command line.

    :raises UsageError: it is none of :data:`WAYS`, or N is no whole number
    """
    first, slash, second = text.partition("/")
    if slash and "/" in second:
        raise UsageError(f"cannot group by {text!r}: two ways, WAY/WAY, are the most that can be combined")
    if slash:
        return By("both", both=(parse_by(first), parse_by(second)))
    way, equals, number = text.partition("=")
    if way == "depth" and number.isascii() and number.isdigit() and len(number) <= 4:
        return By("depth", int(number))
    if not equals and way != "depth" and way in WAYS:
        return By(way)
    if way == "depth":
        raise UsageError(f"--by depth=N takes a whole number from 0 to 9999, not {number!r}")
    raise UsageError(f"cannot group by {text!r}; --by takes one of {', '.join(WAYS)}")


def zoner(by: By, names: Names, rules: Sequence[Rule] = ()) -> Callable[[Task], Zone]:
    """
    The function that tells each process's zone, remembering what it found out about a cgroup.

    :param names: what people call containers, pods, machines and users; asked only for what is met
    :param rules: the user's own, looked at first; only for way zone
    """
    if by.both:
        return _both_zoner(zoner(by.both[0], names, rules), zoner(by.both[1], names, rules))
    if by.way == "command":
        return lambda task: Zone(name=task.command, kind="command")
    if by.way in ("user", "euser"):
        return _user_zoner(by.way, names)
    place = _PLACES.get(by.way) or _at_depth(by.depth or 0)
    seen: dict[str, Zone] = {}

    def zone_of(task: Task) -> Zone:
        zone = seen.get(task.cgroup)
        if zone is None:
            zone = seen[task.cgroup] = place(task.cgroup, names, rules)
        return zone

    return zone_of


def label(zones: Iterable[Zone]) -> tuple[Zone, ...]:
    """
    The same zones in the same order, renamed where two different ones have one name.

    All but one that has nothing to be told by get "@" and their short id, then the full id, then the cgroup,
    as far as is needed. Depends only on which zones there are, not on their order.
    """
    zones = tuple(zones)
    names = {zone: zone.name for zone in zones}
    for tell_apart in (_short_id, _full_id, _cgroup, _everything):
        taken = Counter(names.values())
        if len(taken) == len(names):
            break
        for zone, name in names.items():
            if taken[name] > 1 and (mark := tell_apart(zone)):
                names[zone] = f"{zone.name}@{mark}"
    return tuple(zone if names[zone] == zone.name else replace(zone, name=names[zone]) for zone in zones)


def unescaped(name: str) -> str:
    """
    A zone's name from its spelling in a table or in JSON: \\xNN, \\uNNNN and \\UNNNNNNNN undone.

    systemd's unit names hold such sequences themselves, so a name is looked for as it stands first.
    """
    raw = _ESCAPE.sub(lambda match: _unescape_one(match[0]), name)
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _unescape_one(escape: str) -> str:
    code = int(escape[2:], 16)
    if escape[1] == "x" and code >= 0x80:
        return chr(0xDC00 + code)  # a byte that is no UTF-8
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xDC80 else escape


def ancestors(path: str) -> tuple[str, ...]:
    """
    The cgroups from the root down to a path, itself included: "/a/b" gives "/", "/a", "/a/b".

    Leading ".." (a cgroup outside of the reader's namespace) count as components.
    """
    if path == "/":
        return ("/",)
    parts = path.split("/")
    return ("/", *("/".join(parts[:end]) for end in range(2, len(parts) + 1)))


def nested(zones: Iterable[Zone]) -> dict[Zone, tuple[str, ...]]:
    """
    For each zone that is a cgroup, the cgroups of the zones nearest below it, sorted.

    A zone is its cgroup less these, and its charge likewise: the kernel charges a cgroup for all that is
    below it.
    """
    zones = tuple(zones)
    paths = {zone.cgroup for zone in zones if zone.cgroup is not None}
    below: dict[str, list[str]] = {path: [] for path in paths}
    for path in sorted(paths):
        nearest = next((above for above in reversed(ancestors(path)[:-1]) if above in paths), None)
        if nearest is not None:
            below[nearest].append(path)
    return {zone: tuple(below[zone.cgroup]) for zone in zones if zone.cgroup is not None}


def _user_zoner(way: str, names: Names) -> Callable[[Task], Zone]:
    def zone_of(task: Task) -> Zone:
        uid = task.uid if way == "user" else task.euid
        if uid is None:
            raise ValueError(f"pid {task.pid}: grouped by {way}, but its user was not read")
        return Zone(name=names.users.get(uid) or str(uid), id=str(uid), kind="user")

    return zone_of


def _both_zoner(first: Callable[[Task], Zone], second: Callable[[Task], Zone]) -> Callable[[Task], Zone]:
    def zone_of(task: Task) -> Zone:
        a, b = first(task), second(task)
        # Its id keeps apart what its name does not: two users of one name, two zones of one name.
        ids = f"{a.id or a.cgroup or a.name}/{b.id or b.cgroup or b.name}"
        return Zone(name=f"{a.name}/{b.name}", id=ids, kind=b.kind)

    return zone_of


def _by_zone(path: str, names: Names, rules: Sequence[Rule]) -> Zone:
    for rule in rules:
        if zone := rule.zone_of(path):
            return zone
    if found := find_container(path, names) or find_unit(path, names):
        return _zone(found)
    if path == "/":
        return GLOBAL
    return _cgroup_zone(_topmost(path))


def _by_cgroup(path: str, names: Names, rules: Sequence[Rule]) -> Zone:
    return _cgroup_zone(path)


def _at_depth(depth: int) -> Callable[[str, Names, Sequence[Rule]], Zone]:
    def place(path: str, names: Names, rules: Sequence[Rule]) -> Zone:
        line = ancestors(path)
        return _cgroup_zone(line[min(depth, len(line) - 1)])

    return place


def _zone(found: Found) -> Zone:
    return Zone(name=found.name, cgroup=found.cgroup, id=found.id, kind=found.kind)


def _cgroup_zone(path: str) -> Zone:
    return Zone(name=path, cgroup=path, kind="cgroup")


def _by_slice(path: str, names: Names, rules: Sequence[Rule]) -> Zone:
    # Slices of the system's manager: a unit's name tells its whole path. Those below a service are the
    # service's.
    parts = path.split("/")[1:]
    count = 0
    while count < len(parts) and parts[count].endswith(".slice"):
        count += 1
    if count == 0:
        return ROOT_SLICE
    return Zone(name=parts[count - 1], cgroup="/" + "/".join(parts[:count]), kind="slice")


def _by_session(path: str, names: Names, rules: Sequence[Rule]) -> Zone:
    # As --by zone, except that a container is divided into the units that its own manager runs.
    container = find_container(path, names)
    if container is None or container.cgroup == path:
        return _by_zone(path, names, ())
    unit = find_unit(path.removeprefix(container.cgroup), Names())  # Its users are its own, not this host's.
    if unit is None:
        return _zone(container)
    return Zone(
        name=f"{container.name}/{unit.name}",
        cgroup=container.cgroup + unit.cgroup,
        id=container.id,
        kind=unit.kind,
    )


_PLACES: Mapping[str, Callable[[str, Names, Sequence[Rule]], Zone]] = {
    "zone": _by_zone,
    "cgroup": _by_cgroup,
    "slice": _by_slice,
    "session": _by_session,
}


def _topmost(path: str) -> str:
    # "/../../a/b" is below our namespace's root: "/../../a" is the first cgroup that has a name.
    parts = path.split("/")[1:]
    count = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    return "/" + "/".join(parts[: count + 1])


def _short_id(zone: Zone) -> str | None:
    return zone.id[:SHORT_ID] if zone.id and re.fullmatch(r"[0-9a-f]{64}", zone.id) else zone.id


def _full_id(zone: Zone) -> str | None:
    return zone.id


def _cgroup(zone: Zone) -> str | None:
    return zone.cgroup


def _everything(zone: Zone) -> str:
    return f"{zone.kind}:{zone.id or ''}:{zone.cgroup or ''}"
