"""What each zone uses: a table for each grouping, or a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zonerss.records import Grouping, Usage
from zonerss.snapshot import Snapshot
from zonerss.views.columns import RSS, UNCERTAINTY, ZONE, ZONE_COLUMNS, Column, process_columns, shown
from zonerss.views.document import gap_list, header, process_fields, usage_fields
from zonerss.views.footer import footer
from zonerss.views.table import render_table, sort_records

_PROCESSES = 15  # that -a shows without --limit, as prstat
_BY_HEADERS = {"user": "USERNAME", "euser": "USERNAME", "command": "PROCESS", "cgroup": "CGROUP"}


def render(
    snapshot: Snapshot,
    sort: Column = RSS,
    limit: int | None = None,
    in_bytes: bool = False,
    users: Mapping[int, str] | None = None,
) -> list[str]:
    """
    The tables of a snapshot, processes first if it has any, and the footer.

    :param users: login names by user id
    """
    lines: list[str] = []
    if snapshot.processes is not None:
        rows = sort_records(snapshot.processes, RSS, limit or _PROCESSES)
        lines += [
            *render_table(shown(process_columns({} if users is None else users), rows), rows, in_bytes),
            "",
        ]
    for grouping in snapshot.groupings:
        lines += [*render_zones(grouping, sort, limit, in_bytes), ""]
    return [*lines, *footer(snapshot)]


def render_zones(grouping: Grouping, sort: Column, limit: int | None, in_bytes: bool) -> list[str]:
    """The table of one grouping."""
    columns = [*shown(ZONE_COLUMNS, grouping.zones), _zone_column(grouping.by)]
    if any(usage.uncertainty_bytes is not None for usage in grouping.zones):
        columns.insert(columns.index(RSS) + 1, UNCERTAINTY)
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
