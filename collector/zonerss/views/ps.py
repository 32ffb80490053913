"""What each process maps: a table, or a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zonerss.records import ProcessUsage
from zonerss.snapshot import Snapshot
from zonerss.views.columns import Column, shown
from zonerss.views.document import gap_list, header, mapcount_fields, process_fields
from zonerss.views.footer import footer
from zonerss.views.table import lay_table
from zonerss.views.text import encodable


def render(
    snapshot: Snapshot, processes: Sequence[ProcessUsage], columns: Sequence[Column], in_bytes: bool = False
) -> list[str]:
    """
    The table.

    :param processes: those of the snapshot that are to be shown, in this order
    :param columns: from :func:`zonerss.views.columns.process_columns`
    """
    table = lay_table(shown(columns, processes), processes, in_bytes)
    return [*table.lines, "", *footer(snapshot, in_bytes, processes), *table.remark()]


def document(
    snapshot: Snapshot,
    processes: Sequence[ProcessUsage],
    arguments: Mapping[int, Sequence[str]] | None = None,
    mapcounts: bool = False,
) -> dict[str, Any]:
    """
    ``zonerss.processes/1`` (docs/json.md).

    :param arguments: the command lines that were read, by pid; None: they were not asked for
    :param mapcounts: tell how often their pages are mapped, too
    """
    rows = [
        process_fields(process) | (mapcount_fields(process.mapcounts) if mapcounts else {})
        for process in processes
    ]
    if arguments is not None:
        for row in rows:
            line = arguments.get(row["pid"])
            row["args"] = line and list(map(encodable, line))
    return header("zonerss.processes/1", snapshot) | {
        "processes": rows,
        "gaps": gap_list(snapshot.gaps),
    }
