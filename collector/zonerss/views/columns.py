"""The columns of the tables, each defined once: its header, what it shows, and what that means.

-o and --sort choose among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from zonerss.errors import UsageError, did_you_mean, nearest
from zonerss.plain import dataclass, field, replace
from zonerss.records import MAPCOUNT_CLASSES
from zonerss.records.machine import Machine
from zonerss.units import format_percent, format_size
from zonerss.views.text import printable


@dataclass(frozen=True, slots=True)
class Column:
    """One column: of which field of a record, and how it is shown."""

    name: str
    """As -o and --sort take it; they take the header, too."""
    header: str
    help: str
    value: Callable[[Any], Any]
    """The value, by which rows are sorted, in the unit that help tells, or whole bytes; None: unknown."""
    size: bool = False
    """A size in bytes."""
    left: bool = False
    """Aligned to the left: text."""
    optional: bool = False
    """Left out of a table where no record has any of it."""
    text: Callable[[Any], str] | None = None
    """How a known value is shown to people where it is neither a size nor plain text."""
    prefix: str = ""
    """What stands before a size that is not 0."""
    least: int = 16
    """To how many columns of the terminal text may be squeezed before other columns leave the table."""
    spare: int = 0
    """How well a table can do without it: where it is too wide, columns with the greatest number leave first."""
    reverse: bool = field(default=False, compare=False)
    """Sorted the other way round; it is the same column."""

    @property
    def descends(self) -> bool:
        """Whether the greatest is first when rows are sorted by it: numbers largest first, text from A on."""
        return self.left == self.reverse


def _size(name: str, header: str, field: str, help: str, optional: bool = False, spare: int = 0) -> Column:
    return Column(
        name, header, help, lambda record: getattr(record, field), size=True, optional=optional, spare=spare
    )


NPROC = Column("processes", "PROCS", "processes", lambda record: record.processes)
RSS = _size("rss", "RSS", "rss_bytes", "frames mapped, each counted once")
ANON = _size("anon", "ANON", "anon_bytes", "of it: private memory that no file backs", spare=1)
FILE = _size("file", "FILE", "file_bytes", "of it: files", spare=1)
SHMEM = _size("shmem", "SHMEM", "shmem_bytes", "of it: tmpfs, memfd, shared memory", spare=1)
EXCLUSIVE = _size("exclusive", "EXCL", "exclusive_bytes", "of it: mapped by no other zone (or process)")
SHARED = _size("shared", "SHARED", "shared_bytes", "of it: mapped by others, too")
PROPORTIONAL = _size(
    "proportional",
    "PROP",
    "proportional_bytes",
    "each frame divided by the number of those that map it",
    spare=1,
)
HUGETLB = _size("hugetlb", "HUGETLB", "hugetlb_bytes", "hugetlb pages, which are not in rss", optional=True)
SWAP = _size("swap", "SWAP", "swap_bytes", "swap slots that page tables refer to, each once", optional=True)
CHARGED = _size(
    "charged",
    "CHARGED",
    "charged_bytes",
    "the cgroup's bill: who touches a page first is charged",
)
LIMIT = _size("limit", "LIMIT", "limit_bytes", "the smallest limit from its cgroup up", optional=True)
USED = Column(
    "used",
    "USED",
    "charged in percent of the limit",
    lambda record: (
        100 * record.charged_bytes / record.limit_bytes
        if record.limit_bytes and record.charged_bytes is not None
        else None
    ),
    optional=True,
    text=lambda percent: format_percent(percent, 100),
)
PRESSURE = Column(
    "pressure",
    "PRESSURE",
    "percent of the last 10 s in which a process waited for memory",
    lambda record: record.pressure_some,
    optional=True,
    text=lambda percent: f"{percent:.1f}",
)
PRESSURE_FULL = Column(
    "pressure_full",
    "FULL",
    "percent of the last 10 s in which all of its busy processes waited for memory",
    lambda record: record.pressure_full,
    text=lambda percent: f"{percent:.1f}",
)
HIGH = _size("high", "HIGH", "high_bytes", "above which the kernel slows it down")
CACHE = _size("cache", "CACHE", "cache_unmapped_bytes", "on its bill: page cache that nobody maps")
OOM = Column(
    "oom", "OOM", "processes killed for want of memory", lambda record: record.oom_kills, optional=True
)
PROCESS_RSS = _size(
    "process_rss",
    "PSRSS",
    "process_rss_bytes",
    "sum of the processes' RSS: counts a shared page once per process",
)

UNCERTAINTY = Column(
    "uncertainty",
    "±",
    "how far rss can be from its value at any moment of the walk",
    lambda record: record.uncertainty_bytes,
    size=True,
    prefix="±",
)
MEMORY = Column(
    "memory", "MEMORY", "rss in percent of all memory", lambda record: record.rss_bytes, text=lambda _: "–"
)
"""Of a machine whose memory is not known; see :func:`of_machine`."""


def of_machine(columns: Iterable[Column], machine: Machine | None) -> tuple[Column, ...]:
    """The columns for zones of that machine: MEMORY is a share of its memory; None: unknown."""
    memory = None if machine is None else machine.memory_bytes
    known = replace(
        MEMORY,
        value=lambda record: 100 * record.rss_bytes / memory if memory else None,
        text=lambda percent: format_percent(percent, 100),
    )
    return tuple(known if column.name == MEMORY.name else column for column in columns)


ZONE = Column("zone", "ZONE", "the zone", lambda record: record.zone, left=True)
KIND = Column(
    "kind", "KIND", "what the zone is: docker, service, cgroup, ...", lambda record: record.kind, left=True
)
CGROUP = Column("cgroup", "CGROUP", "the zone's cgroup", lambda record: record.cgroup, left=True)
ID = Column("id", "ID", "the full id of a container or pod", lambda record: record.id, left=True)

ZONE_COLUMNS = (
    NPROC,
    RSS,
    MEMORY,
    EXCLUSIVE,
    SHARED,
    PROPORTIONAL,
    ANON,
    FILE,
    SHMEM,
    HUGETLB,
    SWAP,
    CHARGED,
    LIMIT,
    USED,
    PRESSURE,
    OOM,
    PROCESS_RSS,
)
"""What show has of a zone beside its name and kind, in prstat's words where prstat has them."""
MORE_ZONE_COLUMNS = (ZONE, UNCERTAINTY, KIND, CGROUP, ID, HIGH, PRESSURE_FULL, CACHE)
"""What else can be asked for of a zone, by -o and --sort."""

CONTROLS_OF = {
    LIMIT.name: "limit_bytes",
    USED.name: "limit_bytes",
    HIGH.name: "high_bytes",
    PRESSURE.name: "pressure_some",
    PRESSURE_FULL.name: "pressure_full",
    OOM.name: "oom_kills",
    CACHE.name: "cache_unmapped_bytes",
}
"""What must be read of a cgroup for a column."""

PID = Column("pid", "PID", "process id", lambda record: record.pid)
SIZE = _size("size", "SIZE", "size_bytes", "virtual size", spare=2)
COMMAND = Column(
    "command", "PROCESS", "command name (the kernel's comm)", lambda record: record.command, left=True
)


def process_columns(
    users: Mapping[int, str],
    arguments: Mapping[int, Sequence[str]] | None = None,
    mapcounts: bool = False,
) -> tuple[Column, ...]:
    """
    The columns of ps.

    :param users: the login name of a user id, where it has one; asked only for users that are met
    :param arguments: of the processes whose command lines were read; with them ARGS stands in the place of PROCESS
    :param mapcounts: with those of how often frames are mapped
    """
    return (
        PID,
        user_column(users),
        SIZE,
        RSS,
        ANON,
        FILE,
        SHMEM,
        EXCLUSIVE,
        PROPORTIONAL,
        *(MAPCOUNT_COLUMNS if mapcounts else ()),
        HUGETLB,
        SWAP,
        ZONE,
        COMMAND if arguments is None else args_column(arguments),
    )


def times_text(least: int, most: int | None) -> str:
    """How often: ``2``, ``3-9`` or ``100+``."""
    return f"{least}+" if most is None else str(least) if most == least else f"{least}-{most}"


def _class_column(number: int, least: int, most: int | None) -> Column:
    times = times_text(least, most)
    return Column(
        f"map{least}",
        f"MAP{times}",
        f"frames mapped {times} times",
        lambda record: record.mapcounts and record.mapcounts.classes_bytes[number],
        size=True,
    )


MAPCOUNT_COLUMNS = (
    *(_class_column(number, *between) for number, between in enumerate(MAPCOUNT_CLASSES)),
    Column(
        "map_unknown",
        "MAP?",
        "frames of which the kernel does not say how often they are mapped",
        lambda record: record.mapcounts and record.mapcounts.unknown_bytes,
        size=True,
        optional=True,
    ),
)
"""How much memory is mapped how often on the whole machine; of records with mapcounts."""


def args_column(arguments: Mapping[int, Sequence[str]]) -> Column:
    """The command line, or the kernel's comm in brackets where it is unknown, as ps(1) has it; by pid, as above."""

    def line(record: Any) -> str:
        return " ".join(arguments.get(record.pid, ())).strip() or f"[{record.command}]"

    return Column("args", "ARGS", "command line; [comm] where it cannot be read", line, left=True, least=30)


def user_column(users: Mapping[int, str]) -> Column:
    """The login name, the number where a user has none, a dash where the user is unknown; users as above."""

    def name(record: Any) -> str | None:
        return None if record.uid is None else users.get(record.uid) or str(record.uid)

    return Column("user", "USERNAME", "real user", name, left=True)


def shown(columns: Sequence[Column], records: Iterable[Any]) -> list[Column]:
    """The columns without the optional ones of which no record has anything: hugetlb and swap on most hosts."""
    records = tuple(records)
    return [c for c in columns if not c.optional or any(c.value(record) for record in records)]


def sizes(in_bytes: bool) -> Callable[[int | None], str]:
    """How sizes are shown: in whole bytes, or as K, M and G; a dash where unknown."""
    return lambda size_bytes: (
        format_size(size_bytes) if size_bytes is None or not in_bytes else str(size_bytes)
    )


def cell(column: Column, record: Any, in_bytes: bool = False) -> str:
    """What a column shows of a record, safe to print."""
    value = column.value(record)
    if value is None:
        return "–"
    if column.text:
        return column.text(value)
    if column.size:
        return f"{column.prefix}{sizes(in_bytes)(value) if value or not column.prefix else 0}"
    return printable(str(value))


def find_column(name: str, columns: Sequence[Column]) -> Column:
    """
    The column of that name, or with that header.

    :raises UsageError: there is none; the sentence names the nearest, and all
    """
    wanted = name.lower().replace("-", "_")
    for column in columns:
        if wanted in (column.name, column.header.lower()):
            return column
    spelled = {spelling: c.name for c in columns for spelling in (c.name, c.header.lower())}
    close = did_you_mean(list(dict.fromkeys(spelled[spelling] for spelling in nearest(wanted, spelled))))
    names = ", ".join(dict.fromkeys(spelled.values()))
    raise UsageError(f"there is no column {name!r}{f'; {close}' if close else '.'} The columns are {names}")


def sort_column(name: str, columns: Sequence[Column]) -> Column:
    """
    What --sort asks for: a column, or the other way round with a minus before it.

    :raises UsageError: as of :func:`find_column`
    """
    column = find_column(name.removeprefix("-"), columns)
    return replace(column, reverse=True) if name.startswith("-") else column


def choose(names: str, default: Sequence[Column], columns: Sequence[Column]) -> tuple[Column, ...]:
    """
    What -o asks for: columns by name, separated by commas, in that order.

    :param default: stand before them where the names begin with a plus
    :param columns: that can be chosen
    :raises UsageError: as of :func:`find_column`; or no column is named
    """
    before = tuple(default) if names.startswith("+") else ()
    words = [word for word in names.removeprefix("+").split(",") if word]
    if not words:
        raise UsageError("-o names no column: say -o rss,excl or -o +kind")
    chosen = dict.fromkeys(find_column(word, columns) for word in words)
    there = {column.name for column in before}
    # A column that is asked for is shown where it has nothing, too.
    return (*before, *(replace(column, optional=False) for column in chosen if column.name not in there))
