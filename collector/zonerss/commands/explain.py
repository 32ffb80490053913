"""Why the numbers disagree: from the sum of a zone's RSS to the charge of its cgroup, one exact step at a time.

Without a zone: where all memory of the machine is, from what zones map to what the kernel holds.

--since tells what changed since then, step by step: from a recording (--from), or by looking twice (--since -30s).

--tmpfs lists what holds shared memory, mapped or not.
--numbers lists what each tool prints for the zone, with its formula. --payers shows which cgroup is charged for what
each zone maps. --private-shared shows getvmusage's private and shared beside exclusive and shared. --pid explains one
process.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from zonerss.answers.explain.account import (
    explain_machine,
    explain_shmem,
    explain_zone,
    facts_of,
    look_at_zone,
    pay_matrix,
)
from zonerss.answers.explain.difference import changed
from zonerss.answers.explain.getvmusage import how_mapped, reserved_bytes
from zonerss.answers.explain.numbers import everyones
from zonerss.answers.explain.process import three_ways
from zonerss.answers.explain.records import Account
from zonerss.answers.frames import count_kinds
from zonerss.census.usage import one_of_each_mm
from zonerss.commands.options import (
    add_output_options,
    add_past_options,
    add_walk_options,
    process_id,
    set_aside,
    single_way,
)
from zonerss.commands.quantities import since
from zonerss.commands.watching import add_watch_options, put, rounds, turns, wait_for
from zonerss.errors import CannotServe, UnknownZone, UsageError
from zonerss.kernel.meminfo import read_machine
from zonerss.kernel.proc import living_thread
from zonerss.kernel.roots import HOST
from zonerss.kernel.smaps import read_smaps, read_statm_rss
from zonerss.snapshot import Observer, Snapshot
from zonerss.views.explain import chain, difference, getvmusage, machine, numbers, payers, process, tmpfs
from zonerss.views.past import as_of
from zonerss.walk.frames import frames
from zonerss.zones.labels import find_names

if TYPE_CHECKING:
    from zonerss.history.replay import PastSession

LEAST_SECONDS, MOST_SECONDS = 0.1, 86_400.0
"""Between two looks of --since."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("zone", nargs="?", metavar="ZONE", help="the zone; none: the whole machine")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--since",
        type=since,
        metavar="TIME",
        help="what changed in ZONE since then. With --from: since the last snapshot that began by TIME, as in 20:55, "
        "or -10m before the one of --at. Without: look now and again after the time, as in -30s",
    )
    what.add_argument(
        "--numbers", action="store_true", help="what each tool prints for the zone, with its formula"
    )
    what.add_argument(
        "--payers", action="store_true", help="which cgroup is charged for what each zone (or ZONE) maps"
    )
    what.add_argument(
        "--private-shared",
        action="store_true",
        help="getvmusage's private, shared and swap beside ours",
    )
    what.add_argument(
        "--tmpfs",
        action="store_true",
        help="tmpfs mounts, memfds, System V segments, deleted files: what each has, who maps it, who is charged",
    )
    what.add_argument(
        "--pid",
        type=process_id,
        metavar="PID",
        help="one process: RSS by counters, smaps, page table entries",
    )
    add_walk_options(parser)
    add_past_options(parser)
    add_output_options(parser)
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Explain a zone, who is charged for what all zones map, or a process."""
    set_aside(args, basis="mapped")
    if args.basis != "mapped":
        raise UsageError(
            "explain counts what page tables map: it takes no --basis; --numbers shows incore, too"
        )
    by = single_way(args)
    if args.recording is not None:
        from zonerss.commands.past import check_past

        check_past(args)
    if args.pid is not None:
        return _run_process(args)
    if args.zone is None and (args.numbers or args.private_shared):
        raise UsageError("name the zone whose numbers to explain; zonerss show lists them")
    if args.recording is not None and args.zone is None and not args.payers:
        raise UsageError(
            "explain --from needs a ZONE: a recording does not keep what the rest of the machine had"
        )
    if args.zone is not None and args.tmpfs:
        raise UsageError("explain --tmpfs is about the whole machine: it takes no zone")
    _check_since(args)
    look = (
        _since
        if args.since is not None
        else _payers
        if args.payers
        else _tmpfs
        if args.tmpfs
        else _machine
        if args.zone is None
        else _zone
    )
    rounds(args, lambda session: look(session, by, args), lambda found: put(args, *found))
    return 0


def _check_since(args: argparse.Namespace) -> None:
    """:raises UsageError: --since makes no sense with the other options"""
    if args.since is None:
        return
    if args.zone is None:
        raise UsageError("explain --since needs a ZONE: what changed in which one?")
    if args.watch is not None:
        raise UsageError("explain takes --since or --watch, not both")
    if args.recording is None and not isinstance(args.since, float):
        raise UsageError(
            "--since needs a recording to know what was then: add --from FILE; or say how long to look, as in "
            "--since -30s"
        )
    if args.recording is None and not LEAST_SECONDS <= args.since <= MOST_SECONDS:
        raise UsageError(
            f"without --from zonerss looks twice, {LEAST_SECONDS:g} s to {MOST_SECONDS / 3600:g} h apart: "
            "say --since -30s, or add --from FILE"
        )


def _run_process(args: argparse.Namespace) -> int:
    if args.zone is not None:
        raise UsageError("explain takes a zone or a --pid, not both")
    if args.recording is not None:
        raise UsageError("--from takes no --pid: a recording does not keep the page tables of each process")
    for _ in turns(args):
        put(args, *_process(args))
    return 0


_Shown = tuple[Callable[[], dict[str, Any]], Callable[[], list[str]]]
"""What makes the document, and the lines."""


def _machine(session: Observer, by: str, args: argparse.Namespace) -> _Shown:
    account = explain_machine(session, by)
    return partial(machine.document, account), partial(machine.render, account, args.bytes)


def _tmpfs(session: Observer, by: str, args: argparse.Namespace) -> _Shown:
    account = explain_shmem(session, by)
    return partial(tmpfs.document, account), partial(tmpfs.render, account, args.bytes)


def _zone(session: Observer, by: str, args: argparse.Namespace) -> _Shown:
    account = explain_zone(session, args.zone, by, processes=args.numbers)
    if args.numbers:
        return _numbers(session, by, account, args)
    if args.private_shared:
        return _how_mapped(session, by, account, args)
    return partial(chain.document, account), partial(chain.render, account, args.bytes)


def _since(session: Observer, by: str, args: argparse.Namespace) -> _Shown:
    if args.recording is None:
        before = look_at_zone(session, args.zone, by)
        wait_for(args.since)
    else:
        from zonerss.commands import past

        with past.earlier(args, cast("PastSession", session), args.since) as then:
            before = look_at_zone(then, args.zone, by)
    found = changed(before, look_at_zone(session, args.zone, by))
    return partial(difference.document, found), partial(difference.render, found, args.bytes)


def _numbers(session: Observer, by: str, account: Account, args: argparse.Namespace) -> _Shown:
    # Of the same snapshot: what only one process maps may be shared a moment later.
    name, each = account.zone.name, account.snapshot
    chosen = {member.task.pid for member in one_of_each_mm(each.members)}
    processes = [process for process in each.processes or () if process.pid in chosen]
    incore = None if each.past else _incore_bytes(session, by, name)
    rows = everyones(facts_of(account, processes, incore))
    return (
        lambda: chain.document(account, {"numbers": numbers.fields(rows)}),
        lambda: [*numbers.render(name, rows, args.bytes, account.below), *_not_kept(each)],
    )


def _not_kept(snapshot: Snapshot) -> list[str]:
    if snapshot.past is None:
        return []
    return ["", "getvmusage: a recording does not keep what is cached and not mapped.", *as_of(snapshot)]


def _incore_bytes(session: Observer, by: str, name: str) -> int:
    incore = session.take((by,), "incore", (name,))
    _check_there(incore, name)
    return incore.zones[0].rss_bytes


def _check_there(snapshot: Snapshot, name: str) -> None:
    if not snapshot.zones:
        raise UnknownZone(f"the processes of the zone {name!r} left before they were walked", name)


def _how_mapped(session: Observer, by: str, account: Account, args: argparse.Namespace) -> _Shown:
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
        [member.owner for member in members],
        usage.exclusive_bytes or 0,
        reserved_bytes(rows),
        usage.swap_bytes,
    )
    return (
        lambda: chain.document(account, {"how_mapped": getvmusage.fields(mapped)}),
        lambda: getvmusage.render(name, mapped, args.bytes),
    )


def _payers(session: Observer, by: str, args: argparse.Namespace) -> _Shown:
    matrix = pay_matrix(session, by)
    if matrix is None:
        raise CannotServe(
            "this recording was made without who is charged for frames (record --lean), or its kernel does not tell"
            if args.recording is not None
            else "the kernel does not tell which cgroup a frame is charged to: it has no /proc/kpagecgroup "
            "(CONFIG_MEMCG)"
        )
    zone = args.zone
    if zone is not None:
        (zone,) = find_names((zone,), {usage.zone for usage in matrix.snapshot.zones})
    return partial(payers.document, matrix, zone), partial(payers.render, matrix, zone, args.bytes)


def _process(args: argparse.Namespace) -> _Shown:
    tid = living_thread(HOST, args.pid) or args.pid  # the first thread may have ended
    entries = count_kinds(frames(tid))
    rows = read_smaps(HOST, tid)
    smaps = sum(row.sizes.get("Rss", 0) for row in rows)
    pfnmaps = sum(row.end - row.start for row in rows if "pf" in row.flags)
    ways = three_ways(args.pid, read_statm_rss(HOST, tid), smaps, entries, pfnmaps)
    return partial(process.document, ways, read_machine(HOST)), partial(process.render, ways, args.bytes)
