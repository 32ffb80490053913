"""What each zone uses: the screen of a terminal, plain tables elsewhere, or a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zonerss.answers.marks import Mark
from zonerss.records import Grouping, Usage
from zonerss.snapshot import Snapshot
from zonerss.views.columns import (
    KIND,
    RSS,
    UNCERTAINTY,
    ZONE,
    ZONE_COLUMNS,
    Column,
    of_machine,
    process_columns,
    shown,
    sizes,
)
from zonerss.views.document import gap_list, header, process_fields, usage_fields
from zonerss.views.footer import footer
from zonerss.views.marks import MARKS_SHOWN, mark_lines
from zonerss.views.screen import growth_column, machine_line, zone_rows
from zonerss.views.table import render_table, sort_records
from zonerss.views.terminal import Terminal, here
from zonerss.views.text import fit

if TYPE_CHECKING:
    from zonerss.answers.growth import Growth

_PROCESSES = 15  # that -a shows without --limit, as prstat
_LEAST_ROWS = 3
_NO_USERS = "Users: a recording keeps what the processes of each zone and cgroup map together, not those of each user."
_STYLES = {"! ": "alarm", "* ": "warning"}
_BY_HEADERS = {"user": "USERNAME", "euser": "USERNAME", "command": "PROCESS", "cgroup": "CGROUP"}


def render(
    snapshot: Snapshot,
    sort: Column = RSS,
    limit: int | None = None,
    in_bytes: bool = False,
    users: Mapping[int, str] | None = None,
    *,
    first: int = 0,
    every: bool = False,
    taken: int = 0,
    marks: Sequence[Mark] = (),
    growth: Growth | None = None,
) -> list[str]:
    """
    The tables of a snapshot, processes first if it has any, and the last lines.

    :param users: login names by user id
    :param first: the first grouping to show
    :param every: all zones and all marks, whether the terminal has room or not
    :param taken: rows of the terminal that something else takes
    :param growth: of the zones, where they are looked at again and again
    """
    terminal = here()
    groupings = list(enumerate(snapshot.groupings))[first:]
    lines: list[str] = []
    if snapshot.processes is not None:
        rows = sort_records(snapshot.processes, RSS, limit or _PROCESSES)
        columns = shown(process_columns({} if users is None else users), rows)
        lines += [*render_table(columns, rows, in_bytes), ""]
    last = _last_lines(snapshot, marks, in_bytes, every, terminal)
    if snapshot.processes is not None and not groupings:
        last += [terminal.style.paint(line, "dim") for line in fit([_NO_USERS], terminal.width)]
    if terminal.width is None:
        for _, grouping in groupings:
            lines += [*render_zones(snapshot, grouping, sort, limit, in_bytes, growth), ""]
        return [*lines, *last]
    head = machine_line(snapshot, terminal.width, terminal.style, in_bytes)
    room = None
    if terminal.height is not None and not every and len(groupings) == 1 and not lines:
        # the headers, a blank line, and the line where the shell asks for more
        room = max(terminal.height - taken - len(head) - len(last) - 3, _LEAST_ROWS)
    for position, grouping in groupings:
        lines += zone_rows(
            snapshot,
            position,
            grouping,
            _zone_column(grouping.by),
            sort,
            terminal.width,
            terminal.style,
            limit=limit,
            rows=room,
            in_bytes=in_bytes,
            marks=marks if position == 0 else (),
            growth=growth if position == 0 else None,
        )
        lines.append("")
    return [*head, *lines, *last]


def _last_lines(
    snapshot: Snapshot, marks: Sequence[Mark], in_bytes: bool, every: bool, terminal: Terminal
) -> list[str]:
    total, *others = footer(snapshot, in_bytes)
    most = None if every or terminal.width is None else MARKS_SHOWN
    said = mark_lines(marks, snapshot, sizes(in_bytes), most, terminal.width)
    return [
        terminal.style.paint(line, _STYLES.get(text[:2], "dim"))
        for text in (total, *said, *others)
        for line in fit([text], terminal.width)
    ]


def render_zones(
    snapshot: Snapshot,
    grouping: Grouping,
    sort: Column,
    limit: int | None,
    in_bytes: bool,
    growth: Growth | None = None,
) -> list[str]:
    """The plain table of one grouping of a snapshot: every column that says something."""
    figures = of_machine(shown(ZONE_COLUMNS, grouping.zones), snapshot.machine)
    columns = [_zone_column(grouping.by), KIND, *figures]
    if any(usage.uncertainty_bytes is not None for usage in grouping.zones):
        columns.insert(columns.index(RSS) + 1, UNCERTAINTY)
    if growth is not None:
        columns.append(growth_column(growth))
    return render_table(columns, sort_records(grouping.zones, sort, limit), in_bytes)


def _zone_column(by: str) -> Column:
    header = _BY_HEADERS.get(by, "ZONE" if by == "zone" else by.partition("=")[0].upper())
    return Column(ZONE.name, header, ZONE.help, ZONE.value, left=True)


def document(snapshot: Snapshot, sort: Column | None = None, limit: int | None = None) -> dict[str, Any]:
    """
    ``zonerss.snapshot/1``: what each zone uses, and each process where they were asked for (docs/json.md).

    :param sort: None: the zones as the snapshot has them
    :param limit: only the first zones of each grouping, and the first processes
    """
    groupings = [
        {"by": grouping.by, "zones": [usage_fields(usage) for usage in _zones(grouping, sort, limit)]}
        for grouping in snapshot.groupings
    ]
    fields = header("zonerss.snapshot/1", snapshot) | {
        "total": usage_fields(snapshot.total),
        "zones": groupings[0]["zones"],
    }
    if len(groupings) > 1:
        fields["groupings"] = groupings
    fields["gaps"] = gap_list(snapshot.gaps)
    if snapshot.processes is not None:
        fields["processes"] = [process_fields(p) for p in sort_records(snapshot.processes, RSS, limit)]
    return fields


def _zones(grouping: Grouping, sort: Column | None, limit: int | None) -> Sequence[Usage]:
    return sort_records(grouping.zones, sort, limit) if sort else grouping.zones[:limit]
