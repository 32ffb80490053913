"""All about a zone on one page: memory by kind, its bill and its limit, its processes, its files, who shares with it.

`zonerss NAME` is the same where no verb has that name. All figures are of one walk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from zonerss.answers.explain.account import Ledger
from zonerss.answers.files import FileUsage, files_usage
from zonerss.answers.mapcounts import zones_mapcounts
from zonerss.answers.zone import Page, shared_with
from zonerss.census.usage import zone_names
from zonerss.commands.options import add_limit_options, add_past_options, add_walk_options, one_way
from zonerss.commands.quantities import size
from zonerss.commands.watching import add_watch_options, growth_of, put, rounds
from zonerss.errors import CannotServe, NotKept, UnknownZone, UsageError
from zonerss.kernel.roots import CAPPER_DIRECTORY
from zonerss.plain import dataclass, replace
from zonerss.records import Gap, Usage
from zonerss.records.files import Holdings
from zonerss.snapshot import Observer, Session, Snapshot
from zonerss.views.terminal import here
from zonerss.views.zone import SHOWN, document, render
from zonerss.zones.labels import find_names

if TYPE_CHECKING:
    import argparse

    from zonerss.answers.growth import Growth
    from zonerss.answers.watched import Watched
    from zonerss.cap.status import ZoneForecast
    from zonerss.history.replay import PastSession

Forecasts: TypeAlias = "Mapping[str, ZoneForecast]"
"""By the names of zones; those that have no cap are missing."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("zone", nargs="+", metavar="ZONE", help="the zone; several: a page for each")
    parser.add_argument(
        "--cap",
        type=size,
        metavar="SIZE",
        help="say what could be had of it if it were under this cap, as in 400M (docs/cap.md)",
    )
    add_walk_options(parser)
    add_past_options(parser)
    add_limit_options(
        parser, f"show N rows of processes, files and zones (default: {SHOWN} in text, all in JSON)"
    )
    add_watch_options(parser)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot and print the pages."""
    way, names = one_way(args), list(dict.fromkeys(args.zone))
    if args.cap is not None and args.recording is not None:
        raise UsageError("--cap needs a walk of now: a recording does not tell what each page is mapped by")
    growth, watched = growth_of(args, way), watched_of(args, way, names)

    def lines(pages: Sequence[Page], forecasts: Forecasts) -> list[str]:
        terminal = here()
        found: list[str] = []
        for page in pages:
            found += [""] if found else []
            found += render(
                page,
                terminal.width,
                terminal.style,
                most=args.limit or SHOWN,
                in_bytes=args.bytes,
                forecast=forecasts.get(page.usage.zone),
            )
        return found

    def look(session: Observer) -> tuple[list[Page], Forecasts]:
        pages = measure(session, way, names, growth, watched, args.limit or (None if args.json else SHOWN))
        return pages, forecasts_of(session, way, pages, args.cap)

    def show(found: tuple[list[Page], Forecasts]) -> None:
        put(args, lambda: document(found[0], args.limit, found[1]), lambda: lines(*found))

    rounds(args, look, show)
    return 0


def watched_of(args: argparse.Namespace, way: str, names: Sequence[str]) -> Watched | None:
    """
    The looks before the first one, by which is judged whether it is a leak, and to which each look is to be added.

    None where there is but one look.

    :param names: of zones, as they were spelled
    """
    if args.recording is None and args.watch is None:
        return None
    from zonerss.answers.watched import PAST_LOOKS, Watched

    if args.recording is None:
        return Watched()
    from zonerss.commands import past

    watched = Watched(PAST_LOOKS)
    for look in past.looks_before(args):
        note_past(watched, look, way, names)
    return watched


def note_past(watched: Watched, look: PastSession, way: str, names: Sequence[str]) -> None:
    """Add a look of a recording in which these zones, as they were spelled, are; those that are not are left out."""
    snapshot = look.take(way, processes=True, controls=True)
    there = {usage.zone for usage in snapshot.zones}
    zones: list[str] = []
    for name in names:
        with contextlib.suppress(UnknownZone):
            zones += find_names([name], there)
    _note(watched, snapshot, zones, {})


def _note(
    watched: Watched,
    snapshot: Snapshot,
    zones: Sequence[str],
    files: Mapping[str, Sequence[FileUsage] | None],
) -> None:
    """
    Add a look at some zones, with the files that their processes hold open, where that may tell something.

    :param files: that they map; None: not kept
    """
    evidence = snapshot.ask()
    watched.add(snapshot, zones, evidence.bill)
    for zone, found in files.items():
        if found is not None:
            watched.files(zone, found)
    for usage in snapshot.zones:
        if usage.zone in zones and watched.wants_open_files(usage.zone, usage.cache_unmapped_bytes):
            members = [member for member in snapshot.members if member.zones[0].name == usage.zone]
            with contextlib.suppress(CannotServe):  # not kept this time
                watched.opened(usage.zone, evidence.open_files(members).files)


def forecasts_of(session: Observer, way: str, pages: Sequence[Page], cap_bytes: int | None) -> Forecasts:
    """
    What could be had of zones that have a cap, by their names.

    :param cap_bytes: a cap for each; None: those of the capper that runs, or ran then, and as it says
    """
    zones, past = [page.usage.zone for page in pages], pages[0].snapshot.past
    if cap_bytes is not None and isinstance(session, Session):
        from zonerss.cap.foretold import foretell

        return foretell(session, way, zones, cap_bytes)
    if not (os.path.lexists(CAPPER_DIRECTORY) if past is None else past.capper):
        return {}
    from zonerss.cap.status import caps_of

    said = caps_of(pages[0].snapshot)
    return {zone: found.forecast for zone, found in said.items() if zone in zones and found.forecast}


def measure(
    session: Observer,
    way: str,
    names: Sequence[str],
    growth: Growth | None = None,
    watched: Watched | None = None,
    arguments_of: int | None = SHOWN,
) -> list[Page]:
    """
    The pages of some zones, in the order in which they were named, from one snapshot.

    :param growth: of earlier rounds; this snapshot is added to it
    :param watched: likewise
    :param arguments_of: of how many processes, the largest, the arguments are read; None: of all
    :raises UnknownZone: there is no zone of one of these names, or all its processes left
    """
    snapshot = session.take(way, zone=names, processes=True, controls=True)
    usage_of = {usage.zone: usage for usage in snapshot.zones}
    chosen = find_names(names, usage_of)  # those whose processes have all left meanwhile are missing
    if growth is not None:
        growth.add(snapshot)
    usages = [usage_of[name] for name in dict.fromkeys(chosen)]
    return pages_of(snapshot, usages, growth, watched, arguments_of)


def pages_of(
    snapshot: Snapshot,
    usages: Iterable[Usage],
    growth: Growth | None,
    watched: Watched | None = None,
    arguments_of: int | None = SHOWN,
) -> list[Page]:
    """
    The pages of some zones of a snapshot that has kept its evidence and its processes.

    :param growth: of the zones; None: not known
    :param watched: the looks before, to which this one is added; None: there are none
    :param arguments_of: as of :func:`measure`
    """
    evidence = snapshot.ask()
    try:
        holdings, gaps = evidence.holdings()
    except NotKept:
        holdings, gaps = None, ()
    ledger = Ledger(snapshot, evidence.payers())
    found, counted = _Found(snapshot, ledger, holdings, gaps), evidence.mapcounts()
    mapcounts = {} if counted is None else zones_mapcounts(counted, snapshot.members)
    pages = [_page(found, usage, growth, arguments_of) for usage in usages]
    if watched is not None:
        zones = [page.usage.zone for page in pages]
        _note(watched, snapshot, zones, {page.usage.zone: page.files for page in pages})
    return [
        replace(
            page,
            mapcounts=mapcounts.get(page.usage.zone),
            verdict=None if watched is None else watched.verdict(page.usage.zone),
        )
        for page in pages
    ]


def renewed(
    page: Page, snapshot: Snapshot, usage: Usage, growth: Growth, watched: Watched, age_seconds: float
) -> Page:
    """
    The same page by a later snapshot, but for its details: bill, files and mapping counts.

    :param usage: of the same zone
    :param growth: of the zones
    :param watched: the looks before, to which this one is added
    :param age_seconds: how old the details are
    """
    processes = [process for process in snapshot.processes or () if process.zone == usage.zone]
    new = {process.pid for process in processes[:SHOWN]}.difference(page.arguments)
    tasks = [member.task for member in snapshot.members if member.task.pid in new]
    watched.add(snapshot, [usage.zone], snapshot.ask().bill)
    return replace(
        page,
        snapshot=snapshot.without_evidence(),
        usage=usage,
        processes=processes,
        arguments={**page.arguments, **snapshot.ask().command_lines(tasks)} if tasks else page.arguments,
        shared_with=shared_with(snapshot, usage.zone),
        growth=growth.bytes_per_minute(usage.zone),
        verdict=watched.verdict(usage.zone),
        details_age_seconds=age_seconds,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A snapshot, and what was asked of its evidence."""

    snapshot: Snapshot
    ledger: Ledger
    """Of all its zones."""
    holdings: Holdings | None
    """None: not kept."""
    gaps: tuple[Gap, ...]


def _page(found: _Found, usage: Usage, growth: Growth | None, arguments_of: int | None) -> Page:
    snapshot = found.snapshot
    account = found.ledger.account(usage)
    task_of = {member.task.pid: member.task for member in snapshot.members}
    processes = [process for process in snapshot.processes or () if process.zone == usage.zone]
    return Page(
        snapshot=snapshot.without_evidence(),
        usage=usage,
        processes=processes,
        arguments=snapshot.ask().command_lines(task_of[process.pid] for process in processes[:arguments_of]),
        files=None
        if found.holdings is None
        else files_usage(snapshot.parts, zone_names(snapshot.members), found.holdings, usage.zone),
        shared_with=shared_with(snapshot, usage.zone),
        chain=None if account.shares is None else account.chain,
        growth=None if growth is None else growth.bytes_per_minute(usage.zone),
        gaps=found.gaps,
        users=snapshot.names.users,
    )
