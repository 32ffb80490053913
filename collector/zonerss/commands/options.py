"""Options that several verbs share, each spelled once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from zonerss.errors import UsageError
from zonerss.kernel.patience import PATIENCE_SECONDS
from zonerss.kernel.safely import read_named
from zonerss.views.columns import Column
from zonerss.views.terminal import COLOURS
from zonerss.zones.rules import Rule, parse_rules

_RULES_BYTES = 1 << 20


def add_walk_options(parser: argparse.ArgumentParser, by: bool = True) -> None:
    """--by, --source, --basis, --rules, --patience: how a snapshot is taken."""
    if by:
        parser.add_argument(
            "--by",
            action="append",
            metavar="WAY",
            help="how to group processes into zones: zone (default), cgroup, depth=N, slice, session, user, euser, "
            "command, or two of them as in zone/user; may be repeated: all groupings come from one walk",
        )
    parser.add_argument(
        "--source",
        default="auto",
        metavar="SOURCE",
        help="where frames come from: auto (default), pagetable or pagemap",
    )
    parser.add_argument(
        "--basis", default="mapped", metavar="BASIS", help="what counts: mapped (default) or incore"
    )
    parser.add_argument("--rules", metavar="FILE", help="a TOML file with names for cgroups (docs/zones.md)")
    parser.add_argument(
        "--patience",
        type=_patience,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"how long a process may keep us waiting for its memory (default {PATIENCE_SECONDS:g}); it is then "
        "not counted, or only in part",
    )


def _patience(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to an hour (3600)")
    return seconds


def one_way(args: argparse.Namespace) -> str:
    """
    The one --by of a verb that takes only one, and only mapped memory.

    :raises UsageError: there are several, or another basis
    """
    ways = args.by or ["zone"]
    if len(ways) > 1:
        raise UsageError(f"{args.verb} takes one --by only")
    if args.basis != "mapped":
        raise UsageError(f"{args.verb} counts what page tables map: it takes no --basis but mapped")
    return str(ways[0])


def read_rules(path: str | None) -> tuple[Rule, ...]:
    """
    The rules of a file that --rules named.

    :raises UsageError: it cannot be read, or holds an error; says where
    """
    if path is None:
        return ()
    try:
        text = read_named(path, _RULES_BYTES).decode("utf-8").replace("\r\n", "\n")
    except (OSError, ValueError) as err:
        raise UsageError(f"cannot read the rules of {path}: {err}") from err
    return parse_rules(text, path)


def add_table_options(parser: argparse.ArgumentParser, columns: Sequence[Column]) -> None:
    """--sort, --limit, --json, --bytes: how it is shown."""
    names = ", ".join(column.name for column in columns)
    parser.add_argument("--sort", metavar="COLUMN", help=f"largest first by one of: {names}")
    add_limit_options(parser, "show the first N rows only")


def add_limit_options(parser: argparse.ArgumentParser, help: str) -> None:
    """--limit, --json, --bytes."""
    parser.add_argument("--limit", type=count, metavar="N", help=help)
    add_output_options(parser)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """--json, --bytes, --color."""
    parser.add_argument(
        "--color",
        choices=COLOURS,
        default="auto",
        metavar="WHEN",
        help="auto (default: on a terminal, unless NO_COLOR is set), always or never",
    )
    parser.add_argument("--bytes", action="store_true", help="whole bytes instead of K, M and G")
    parser.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")


def process_id(text: str) -> int:
    """A process id, from the command line."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise argparse.ArgumentTypeError(f"{text!r} is not a process id")
    return int(text)


def count(text: str) -> int:
    """A whole number of at least 1, from the command line."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return value


def column_of(columns: Sequence[Column], name: str) -> Column:
    """
    The column of a name, as --sort takes it.

    :raises UsageError: there is none of that name
    """
    for column in columns:
        if column.name == name:
            return column
    raise UsageError(f"cannot sort by {name!r}; choose one of {', '.join(c.name for c in columns)}")
