"""Options and arguments that several verbs share, each spelled once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from zonerss.commands.quantities import duration_within, moment_of, refused, size
from zonerss.errors import UsageError
from zonerss.kernel.patience import PATIENCE_SECONDS
from zonerss.kernel.safely import read_named
from zonerss.plain import dataclass
from zonerss.views.columns import Column, choose, sort_column
from zonerss.views.rows import Layout
from zonerss.views.terminal import COLOURS
from zonerss.walk.choices import demand_basis, demand_source
from zonerss.walk.host import MOST_THREADS
from zonerss.zones.rules import Rule, parse_rules
from zonerss.zones.ways import parse_by

if TYPE_CHECKING:
    import argparse

_MOST_RECORDED = "1G"
FILE_BYTES = 1 << 20
"""As long may a file of rules, or of options, be."""


def add_zones(parser: argparse.ArgumentParser, help: str, option: str = "--zone") -> None:
    """
    ZONE..., and an option that means the same: names as they were spelled, a list under the option's name, or None.

    :param option: the older spelling, for one name; may be repeated
    """
    dest = option.removeprefix("--")
    parser.add_argument(
        dest,
        nargs="*",
        action="collect",
        metavar="ZONE",
        help=f"{help}; in full, or by a short name that no other zone has: nginx for nginx.service",
    )
    parser.add_argument(
        option, action="collect", metavar="ZONE", help="the same as the argument ZONE; may be repeated"
    )


def add_walk_options(parser: argparse.ArgumentParser, by: bool = True) -> None:
    """--by, --source, --basis, --rules, --threads, --patience: how a snapshot is taken."""
    if by:
        parser.add_argument(
            "--by",
            action="append",
            type=unrefused(parse_by),
            metavar="WAY",
            help="how to group processes into zones: zone (default), cgroup, depth=N, slice, session, user, euser, "
            "command, or two of them as in zone/user; may be repeated: all groupings come from one walk",
        )
    parser.add_argument(
        "--source",
        type=unrefused(demand_source),
        default="auto",
        metavar="SOURCE",
        help="where frames come from: auto (default), pagetable or pagemap",
    )
    parser.add_argument(
        "--basis",
        type=unrefused(demand_basis),
        default="mapped",
        metavar="BASIS",
        help="what counts: mapped (default) or incore",
    )
    parser.add_argument("--rules", metavar="FILE", help="a TOML file with names for cgroups (docs/zones.md)")
    parser.add_argument(
        "--threads",
        type=thread_count,
        metavar="N",
        help="walk by so many threads (default: as many as there are processors for us and the work is worth, at most "
        f"{MOST_THREADS})",
    )
    parser.add_argument(
        "--patience",
        type=duration_within("0.1s", "1h"),
        default=PATIENCE_SECONDS,
        metavar="DURATION",
        help=f"how long a process may keep us waiting for its memory (default {PATIENCE_SECONDS:g}s); it is then "
        "not counted, or only in part",
    )


def add_recording_limits(parser: argparse.ArgumentParser, when: str = "") -> None:
    """--keep and --max-size: what is forgotten of a recording; see :func:`most_bytes`."""
    parser.add_argument(
        "--keep",
        type=duration_within("1m", "36500d"),
        metavar="DURATION",
        help=f"{when}forget snapshots that are older, as in 7d (default: keep all)",
    )
    parser.add_argument(
        "--max-size",
        type=size,
        metavar="SIZE",
        help=f"{when}forget the oldest snapshots so that the file is not larger (default {_MOST_RECORDED})",
    )


def most_bytes(args: argparse.Namespace) -> int:
    """How large a recording may be, by --max-size or by default."""
    return size(_MOST_RECORDED) if args.max_size is None else int(args.max_size)


def add_past_options(parser: argparse.ArgumentParser) -> None:
    """--from and --at: look at a recording (docs/replay.md)."""
    parser.add_argument(
        "--from",
        dest="recording",
        metavar="FILE",
        help="look at a recording that `zonerss record` made, not at the machine as it is now",
    )
    parser.add_argument(
        "--at",
        type=moment_of,
        metavar="TIME",
        help="with --from: the last snapshot that began by then, as in 20:55, -10m or 2026-05-31T20:55:00Z (default: "
        "the last one)",
    )


def unrefused(check: Callable[[str], object]) -> Callable[[str], str]:
    """
    A ``type`` of argparse, and of the configuration: a text as it was spelled, unless a function refuses it.

    :param check: raises UsageError
    """

    def parse(text: str) -> str:
        check(text)
        return text

    return parse


def single_way(args: argparse.Namespace) -> str:
    """
    The one --by of a verb that takes only one.

    :raises UsageError: several were given
    """
    if len(args.by or ()) > 1:
        set_aside(args, by=None)
    ways = args.by or ["zone"]
    if len(ways) > 1:
        raise UsageError(f"{args.verb} takes one --by only")
    return str(ways[0])


def one_way(args: argparse.Namespace) -> str:
    """
    The one --by of a verb that takes only one, and only mapped memory.

    :raises UsageError: several were given, or another basis
    """
    way = single_way(args)
    demand_mapped(args)
    return way


def demand_mapped(args: argparse.Namespace) -> None:
    """:raises UsageError: a basis was given that the verb does not take"""
    set_aside(args, basis="mapped")
    if args.basis != "mapped":
        raise UsageError(f"{args.verb} counts what page tables map: it takes no --basis but mapped")


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """Where rules come from, in the order in which they decide."""

    named: str | None
    """By --rules."""
    configured: tuple[tuple[str, bytes], ...] = ()
    """Path and content of the files of the configuration."""


def read_rules(files: RuleFiles | str | None) -> tuple[Rule, ...]:
    """
    The rules of the file that --rules names, then those of the configuration.

    :raises UsageError: a file cannot be read, or holds an error; says where
    """
    if not isinstance(files, RuleFiles):
        files = RuleFiles(files)
    rules: list[Rule] = []
    try:
        named = [(files.named, read_named(files.named, FILE_BYTES))] if files.named else []
    except (OSError, ValueError) as err:
        raise UsageError(f"cannot read the rules of {files.named}: {err}") from err
    for path, content in (*named, *files.configured):
        rules += parse_rules(toml_text(content, path), path)
    return tuple(rules)


def toml_text(content: bytes, path: str) -> str:
    """
    What a TOML file says.

    :raises UsageError: it is no UTF-8
    """
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except ValueError as err:
        raise UsageError(f"cannot read {path}: {err}") from err


def add_table_options(
    parser: argparse.ArgumentParser,
    columns: Sequence[Column],
    more: Sequence[Column] = (),
    limit_help: str = "show the first N rows only",
) -> None:
    """
    -o, --no-header, --sort, --limit, --json, --tsv, --bytes: how it is shown.

    :param columns: of the verb's own table
    :param more: further columns that may be asked for
    :param limit_help: what --limit does
    """
    every = (*columns, *more)
    names = ", ".join(dict.fromkeys(column.name for column in every))
    parser.add_argument(
        "-o",
        "--columns",
        type=unrefused(lambda names: choose(names, columns, every)),
        metavar="COLUMNS",
        help="show these columns, in this order, as in -o rss,excl; with + before the first, add them to the "
        f"others. The columns are {names}",
    )
    parser.add_argument(
        "--no-header", action="store_true", help="rows only: no line of headers above, no lines below them"
    )
    parser.add_argument(
        "--sort",
        type=unrefused(lambda name: sort_column(name, every)),
        metavar="COLUMN",
        help="sort by a column, shown or not: numbers largest first, text from A on; with - before it the other "
        "way round",
    )
    add_limit_options(parser, limit_help, tsv=True)


def add_limit_options(parser: argparse.ArgumentParser, help: str, tsv: bool = False) -> None:
    """--limit, --json, --bytes; and --tsv."""
    parser.add_argument("--limit", type=count, metavar="N", help=help)
    add_output_options(parser, tsv)


def add_output_options(parser: argparse.ArgumentParser, tsv: bool = False) -> None:
    """--json, --bytes, --color; and --tsv."""
    parser.add_argument(
        "--color",
        choices=COLOURS,
        default="auto",
        metavar="WHEN",
        help="auto (default: on a terminal, unless NO_COLOR is set or TERM is dumb), always or never",
    )
    parser.add_argument("--bytes", action="store_true", help="whole bytes instead of K, M and G")
    forms = parser.add_mutually_exclusive_group() if tsv else parser
    forms.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
    if tsv:
        forms.add_argument(
            "--tsv",
            action="store_true",
            help="tab-separated values for programs: whole bytes, percent without a sign, - where unknown, escapes for "
            "control characters",
        )


def given(args: argparse.Namespace, *options: str) -> bool:
    """Whether any of these options was given on the command line; one of the configuration does not count."""
    configured = getattr(args, "configured", ())
    return any(getattr(args, option) and option not in configured for option in options)


def set_aside(args: argparse.Namespace, **defaults: Any) -> None:
    """
    Leave out options that the configuration has and that do not go with what else was asked; what was typed stays.

    :param defaults: by option: what it is without
    """
    configured = getattr(args, "configured", {})
    for option in configured.keys() & defaults.keys():
        del configured[option]
        setattr(args, option, defaults[option])


def layout_of(
    args: argparse.Namespace, default: Sequence[Column], sort: Column, more: Sequence[Column] = ()
) -> Layout:
    """
    How the options of :func:`add_table_options` want it.

    :param default: the columns of the verb's own table
    :param sort: by which it is sorted without --sort
    :param more: further columns that may be asked for
    :raises UsageError: there is no such column
    """
    names = {column.name for column in default}
    every = (*default, *(column for column in more if column.name not in names))
    return Layout(
        columns=choose(args.columns, default, every) if args.columns is not None else default,
        sort=sort_column(args.sort, every) if args.sort is not None else sort,
        limit=args.limit,
        chosen=args.columns is not None or args.no_header or args.tsv,
        header=not args.no_header,
        tsv=args.tsv,
        in_bytes=args.bytes,
    )


def process_id(text: str) -> int:
    """A process id, from the command line."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise refused(f"{text!r} is not a process id")
    return int(text)


def count(text: str) -> int:
    """A whole number of at least 1, from the command line."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1:
        raise refused(f"{text!r} is not a whole number of at least 1")
    return value


def thread_count(text: str) -> int:
    """How many threads may walk, from the command line."""
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 1 <= value <= MOST_THREADS:
        raise refused(f"{text!r} is not a whole number from 1 to {MOST_THREADS}")
    return value


def column_of(columns: Sequence[Column], name: str) -> Column:
    """
    The column of a name, as --sort takes it.

    :raises UsageError: there is none of that name
    """
    return sort_column(name, columns)
