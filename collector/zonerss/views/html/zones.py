"""A section of a page for each zone: its verdict, its course, and how its numbers are joined."""

from __future__ import annotations

from collections.abc import Sequence

from zonerss.answers.closeup import Closeup
from zonerss.answers.report import Report, ZoneReport
from zonerss.units import counted
from zonerss.views.columns import sizes
from zonerss.views.explain.chain import notes, sums
from zonerss.views.html.elements import (
    NOTHING,
    Head,
    Markup,
    details,
    joined,
    name,
    paragraph,
    table,
    tag,
    text,
)
from zonerss.views.html.sections import chart, section, verdict_word
from zonerss.views.html.series import looks_of_zones
from zonerss.views.html.tables import when
from zonerss.views.report import is_told, met_text, pace_text

OPEN = 12
"""So many of them are open from the beginning, those whose verdict is worth it."""
FEW = 4
"""Where there are no more, all of them are open."""


def each(report: Report, zones: Sequence[ZoneReport], closeup: Closeup | None, in_bytes: bool) -> Markup:
    """A section for each zone, in the order of the table."""
    looks = len(looks_of_zones(report, len(zones)))
    thinned = (
        paragraph(
            f"Their charts have {looks} of {len(report.looks)} snapshots, at even distances.", class_="note"
        )
        if looks < len(report.looks)
        else NOTHING
    )
    found = (
        _zone(report, number, zone, closeup, in_bytes, number < OPEN and (is_told(zone) or len(zones) <= FEW))
        for number, zone in enumerate(zones)
    )
    return section("each", thinned, joined(found, "\n"))


def _zone(
    report: Report, number: int, zone: ZoneReport, closeup: Closeup | None, in_bytes: bool, is_open: bool
) -> Markup:
    size, verdict = sizes(in_bytes), zone.verdict
    summary = joined(
        (
            name(zone.usage.zone),
            tag("span", text(size(zone.last.size_bytes)), class_="figure"),
            tag("span", text(pace_text(verdict, size)), class_="figure"),
            verdict_word(zone),
        ),
        " ",
    )
    return details(
        summary,
        paragraph(f"{verdict.because[:1].upper()}{verdict.because[1:]}."),
        paragraph(f"{met_text(verdict.meets)}.") if verdict.meets else NOTHING,
        paragraph(f"What would change that: {verdict.would_change}.", class_="note"),
        tag("p", *_facts(report, zone, in_bytes), class_="note"),
        tag(
            "div",
            chart("zone", f"Its memory by kind over {counted(zone.looks, 'snapshot')}, as a stack", number),
            _chain(zone, closeup, in_bytes),
            class_="pair",
        ),
        class_="zone",
        id=f"zone-{number}",
        open=is_open,
    )


def _facts(report: Report, zone: ZoneReport, in_bytes: bool) -> Sequence[Markup]:
    size, usage = sizes(in_bytes), zone.usage
    said = [
        f"{size(zone.first.size_bytes)} at first, {size(zone.last.size_bytes)} at last",
        f"at its peak {size(zone.peak.size_bytes)}, {when(report, zone.peak.seconds)}",
        counted(usage.processes, "process", "processes"),
    ]
    if usage.limit_bytes is not None:
        said.append(f"limit {size(usage.limit_bytes)}")
    if zone.looks < len(report.looks):
        said.append(
            f"in {zone.looks} of {counted(len(report.looks), 'snapshot')}, from {when(report, zone.first.seconds)} "
            f"to {when(report, zone.last.seconds)}"
        )
    facts = [text(f"{'; '.join(said)}.")]
    if usage.cgroup is not None and usage.cgroup != usage.zone:
        facts += [text(" Its cgroup is "), name(usage.cgroup), text(".")]
    return facts


_CHAIN = (Head(""), Head("SIZE"), Head("WHAT", True))


def _chain(zone: ZoneReport, closeup: Closeup | None, in_bytes: bool) -> Markup:
    account = None if closeup is None else closeup.accounts.get(zone.usage.zone)
    if account is None:
        return paragraph(
            "It is not in the last snapshot, so there is no chain of its numbers.", class_="note"
        )
    rows = (list(map(text, row)) for row in sums(account, in_bytes))
    return tag(
        "div",
        table(
            "From the RSS of its processes to its bill, at the last snapshot", _CHAIN, rows, class_="chain"
        ),
        *(paragraph(note, class_="note") for note in notes(account)),
    )
