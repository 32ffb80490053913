"""The page for people: the first screen of ``zonerss`` in a browser, from one look. Pure.

HTML, one stylesheet, bars as SVG; no script, and nothing is asked of any other host. Columns, units and sentences are
those of the terminal. Where there is little room columns leave by the stylesheet, in the same order as there.

Source: HTML Living Standard; CSP Level 3; WCAG 2.2 (1.4.3 contrast, 1.3.1 headers of tables).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from html import escape
from math import ceil

from zonerss.answers.marks import ALARMS, Mark, marks_of, split_of
from zonerss.answers.share import Pair
from zonerss.records import Usage
from zonerss.serve.look import Look
from zonerss.serve.style import POLICY, STYLE
from zonerss.snapshot import Snapshot
from zonerss.units import counted
from zonerss.views.advice import command_of
from zonerss.views.bars import GLYPHS
from zonerss.views.columns import RSS, ZONE, Column, cell, sizes
from zonerss.views.footer import footer
from zonerss.views.marks import sentence, sign, verb_of
from zonerss.views.screen import (
    BARS,
    ORDER,
    growth_column,
    is_known,
    machine_facts,
    segments,
    signs_of,
    styles_of,
)
from zonerss.views.table import sort_records
from zonerss.views.text import printable, shorten

MARKS_SHOWN = 10
_NAME_COLUMNS = 64
"""Of a longer name the middle is left out; the whole one is its title."""
_LEAST_REFRESH_SECONDS = 5
_WIDE = 1000
"""What a bar of the whole width is, in units of SVG."""
_LEAVES = {
    **dict.fromkeys(("limit", "used", "grows", "uncertainty"), "some"),
    **dict.fromkeys(("kind", "processes", "shared", "proportional"), "less"),
    **dict.fromkeys(("oom", "pressure", "hugetlb", "swap", "process_rss"), "least"),
}
"""Columns that leave where there is too little room, the least telling first."""
_size = sizes(False)


def render(look: Look) -> str:
    """The whole page, which asks for itself again when the next walk may be done."""
    snapshot = look.snapshot
    host = printable(snapshot.machine.host_name if snapshot.machine else "", "utf-8")
    seconds = max(ceil(look.stretched_seconds), _LEAST_REFRESH_SECONDS)
    marks = marks_of(snapshot)
    body = (
        _header(look, host),
        _machine(snapshot),
        _marks(marks, snapshot),
        _zones(look, marks),
        _pairs(look.pairs),
        "<footer>",
        *(f"<p>{escape(line)}</p>" for line in footer(snapshot)),
        "</footer>",
    )
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="refresh" content="{seconds}">',
            '<meta name="referrer" content="no-referrer">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(f'zonerss: {host}' if host else 'zonerss')}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *filter(None, body),
            "</body>",
            "</html>",
            "",
        )
    )


def _header(look: Look, host: str) -> str:
    ended = look.snapshot.ended.astimezone(UTC)
    when = f'<time datetime="{ended.isoformat(timespec="seconds")}">{ended:%Y-%m-%d %H:%M:%S} UTC</time>'
    return (
        f"<header><h1>zonerss <bdi>{escape(host)}</bdi></h1>"
        f"<p>walked {when}, every {look.stretched_seconds:g} s</p>"
        '<nav aria-label="for programs"><a href="metrics">metrics</a><a href="snapshot.json">JSON</a></nav></header>'
    )


# ---- bars ------------------------------------------------------------------------------------------------


def _svg(parts: Iterable[tuple[str, int]], whole: int, label: str, dim_from: int | None = None) -> str:
    """
    A bar.

    :param parts: class and amount of each, from the left
    :param whole: what the whole width stands for
    :param label: the same in words
    :param dim_from: from this amount on it is dim
    """
    drawn, so_far = [], 0
    for name, amount in parts:
        begin, end = (round(_WIDE * edge / max(whole, 1)) for edge in (so_far, so_far + max(amount, 0)))
        so_far += max(amount, 0)
        if end > begin:
            drawn.append(f'<rect class="{name}" x="{begin}" width="{end - begin}" height="1"/>')
    if dim_from is not None and dim_from < so_far:
        begin, end = (round(_WIDE * edge / max(whole, 1)) for edge in (dim_from, so_far))
        drawn.append(f'<rect class="dim" x="{begin}" width="{end - begin}" height="1"/>')
    words = escape(label)
    return (
        f'<svg role="img" aria-label="{words}" viewBox="0 0 {_WIDE} 1" preserveAspectRatio="none">'
        f"<title>{words}</title>{''.join(drawn)}</svg>"
    )


def _zone_bar(usage: Usage, most: int) -> str:
    amounts = {kind: getattr(usage, f"{kind}_bytes") for kind in GLYPHS}
    label = ", ".join(f"{kind} {_size(amount)}" for kind, amount in amounts.items())
    shared = usage.shared_bytes
    if shared is not None:
        label += f"; {_size(shared)} of it shared"
    return _svg(amounts.items(), most, label, None if not shared else usage.rss_bytes - shared)


def _machine(snapshot: Snapshot) -> str:
    split, machine = split_of(snapshot), snapshot.machine
    if split is None or machine is None:
        return ""
    parts = [(word, amount) for word, amount, _ in segments(split)]
    label = ", ".join(f"{word} {_size(amount)}" for word, amount in parts)
    words = [f'<li><i class="{_part(word)}"></i>{word} <b>{_size(amount)}</b></li>' for word, amount in parts]
    facts = [f'<li class="fact">{escape(fact)}</li>' for fact in machine_facts(machine, _size)]
    bar = _svg(
        [(_part(word), amount) for word, amount in parts],
        max(split.memory, sum(amount for _, amount in parts)),
        f"{_size(split.memory)} of memory: {label}",
    )
    return (
        f'<section class="machine" aria-label="the machine\'s memory">{bar}<ul class="parts">'
        f"<li><b>{_size(split.memory)}</b> of memory</li>{''.join(words)}{''.join(facts)}</ul></section>"
    )


def _part(word: str) -> str:
    """The class of a part of the machine's memory."""
    return word.replace(" ", "-")


# ---- what stands out -------------------------------------------------------------------------------------


def _marks(marks: Sequence[Mark], snapshot: Snapshot) -> str:
    if not marks:
        return ""
    limits = {usage.zone: usage.limit_bytes for usage in snapshot.zones}
    lines = [_mark(mark, limits, snapshot.by) for mark in marks[:MARKS_SHOWN]]
    if more := len(marks) - len(lines):
        lines.append(f"<li>and {more} more of that kind: <code>zonerss --all</code></li>")
    return f'<section aria-label="what stands out"><ul class="marks">{"".join(lines)}</ul></section>'


def _mark(mark: Mark, limits: Mapping[str, int | None], by: str) -> str:
    said, command = sentence(mark, limits, _size), command_of(verb_of(mark), mark.zone, by)
    colour = "alarm" if mark.why in ALARMS else "warning"
    return (
        f'<li><b class="{colour}">{sign(mark)}</b><span class="{colour}">{escape(said)}</span>: '
        f"<code>{escape(command)}</code></li>"
    )


# ---- tables ----------------------------------------------------------------------------------------------


def _zones(look: Look, marks: Sequence[Mark]) -> str:
    usages = sort_records(look.snapshot.zones, RSS)
    growth = growth_column(look.growth)
    columns = [column for column in (*ORDER, growth) if column is BARS or is_known(column, usages)]
    signs = signs_of(marks)
    most = max((usage.rss_bytes for usage in usages), default=0)
    legend = "".join(f'<i class="{kind}"></i>{kind}' for kind in GLYPHS)
    rows = (f"<tr>{''.join(_cells(columns, usage, signs, most))}</tr>" for usage in usages)
    return (
        f"<table><caption>RSS by kind:{legend}; pale: shared</caption>"
        f"<thead><tr>{''.join(map(_head, columns))}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table>"
    )


def _head(column: Column) -> str:
    header = "BY KIND" if column is BARS else column.header
    return f'<th scope="col"{_class(column)} title="{escape(column.help)}">{escape(header)}</th>'


def _class(column: Column, *more: str) -> str:
    kind = ("bar",) if column is BARS else () if column.left else ("n",)
    names = [name for name in (*kind, _LEAVES.get(column.name, ""), *more) if name]
    return f' class="{" ".join(names)}"' if names else ""


def _cells(
    columns: Iterable[Column], usage: Usage, signs: Mapping[tuple[str, str], str], most: int
) -> Iterator[str]:
    for column in columns:
        if column is BARS:
            yield f"<td{_class(column)}>{_zone_bar(usage, most)}</td>"
            continue
        text = cell(column, usage)
        mark = signs.get((column.name, usage.zone), "")
        if column is ZONE:
            yield f'<th scope="row">{_name(usage.zone)}{_sign(mark)}</th>'
        else:
            looks = (style for style in styles_of(column, usage, text) if style in ("alarm", "warning"))
            yield f"<td{_class(column, *looks)}>{escape(text)}{_sign(mark)}</td>"


def _sign(mark: str) -> str:
    return f' <b class="{"alarm" if mark == "!" else "warning"}">{mark}</b>' if mark else ""


def _name(zone: str) -> str:
    name = printable(zone, "utf-8")
    short = shorten(name, _NAME_COLUMNS)
    title = "" if short == name else f' title="{escape(name)}"'
    return f'<bdi class="zone"{title}>{escape(short)}</bdi>'


def _pairs(pairs: Sequence[Pair]) -> str:
    if not pairs:
        return ""
    rows = "\n".join(
        f'<tr><td>{_name(pair.zones[0])}</td><td>{_name(pair.zones[1])}</td><td class="n">{_size(pair.bytes)}</td></tr>'
        for pair in pairs
    )
    return (
        f"<details><summary>Who shares most with whom: {counted(len(pairs), 'pair')}</summary>"
        '<table class="pairs"><thead><tr><th scope="col">ZONE</th><th scope="col">AND ZONE</th>'
        f'<th scope="col" class="n">SHARED</th></tr></thead>\n<tbody>\n{rows}\n</tbody></table></details>'
    )
