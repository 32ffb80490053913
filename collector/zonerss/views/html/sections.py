"""The sections of a page that are about the whole machine."""

from __future__ import annotations

from collections.abc import Sequence

from zonerss.answers.closeup import Closeup, Portion
from zonerss.answers.conditions import Held
from zonerss.answers.marks import split_of
from zonerss.answers.report import Compared, MachineLook, Report, ZoneReport
from zonerss.units import counted
from zonerss.views.columns import sizes
from zonerss.views.footer import footer
from zonerss.views.html.elements import (
    NOTHING,
    Head,
    Markup,
    details,
    name,
    paragraph,
    short_name,
    table,
    tag,
    text,
)
from zonerss.views.html.series import UNRECORDED, Layer, hole_times, layers
from zonerss.views.past import local_time
from zonerss.views.report import condition_lines, is_told, met_text, pace_text, remarks, word
from zonerss.views.run import seconds_text
from zonerss.views.screen import machine_facts, segments
from zonerss.views.text import printable, shorten

TITLES = {
    "conditions": "Conditions",
    "compared": "Compared",
    "verdicts": "Verdicts",
    "time": "Over time",
    "where": "Where it is",
    "sharing": "Sharing",
    "zones": "Zones",
    "each": "Each zone",
    "numbers": "Everyone's numbers",
    "processes": "Processes",
}
"""The headings, by what links lead to."""

MOST_VERDICTS = 20
"""So many are told before the charts, the fastest growth first; all of them in the sections of the zones."""
_HEAD_COLUMNS = 20
"""Of the name of a zone at the head of a column."""


_UNRECORDED = f"Only some zones were recorded. What {UNRECORDED} have of these pages is a part of its own."


def section(called: str, *content: Markup) -> Markup:
    """One of the sections of TITLES."""
    return tag("section", tag("h2", text(TITLES[called])), *content, id=called)


def chart(what: str, words: str, number: int | None = None) -> Markup:
    """
    Where the script draws.

    :param what: which chart
    :param words: what it shows, for who cannot see it
    :param number: of a zone
    """
    inner = tag(
        "div",
        role="img",
        aria_label=words,
        data_chart=what,
        data_number=None if number is None else str(number),
    )
    return tag("figure", inner, class_=f"chart {what}")


def heading(report: Report) -> Markup:
    """What it is about: of which host, from when to when."""
    began, ended = report.looks[0].began, report.looks[-1].began
    span = f"{local_time(began)} to {local_time(ended)} ({seconds_text(report.span_seconds)})"
    return tag(
        "div",
        tag("h1", text("zonerss report "), name(report.host_name)),
        tag("p", text(f"{span}, by {report.by}, from "), name(report.file)),
    )


# ---- the machine -----------------------------------------------------------------------------------------


def machine(report: Report, closeup: Closeup | None, in_bytes: bool) -> Markup:
    """A line of its memory at the end, and how many zones there are."""
    size = sizes(in_bytes)
    last = report.looks[-1]
    items = [
        _item("zones", str(len(report.zones))),
        _item("RSS, each page once", _with_bound(size(last.total.rss_bytes), last, in_bytes)),
    ]
    split = None if closeup is None else split_of(closeup.snapshot)
    if split is not None and last.machine is not None:
        parts = [(word, amount) for word, amount, _ in segments(split) if word != "zones"]
        items.append(_item("memory", size(split.memory)))
        items += [_item(word, size(amount)) for word, amount in parts]
        items += [tag("li", text(fact)) for fact in machine_facts(last.machine, size)]
    items.append(_item("snapshots", str(report.snapshots)))
    return tag("ul", *items, class_="facts", aria_label="the machine at the last snapshot")


def _item(what: str, figure: str) -> Markup:
    return tag("li", tag("b", text(figure)), text(f" {what}"))


def _with_bound(figure: str, look: MachineLook, in_bytes: bool) -> str:
    bound = look.total.uncertainty_bytes
    return figure if bound is None else f"{figure} ±{sizes(in_bytes)(bound)}"


# ---- what came of it -------------------------------------------------------------------------------------


def held(conditions: Sequence[Held]) -> Markup:
    """Each condition of --fail-on, and what came of it."""
    if not conditions:
        return NOTHING
    lines = []
    for one in conditions:
        said = condition_lines([one])
        lines += [tag("li", tag("code", text(line)), class_="alarm") for line in said]
        if not said:
            lines.append(tag("li", tag("code", text(f"--fail-on {one.condition.text} does not hold"))))
    return section("conditions", tag("ul", *lines))


def compared(
    rows: Sequence[Compared] | None, before: Report | None, limit: int | None, in_bytes: bool
) -> Markup:
    """The zones of two recordings, worst growth first."""
    if rows is None or before is None:
        return NOTHING
    size = sizes(in_bytes)

    def cells(row: Compared) -> list[Markup]:
        found = [short_name(row.zone)]
        for say in (
            lambda zone: pace_text(zone.verdict, size),
            lambda zone: size(zone.peak.size_bytes),
            lambda zone: size(zone.last.size_bytes),
            word,
        ):
            found += [text("–" if side is None else say(side)) for side in (row.after, row.before)]
        return found

    heads = [
        Head("ZONE", True),
        *(Head(title) for title in ("GROWTH", "BEFORE", "PEAK", "BEFORE", "LAST", "BEFORE")),
        *(Head(title, True) for title in ("VERDICT", "BEFORE")),
    ]
    began, ended = before.looks[0].began, before.looks[-1].began
    first = tag(
        "p",
        text("BEFORE is "),
        name(before.file),
        text(f" of {before.host_name}, {local_time(began)} to {local_time(ended)}."),
    )
    shown = rows[:limit]
    return section(
        "compared",
        first,
        table("Zones of both recordings, worst growth first", heads, map(cells, shown)),
        more(len(rows) - len(shown)),
    )


def verdicts(zones: Sequence[ZoneReport]) -> Markup:
    """What is no steady zone, in sentences."""
    told = [(number, zone) for number, zone in enumerate(zones) if is_told(zone)]
    unknown = sum(zone.verdict.word is None for zone in zones)
    lines = [_verdict(number, zone) for number, zone in told[:MOST_VERDICTS]]
    if left := len(told) - len(lines):
        lines.append(tag("li", text(f"And {counted(left, 'zone')} more that are not steady: see each zone.")))
    steady = len(zones) - len(told) - unknown
    rest = [f"{counted(steady, 'zone is', 'zones are')} steady" if steady else ""]
    rest += [f"of {counted(unknown, 'zone')} there are too few snapshots to tell" if unknown else ""]
    said = "; ".join(filter(None, rest))
    return section(
        "verdicts",
        tag("ul", *lines, class_="verdicts") if lines else NOTHING,
        paragraph(f"{said[:1].upper()}{said[1:]}.") if said else NOTHING,
    )


def _verdict(number: int, zone: ZoneReport) -> Markup:
    return tag(
        "li",
        tag("a", name(zone.usage.zone), href=f"#zone-{number}"),
        text(" "),
        verdict_word(zone),
        text(f": {zone.verdict.because}."),
        text(f" {met_text(zone.verdict.meets)}." if zone.verdict.meets else ""),
    )


def verdict_word(zone: ZoneReport) -> Markup:
    """In its colour, which says nothing that the word does not."""
    said = word(zone)
    return tag("b", text(said), class_=f"word {said}" if said.replace("-", "").isalpha() else "word")


def more(count: int, one: str = "zone", many: str = "zones") -> Markup:
    """How many were left out by --limit."""
    return paragraph(f"{counted(count, one, many)} more (--limit).", class_="note") if count > 0 else NOTHING


# ---- over time -------------------------------------------------------------------------------------------


def over_time(report: Report, in_bytes: bool) -> Markup:
    """The machine by kind and by zone, and where snapshots are missing."""
    looks = report.looks
    bounds = any(look.total.uncertainty_bytes is not None for look in looks)
    by_zone = layers(report)
    notes = [
        f"No snapshot from {local_time(start)} to {local_time(end)} "
        f"({seconds_text((end - start).total_seconds())})."
        for start, end in hole_times(report)
    ]
    drawn = [
        tag("h3", text("By kind, every page once")),
        paragraph(
            "The pale band around the top is how far RSS can be from its value at one moment (±)."
            if bounds
            else "How uncertain RSS is was not recorded (record --uncertainty).",
            class_="note",
        ),
        chart("kinds", f"RSS of all zones by kind over {counted(len(looks), 'snapshot')}, as a stack"),
        tag("h3", text("By zone, each page divided by the zones that map it")),
    ]
    if by_zone:
        drawn += [
            paragraph(_UNRECORDED, class_="note") if by_zone[-1].label == UNRECORDED else NOTHING,
            chart("layers", "The zones' shares of RSS over time, as a stack"),
        ]
    else:
        drawn.append(paragraph("Not known of one of the snapshots.", class_="note"))
    return section(
        "time",
        *drawn,
        tag("ul", *(tag("li", text(note)) for note in notes), class_="note") if notes else NOTHING,
        details(text(f"Figures of {counted(len(looks), 'snapshot')}"), _looks(report, by_zone, in_bytes)),
    )


def _looks(report: Report, by_zone: Sequence[Layer], in_bytes: bool) -> Markup:
    size = sizes(in_bytes)
    heads = [
        Head("SNAPSHOT", True),
        *(Head(title) for title in ("RSS", "±", "ANON", "FILE", "SHMEM", "HUGETLB", "SWAP")),
        Head("GAPS", help="processes that came, left or could not be read meanwhile"),
        *(_layer_head(layer) for layer in by_zone),
    ]
    columns = [layer.column for layer in by_zone]

    def cells(number: int, look: MachineLook) -> list[Markup]:
        total = look.total
        amounts = (
            *(total.rss_bytes, total.uncertainty_bytes, total.anon_bytes, total.file_bytes),
            *(total.shmem_bytes, total.hugetlb_bytes, total.swap_bytes),
        )
        return [
            tag("time", text(local_time(look.began))),
            *(text(size(amount)) for amount in amounts),
            text(str(look.gaps)),
            *(text(size(column[number])) for column in columns),
        ]

    rows = (cells(number, look) for number, look in enumerate(report.looks))
    return table("All zones at each snapshot; then the share of each zone", heads, rows)


def _layer_head(layer: Layer) -> Head:
    if layer.zone is None:
        return Head(layer.label)
    whole = printable(layer.zone.usage.zone)
    return Head(shorten(whole, _HEAD_COLUMNS), help=whole)


# ---- the last snapshot -----------------------------------------------------------------------------------


def where(closeup: Closeup | None, in_bytes: bool, limit: int | None) -> Markup:
    """The treemap, and its figures."""
    if closeup is None or not closeup.portions:
        return NOTHING
    size = sizes(in_bytes)
    heads = [Head("ZONE", True), *(Head(title) for title in ("SHARE", "ANON", "FILE", "SHMEM"))]

    def cells(called: Markup, one: Portion) -> list[Markup]:
        amounts = one.bytes, one.anon_bytes, one.file_bytes, one.shmem_bytes
        return [called, *(text(size(amount)) for amount in amounts)]

    rows = [cells(short_name(one.zone), one) for one in closeup.portions[:limit]]
    if closeup.rest is not None:
        rows.append(cells(text(UNRECORDED), closeup.rest))
    return section(
        "where",
        paragraph(
            "At the last snapshot, by zone and kind, each page divided by the zones that map it: the areas add up to "
            "the RSS of all zones.",
            class_="note",
        ),
        NOTHING if closeup.rest is None else paragraph(_UNRECORDED, class_="note"),
        chart("treemap", "Each zone's share of RSS by kind, as areas"),
        details(
            text(f"Figures of {counted(len(closeup.portions), 'zone')}"),
            table("Each zone's share at the last snapshot", heads, rows),
            more(len(closeup.portions) - len(closeup.portions[:limit])),
        ),
    )


def sharing(closeup: Closeup | None, in_bytes: bool) -> Markup:
    """The heat map, and the pairs that share most."""
    if closeup is None:
        return NOTHING
    if not closeup.pair_count:
        return section("sharing", paragraph("No page is mapped by two zones."))
    size = sizes(in_bytes)
    heads = [Head("ZONE", True), Head("AND ZONE", True), Head("SHARED")]
    listed = {pair.zones: pair for pair in (*closeup.heat, *closeup.pairs)}
    pairs = sorted(listed.values(), key=lambda pair: (-pair.bytes, pair.zones))
    rows = ([*map(short_name, pair.zones), text(size(pair.bytes))] for pair in pairs)
    count = len(closeup.heat_zones)
    verb = "shares" if closeup.pair_count == 1 else "share"
    share = f"{counted(closeup.pair_count, 'pair')} of zones {verb} something"
    return section(
        "sharing",
        paragraph(
            f"What each two zones both map at the last snapshot: the {count} zones that share most. {share}."
            if closeup.heat
            else f"At the last snapshot {share}, but no two of the zones that were recorded.",
            class_="note",
        ),
        chart("heat", f"What each two of {count} zones share, as a heat map") if closeup.heat else NOTHING,
        details(
            text(f"Figures of {counted(len(pairs), 'pair')}"), table("Who shares with whom", heads, rows)
        ),
    )


# ---- the end ---------------------------------------------------------------------------------------------


def remarks_of(report: Report, closeup: Closeup | None) -> Markup:
    """What the reader must know of all of it."""
    lines = remarks(report)
    if closeup is None:
        lines.append(
            "The last snapshot cannot be read with all that was kept of it, so chains and sharing are missing."
        )
    else:
        lines += footer(closeup.snapshot)
    return tag("footer", *map(paragraph, lines))
