"""Which zone a process belongs to. Pure: cgroup paths, ids and names in, zones out.

Two steps for a cgroup path. Where: which of its ancestors is the zone. What: its kind, its id, its name.
`--by zone` takes the outermost container, pod or machine on the path, so that whatever runs inside of one
belongs to it; failing that the outermost service, scope or session (below user@UID.service those of the
user's own manager); failing that the topmost cgroup, and "global" for processes of the root cgroup itself
(SmartOS: the global zone).

The path schemes and where each is documented: docs/zones.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zonerss.errors import UsageError
from zonerss.plain import dataclass
from zonerss.records import Names, Task, Zone
from zonerss.zones.paths import ancestors
from zonerss.zones.rules import Rule
from zonerss.zones.schemes import find_container, find_unit

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
    A function that gives the zone of a process. It remembers the zone of each cgroup.

    :param names: names of containers, pods, machines and users; looked up only for those that are met
    :param rules: the user's rules, which come first; only for way zone
    """
    if by.both:
        return _both_zoner(zoner(by.both[0], names, rules), zoner(by.both[1], names, rules))
    if by.way == "command":
        return lambda task: Zone(name=task.command, kind="command")
    if by.way in ("user", "euser"):
        return _user_zoner(by.way, names)
    zone_of_cgroup = _WAYS_OF_CGROUPS.get(by.way) or _at_depth(by.depth or 0)
    seen: dict[str, Zone] = {}

    def zone_of(task: Task) -> Zone:
        zone = seen.get(task.cgroup)
        if zone is None:
            zone = seen[task.cgroup] = zone_of_cgroup(task.cgroup, names, rules)
        return zone

    return zone_of


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
        # The id distinguishes zones of equal names: two users, or two zones, may have one name.
        ids = f"{a.id or a.cgroup or _one_part(a.name)}/{b.id or b.cgroup or _one_part(b.name)}"
        return Zone(name=f"{a.name}/{b.name}", id=ids, kind=b.kind)

    return zone_of


def _one_part(name: str) -> str:
    """A name that is no path without slashes: a command may have some, and it is to be seen where the other begins."""
    return name.replace("\\", r"\x5c").replace("/", r"\x2f")


def _by_zone(path: str, names: Names, rules: Sequence[Rule]) -> Zone:
    for rule in rules:
        if zone := rule.zone_of(path):
            return zone
    if zone := find_container(path, names) or find_unit(path, names):
        return zone
    if path == "/":
        return GLOBAL
    return _cgroup_zone(_topmost(path))


def _by_cgroup(path: str, names: Names, rules: Sequence[Rule]) -> Zone:
    return _cgroup_zone(path)


def _at_depth(depth: int) -> Callable[[str, Names, Sequence[Rule]], Zone]:
    def ancestor(path: str, names: Names, rules: Sequence[Rule]) -> Zone:
        line = ancestors(path)
        return _cgroup_zone(line[min(depth, len(line) - 1)])

    return ancestor


def _cgroup_zone(path: str) -> Zone:
    return Zone(name=path, cgroup=path, kind="cgroup")


def _by_slice(path: str, names: Names, rules: Sequence[Rule]) -> Zone:
    # Only slices of the system's manager: slices below a service belong to the service.
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
    unit = find_unit(
        path.removeprefix(container.cgroup or ""), Names()
    )  # its users are not this host's users
    if unit is None:
        return container
    cgroup = f"{container.cgroup}{unit.cgroup}"
    return Zone(name=f"{container.name}/{unit.name}", cgroup=cgroup, id=container.id, kind=unit.kind)


_WAYS_OF_CGROUPS: Mapping[str, Callable[[str, Names, Sequence[Rule]], Zone]] = {
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
