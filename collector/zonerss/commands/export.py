"""Make a table of a recording, for other programs: Parquet or CSV, one row for each zone of each snapshot, or for each
process, part, pair of zones, or file of a zone.

Every row has the time, host name and boot id of its snapshot, and the labels that are given. So files of many hosts are
one table: docs/fleet.md has questions to ask of them in SQL. Unknown is NULL, in CSV nothing.

Parquet needs DuckDB: pip install 'zonerss[export]'.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, Protocol

from zonerss.answers.tables import COMMON, TABLES, TEXT, Row, TableOf, Value
from zonerss.commands.past import none_readable, times_in
from zonerss.commands.quantities import duration_within, moment_of
from zonerss.errors import CannotServe, UsageError
from zonerss.history.moment import Moment
from zonerss.history.recording import Recording
from zonerss.kernel.outputs import path_of, replaced
from zonerss.units import nanoseconds_of
from zonerss.views.text import printable

_LABEL = r"[a-z_][a-z0-9_]{0,62}"


class Writable(Protocol):
    """What csv.writer() writes to."""

    def write(self, text: str, /) -> int: ...


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("file", metavar="FILE", help="a recording, as `zonerss record` makes it")
    parser.add_argument(
        "--to",
        default="-",
        metavar="OUT",
        help="OUT.parquet, OUT.csv, or -: CSV on standard output (default)",
    )
    parser.add_argument(
        "--table",
        choices=TABLES,
        default="zones",
        help="; ".join(f"{name}: {table.summary}" for name, table in TABLES.items()) + " (default: zones)",
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        type=_label,
        metavar="NAME=VALUE",
        help="a column more, of this value in every row: a cluster, a region, a role; may be repeated",
    )
    parser.add_argument(
        "--since", type=moment_of, metavar="TIME", help="only snapshots from then on: 20:55, -1d, 2026-05-31"
    )
    parser.add_argument("--until", type=moment_of, metavar="TIME", help="only snapshots until then")
    parser.add_argument(
        "--every",
        type=duration_within("0s", "36500d"),
        default=0.0,
        metavar="DURATION",
        help="only the first snapshot of each such span: of each hour (UTC), as in 1h",
    )


def run(args: argparse.Namespace) -> int:
    """Write the table."""
    labels = dict(args.label)
    table = TABLES[args.table]
    if taken := sorted({*COMMON, *table.columns} & set(labels)):
        raise UsageError(
            f"--label {taken[0]}=... cannot be: the table {args.table} has a column of that name"
        )
    kind = "csv" if args.to == "-" else os.path.splitext(args.to)[1].removeprefix(".").lower()
    if kind not in ("csv", "parquet"):
        raise UsageError(f"--to takes a file whose name ends with .parquet or .csv, or -, not {args.to!r}")
    duckdb = _duckdb() if kind == "parquet" else None
    with Recording(args.file) as recording:
        rows = rows_of(thinned(_moments(recording, args), args.every), table, labels)
        if args.to == "-":
            write_csv(sys.stdout, table, labels, rows, for_eyes=sys.stdout.isatty())
        else:
            with _in_place_of(args.to) as place:
                if duckdb is None:
                    with open(place, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                        write_csv(file, table, labels, rows)
                else:
                    write_parquet(duckdb, place, os.path.dirname(args.to) or ".", table, labels, rows)
        for sentence in recording.damaged:
            print(f"zonerss: left out: {printable(sentence)}", file=sys.stderr)
    return 0


def _moments(recording: Recording, args: argparse.Namespace) -> Iterator[Moment]:
    """
    Those of the range, one at the least: it is read before anything is written.

    :raises CannotServe: there is none, or all of them are damaged
    """
    times_in(recording, args.file, args.since, args.until)
    moments = recording.moments(args.since, args.until)
    first = next(moments, None)
    if first is None:
        raise none_readable(args.file, recording.damaged)
    return chain((first,), moments)


def thinned(moments: Iterable[Moment], seconds: float) -> Iterator[Moment]:
    """
    The first that began in each span of so many seconds; all, where that is 0.

    Spans are counted from 1970 on, so that several exports of one recording have the same moments.
    """
    step_ns, last = int(seconds * 1e9), None
    for moment in moments:
        span = nanoseconds_of(moment.snapshot.began) // step_ns if step_ns else None
        if span is None or span != last:
            last = span
            yield moment


def rows_of(moments: Iterable[Moment], table: TableOf, labels: Mapping[str, str]) -> Iterator[Row]:
    """The rows of a table, in the order of time."""
    for moment in moments:
        common = (moment.snapshot.began.isoformat(), moment.host_name, moment.boot_id, *labels.values())
        for row in table.rows(moment):
            yield (*common, *row)


def write_csv(
    file: Writable,
    table: TableOf,
    labels: Mapping[str, str],
    rows: Iterable[Row],
    null: str = "",
    *,
    for_eyes: bool = False,
) -> None:
    """
    RFC 4180 with a header; a list is JSON.

    :param null: stands for what is not known
    :param for_eyes: without what a terminal would take for a command
    """
    shown = _shown if for_eyes else _cell
    writer = csv.writer(file, lineterminator="\r\n" if file is not sys.stdout else "\n")
    writer.writerow((*COMMON, *labels, *table.columns))
    for row in rows:
        writer.writerow([null if value is None else shown(value) for value in row])


def _cell(value: Value) -> str | int | float | None:
    """What stands for a value in CSV."""
    if isinstance(value, tuple):
        return json.dumps([_cell(one) for one in value], ensure_ascii=False)
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _shown(value: Value) -> str | int | float | None:
    cell = _cell(value)
    return printable(cell) if isinstance(cell, str) else cell


def write_parquet(
    duckdb: Any, path: str, room: str, table: TableOf, labels: Mapping[str, str], rows: Iterable[Row]
) -> None:
    """
    One Parquet file, deflated by zstd.

    :param path: of a file that is there
    :param room: a directory where there is room for the rows as text meanwhile
    :raises CannotServe: DuckDB cannot write it
    """
    types = {**COMMON, **dict.fromkeys(labels, TEXT), **table.columns}
    # A name may be anything that stands in the recording: this stands in none.
    null = f"\\N{secrets.token_hex(8)}"
    # Row by row DuckDB takes 200 times as long as it takes to read the same as text.
    with tempfile.TemporaryFile(
        "w", dir=room, encoding="utf-8", errors="backslashreplace", newline=""
    ) as text:
        write_csv(text, table, labels, rows, null)
        text.flush()
        columns = ", ".join(
            f"""CAST(json("{name}") AS VARCHAR[]) AS "{name}\"""" if kind.endswith("[]") else f'"{name}"'
            for name, kind in types.items()
        )
        given = {name: TEXT if kind.endswith("[]") else kind for name, kind in types.items()}
        read = (
            f"read_csv({_quoted(path_of(text.fileno()))}, header = true, auto_detect = false, delim = ',', "
            f"quote = '\"', escape = '\"', new_line = '\\r\\n', nullstr = {_quoted(null)}, columns = {given}, "
            "max_line_size = 16777216, parallel = false)"
        )
        try:
            with duckdb.connect() as connection:
                connection.execute(
                    f"COPY (SELECT {columns} FROM {read}) TO {_quoted(path)} "
                    "(FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
                )
        except duckdb.Error as err:
            raise CannotServe(f"cannot write Parquet: {str(err).splitlines()[0]}") from err


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise CannotServe(
            "Parquet needs DuckDB: pip install 'zonerss[export]', or export CSV (--to FILE.csv)"
        ) from None
    return duckdb


@contextmanager
def _in_place_of(path: str) -> Iterator[str]:
    """A new file in the place of another, once it is whole; readable for its owner alone."""
    with ExitStack() as stack:
        try:
            fd = stack.enter_context(replaced(path, private=True))
        except OSError as err:
            raise CannotServe(f"cannot write {path}: {err.strerror}") from err
        yield path_of(fd)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(_LABEL, name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no label: give NAME=VALUE, with a name of a-z, 0-9 and _, as in cluster=eu1"
        )
    return name, value
