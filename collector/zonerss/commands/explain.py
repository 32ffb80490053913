"""Why the numbers do not add up: from what ps says of a zone to what the kernel bills it, one exact step at a time.

--numbers puts everyone's number for the zone side by side, each with its formula. --payers shows who pays for what
each zone maps. --private-shared shows getvmusage's private and shared beside ours. --pid explains one process.
"""

from __future__ import annotations

import argparse
from typing import Any

from zonerss.answers.explain.account import Account, explain_zone, pay_matrix
from zonerss.commands.options import add_walk_options
from zonerss.commands.watching import add_watch_options, put, rounds, turns
from zonerss.errors import CannotServe, UnknownZone, UsageError
from zonerss.kernel.roots import HOST
from zonerss.snapshot import Session, Snapshot
from zonerss.views.document import render_json
from zonerss.views.explain import (
    explain_document,
    matrix_document,
    number_list,
    render_chain,
    render_matrix,
    render_numbers,
)
from zonerss.zones.ways import unescaped

NAME = "explain"


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "zone", nargs="?", metavar="ZONE", help="the zone; zonerss show lists those there are"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--numbers", action="store_true", help="everyone's number, with its formula")
    what.add_argument("--payers", action="store_true", help="who pays for what each zone (or ZONE) maps")
    what.add_argument(
        "--private-shared", action="store_true", help="getvmusage's private, shared and swap beside ours"
    )
    what.add_argument(
        "--pid", type=int, metavar="PID", help="one process: RSS by counters, smaps, translations"
    )
    add_walk_options(parser)
    parser.add_argument("--bytes", action="store_true", help="whole bytes instead of K, M and G")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Explain a zone, all zones' payers, or a process."""
    if args.basis != "mapped":
        raise UsageError("explain starts from what page tables map; --numbers tells the basis incore, too")
    if len(args.by or ()) > 1:
        raise UsageError("explain takes one --by")
    if args.pid is not None:
        return _run_process(args)
    if args.zone is None and not args.payers:
        raise UsageError("explain which zone? zonerss show lists those there are")
    by = args.by[0] if args.by else "zone"
    look = _payers if args.payers else _zone
    for document, lines in rounds(args, lambda session: look(session, by, args)):
        put(render_json(document) if args.json else "\n".join(lines), args)
    return 0


_Shown = tuple[dict[str, Any], list[str]]


def _zone(session: Session, by: str, args: argparse.Namespace) -> _Shown:
    account = explain_zone(session, args.zone, by)
    if args.numbers:
        return _numbers(session, by, account, args)
    if args.private_shared:
        return _how_mapped(session, by, account, args)
    return explain_document(account), render_chain(account, args.bytes)


def _numbers(session: Session, by: str, account: Account, args: argparse.Namespace) -> _Shown:
    from zonerss.answers.explain.numbers import Facts, everyones

    name = account.zone.name
    each = session.take((by,), "mapped", (name,), processes=True)
    incore = session.take((by,), "incore", (name,))
    _check_there(incore, name)
    processes = _one_of_each_mm(each)
    numbers = everyones(
        Facts(
            process_rss_bytes=account.usage.process_rss_bytes,
            pss_bytes=sum(process.proportional_bytes for process in processes),
            uss_bytes=sum(process.exclusive_bytes for process in processes),
            rss_bytes=account.usage.rss_bytes,
            incore_bytes=incore.zones[0].rss_bytes,
            exclusive_bytes=account.usage.exclusive_bytes,
            proportional_bytes=account.usage.proportional_bytes,
            bill=account.bill,
        )
    )
    document = explain_document(account, {"numbers": number_list(numbers)})
    return document, render_numbers(name, numbers, args.bytes)


def _check_there(snapshot: Snapshot, name: str) -> None:
    if not snapshot.zones:
        raise UnknownZone(f"the processes of the zone {name!r} left before they were walked", name)


def _one_of_each_mm(snapshot: Snapshot) -> list[Any]:
    """Processes that share an address space have one memory: it counts once in a sum."""
    first = {member.mm: member.task.pid for member in reversed(snapshot.members)}
    chosen = set(first.values())
    return [process for process in snapshot.processes or () if process.pid in chosen]


def _how_mapped(session: Session, by: str, account: Account, args: argparse.Namespace) -> _Shown:
    from zonerss.answers.explain.getvmusage import how_mapped
    from zonerss.answers.explain.reserved import reserved_bytes
    from zonerss.kernel.smaps import read_smaps
    from zonerss.views.getvmusage import how_mapped_fields, render_how_mapped

    name = account.zone.name
    snapshot = session.take((by,), "incore", (name,))
    _check_there(snapshot, name)
    members = [member for member in snapshot.members if member.zones[0] == account.zone]
    rows = []
    for member in members:
        try:
            rows.append(read_smaps(HOST, member.task.walk_tid))
        except CannotServe:
            continue  # it has left
    usage = snapshot.zones[0]
    mapped = how_mapped(
        snapshot.by_mapping or snapshot.parts,
        [member.key for member in members],
        usage.exclusive_bytes or 0,
        reserved_bytes(rows),
        usage.swap_bytes,
    )
    return explain_document(account, {"how_mapped": how_mapped_fields(mapped)}), render_how_mapped(
        name, mapped, args.bytes
    )


def _payers(session: Session, by: str, args: argparse.Namespace) -> _Shown:
    matrix = pay_matrix(session, by)
    if matrix is None:
        raise CannotServe(
            "the kernel does not say who pays for a frame: it has no /proc/kpagecgroup (CONFIG_MEMCG)"
        )
    zone = None
    if args.zone is not None:
        known = {usage.zone for usage in matrix.snapshot.zones}
        zone = next((name for name in (args.zone, unescaped(args.zone)) if name in known), None)
        if zone is None:
            raise UnknownZone(
                f"no process of this host is in a zone {args.zone!r}; zonerss show lists those there are",
                args.zone,
            )
    return matrix_document(matrix, zone), render_matrix(matrix, zone, args.bytes)


def _run_process(args: argparse.Namespace) -> int:
    if args.zone is not None:
        raise UsageError("explain a zone or a --pid, one at a time")
    if not 0 < args.pid < 1 << 31:
        raise UsageError(f"{args.pid} is no process id")
    for _ in turns(args):
        document, lines = _process(args)
        put(render_json(document) if args.json else "\n".join(lines), args)
    return 0


def _process(args: argparse.Namespace) -> _Shown:
    from zonerss.answers.explain.process import count_entries, three_ways
    from zonerss.kernel.smaps import read_smaps, read_statm_rss
    from zonerss.views.process import render_three_ways, three_ways_document
    from zonerss.walk.frames import PAGE_DEVICE, PAGE_STRUCT, PAGE_ZERO, frames

    entries = count_entries((pages.buffer for pages in frames(args.pid)), PAGE_STRUCT)
    smaps = sum(row.sizes.get("Rss", 0) for row in read_smaps(HOST, args.pid))
    ways = three_ways(args.pid, read_statm_rss(HOST, args.pid), smaps, entries, PAGE_ZERO, PAGE_DEVICE)
    return three_ways_document(ways), render_three_ways(ways, args.bytes)
