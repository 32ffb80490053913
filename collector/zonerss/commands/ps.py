"""What each process maps.

RSS counts page table entries, as smaps does. EXCL is what no other process maps (USS). PROP is each frame divided by
the number of processes that map it (PSS). Both come from the page tables of all processes. --mapcounts tells how much
memory is mapped how often on the whole machine, by the kernel's own count of each page: MAP1 once, MAP3-9 3 to 9 times.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence

from zonerss.answers.mapcounts import with_mapcounts
from zonerss.commands.options import (
    add_past_options,
    add_table_options,
    add_walk_options,
    layout_of,
    process_id,
)
from zonerss.commands.watching import RowPrinter, add_watch_options, rounds, snapshots
from zonerss.errors import UnknownZone, UsageError
from zonerss.plain import replace
from zonerss.records import Gap, ProcessUsage
from zonerss.snapshot import Observer, Snapshot
from zonerss.views.columns import COMMAND, MAPCOUNT_COLUMNS, RSS, Column, args_column, process_columns
from zonerss.views.footer import gap_sentence
from zonerss.views.ps import document, render
from zonerss.views.rows import Layout
from zonerss.views.table import sort_records
from zonerss.zones.labels import find_names


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "chosen",
        nargs="*",
        metavar="PID|ZONE",
        help="show only these processes, and those of these zones; a number is a pid",
    )
    parser.add_argument(
        "--zone",
        action="append",
        metavar="ZONE",
        help="the same as ZONE, for a zone whose name is a number, too",
    )
    add_walk_options(parser)
    add_past_options(parser)
    parser.add_argument(
        "--args",
        action="store_true",
        help="show command lines; one that cannot be read in time is the kernel's name for the process, in brackets",
    )
    parser.add_argument(
        "--mapcounts",
        action="store_true",
        help="show how much memory is mapped how often on the whole machine: columns "
        f"{', '.join(column.name for column in MAPCOUNT_COLUMNS)}",
    )
    add_table_options(parser, process_columns({}), (args_column({}), *MAPCOUNT_COLUMNS))
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot with processes and print them."""
    lines: dict[int, tuple[str, ...]] = {}
    _, layout = _layout(args, {}, lines)  # is wrong before the walk, if it is
    asked = {column.name for column in (*layout.columns, layout.sort)}
    wants_args = "args" in asked
    wants_counts = args.mapcounts or not asked.isdisjoint(column.name for column in MAPCOUNT_COLUMNS)
    printer = RowPrinter(args)

    def show(snapshot: Snapshot) -> None:
        columns, layout = _layout(args, snapshot.names.users, lines)
        found = snapshot.processes or ()
        if wants_args:
            lines.clear()
            lines.update(_command_lines(snapshot, found, args.patience))
        if wants_counts:
            found = with_mapcounts(found, snapshot.ask().mapcounts(), snapshot.members)
        processes = sort_records(found, layout.sort, layout.limit)
        printer.put(
            layout,
            lambda: document(snapshot, processes, lines if wants_args else None, wants_counts),
            lambda: render(snapshot, processes, columns, args.bytes),
            processes,
            snapshot,
        )

    ways, pids = args.by or ("zone",), [_pid(word) for word in args.chosen if word.isdecimal()]
    args.zone = [*(args.zone or ()), *(word for word in args.chosen if not word.isdecimal())]
    if not pids:
        snapshots(args, ways, show, processes=True)
        return 0
    rounds(args, _looker(args, ways, pids), show)
    return 0


def _layout(
    args: argparse.Namespace, users: Mapping[int, str], lines: Mapping[int, Sequence[str]]
) -> tuple[tuple[Column, ...], Layout]:
    """The columns of the verb's own table, and how it is to be shown; users, lines: as of process_columns()."""
    columns = process_columns(users, lines if args.args else None, args.mapcounts)
    return columns, layout_of(args, columns, RSS, (args_column(lines), COMMAND, *MAPCOUNT_COLUMNS))


def _pid(word: str) -> int:
    try:
        return process_id(word)
    except argparse.ArgumentTypeError as err:
        raise UsageError(f"{err}; --zone names a zone that is called so") from err


def _looker(
    args: argparse.Namespace, ways: Sequence[str], pids: Sequence[int]
) -> Callable[[Observer], Snapshot]:
    """What takes the snapshot of a round: of all processes, because pids say nothing about zones."""
    is_first = True

    def look(session: Observer) -> Snapshot:
        nonlocal is_first
        found = only(session.take(ways, args.basis, processes=True), pids, args.zone, is_first)
        is_first = False
        return found

    return look


def only(snapshot: Snapshot, pids: Iterable[int], zones: Iterable[str], all_there: bool = True) -> Snapshot:
    """
    The same snapshot with some of its processes.

    :param zones: names of zones, whose processes are wanted beside those pids
    :param all_there: whether one that is missing is an error; else only if all are
    :raises UnknownZone: a process or zone is missing
    """
    processes = snapshot.processes or ()
    wanted, there = set[int](), {process.pid for process in processes}
    missing = [_missing(pid, snapshot.gaps) for pid in pids if pid not in there]
    wanted.update(there.intersection(pids))
    for zone in zones:
        try:
            names = find_names((zone,), {process.zone for process in processes})
        except UnknownZone as err:
            missing.append(err)
        else:
            wanted.update(process.pid for process in processes if process.zone in names)
    if missing and (all_there or not wanted):
        raise missing[0]
    return replace(snapshot, processes=tuple(process for process in processes if process.pid in wanted))


def _missing(pid: int, gaps: Iterable[Gap]) -> UnknownZone:
    why = gap_sentence(gap for gap in gaps if gap.pid == pid) or "It has ended, or has no memory of its own"
    return UnknownZone(
        f"process {pid} is not among those that were walked. {why.removesuffix('.')}", str(pid)
    )


def _command_lines(
    snapshot: Snapshot, processes: Iterable[ProcessUsage], seconds: float
) -> dict[int, tuple[str, ...]]:
    pids = {process.pid for process in processes}
    tasks = (member.task for member in snapshot.members if member.task.pid in pids)
    return snapshot.ask().command_lines(tasks, seconds)
