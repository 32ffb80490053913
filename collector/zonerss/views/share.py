"""What is shared: each two zones as a heat map or a list, the largest parts with what they hold, a zone's own row."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zonerss.answers.share import Neighbour, Own, Pair, SharedPart, Sharing, is_kernels, kernel_bytes
from zonerss.census.kinds import Kind, rss_of
from zonerss.records import Usage
from zonerss.records.files import Holding, Holdings
from zonerss.units import counted, format_size, pages_to_bytes
from zonerss.views.columns import ANON, FILE, SHMEM, Column, sizes
from zonerss.views.document import Json, Listing, gap_list, header, usage_fields
from zonerss.views.footer import footer
from zonerss.views.mappings import summary
from zonerss.views.table import render_rows
from zonerss.views.terminal import here
from zonerss.views.text import cells, encodable, printable, shorten, some_names

HEAT_ZONES = 40
"""A heat map shows at most so many zones."""
NOISE = 0.01
"""What is less than this share of all that is shared is folded into one line, and so is the vdso."""
_WIDE = 140
_CELL = 7  # columns of a terminal for one size and a blank
_LABEL = 24
_COLD, _HOT = (24, 32, 72), (200, 40, 24)


def render(
    sharing: Sharing, limit: int | None, width: int, in_bytes: bool = False, noise: float = NOISE
) -> list[str]:
    """
    The pairs, or of the zones that were asked for their neighbours; the largest shared parts; and the last lines.

    :param limit: so many parts, and pairs where they are a list
    :param width: columns of a terminal that shows colours; 0: there is none
    :param noise: which share of what is shared is too little to be shown; 0: all is shown, the vdso, too
    """
    shared = [part for part in sharing.parts if len(part.zones) > 1]
    least = noise * sum(part.bytes for part in shared)
    kernels = [part for part in shared if noise and is_kernels(sharing.holdings.get(part.number))]
    lines: list[str] = []
    for own in sharing.own:
        lines += [*_render_own(own, limit, noise, in_bytes), ""]
    if not sharing.own:
        loud = [pair for pair in sharing.pairs[:limit] if _without(pair, kernels) >= least]
        zones = sharing.snapshot.zones
        lines += [*render_pairs(zones, loud, sharing.pair_count, width, in_bytes, sharing.heat), ""]
    told = [part for part in shared if part.bytes >= least and part not in kernels][:limit]
    if shared:
        lines += [*render_parts(told, sharing.holdings, in_bytes, shared), ""]
    return [*lines, *footer(sharing.snapshot, in_bytes)]


def _without(pair: Pair, kernels: Sequence[SharedPart]) -> int:
    """What two zones have in common, less the kernel's own pages. In bytes."""
    one, other = pair.zones
    return pair.bytes - sum(part.bytes for part in kernels if one in part.zones and other in part.zones)


def _render_own(own: Own, limit: int | None, noise: float, in_bytes: bool) -> list[str]:
    """A zone's own row, and with whom it shares."""
    size, usage, found = sizes(in_bytes), own.usage, own.neighbours
    least = noise * (usage.shared_bytes or 0)
    told = [one for one in found if not noise or one.bytes - kernel_bytes(one.holds) >= least][:limit]
    if not found:
        return [f"{printable(usage.zone)}: {size(usage.rss_bytes)}, none of it shared with another zone"]
    first = (
        f"{printable(usage.zone)}: {size(usage.rss_bytes)}, {size(usage.exclusive_bytes)} of it exclusive, "
        f"{size(usage.shared_bytes)} shared with {_count(len(found), 'zone')}"
    )
    rows = [[size(one.bytes), printable(one.zone), _what(one, in_bytes) or "–"] for one in told]
    lines = render_rows(["SHARED", "WITH", "WHAT"], rows, [False, True, True]) if told else []
    left = [one for one in found if one not in told]
    most = max((one.bytes for one in left), default=0)
    folded = [f"and {_count(len(left), 'more zone')}, with {size(most)} or less each (--all)"] if left else []
    return [first, "", *lines, *folded]


PAIR_COLUMNS = (
    Column("shared", "SHARED", "what both zones map", lambda pair: pair.bytes, size=True),
    Column("zone", "ZONE", "one of the zones", lambda pair: pair.zones[0], left=True),
    Column("with", "WITH", "the other", lambda pair: pair.zones[1], left=True),
)
"""Of :class:`zonerss.answers.share.Pair`."""


class Row(NamedTuple):
    """What a zone that was asked for has in common with another."""

    usage: Usage
    neighbour: Neighbour


def own_columns(in_bytes: bool = False) -> tuple[Column, ...]:
    """Of :class:`Row`; in_bytes: sizes within WHAT."""
    return (
        Column("shared", "SHARED", "what both zones map", lambda row: row.neighbour.bytes, size=True),
        Column("zone", "ZONE", "the zone that was asked for", lambda row: row.usage.zone, left=True),
        Column("with", "WITH", "the other", lambda row: row.neighbour.zone, left=True),
        Column("what", "WHAT", "what it is", lambda row: _what(row.neighbour, in_bytes), left=True),
    )


def part_columns(holdings: Holdings, in_bytes: bool = False) -> tuple[Column, ...]:
    """Of :class:`zonerss.answers.share.SharedPart`; in_bytes: sizes within WHAT."""
    return (
        Column("size", "SIZE", "what exactly these zones map", lambda part: part.bytes, size=True),
        Column("by", "BY", "how many zones", lambda part: len(part.zones)),
        Column(
            "what",
            "WHAT",
            "what it is",
            lambda part: what_it_is(part, holdings.get(part.number), in_bytes),
            left=True,
        ),
        Column("zones", "ZONES", "the zones", lambda part: part.zones, left=True, text=some_names),
    )


MORE_PART_COLUMNS = (ANON, FILE, SHMEM)
"""What else can be asked for of a part."""


def named() -> int:
    """How many names stand in one cell: few where the terminal is narrow, rather than the rests of many."""
    width = here().width
    return 3 if width is None or width >= _WIDE else 1


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _what(neighbour: Neighbour, in_bytes: bool) -> str | None:
    return None if neighbour.holds is None else summary(neighbour.holds, "of a fork", named(), in_bytes)


def render_pairs(
    zones: Sequence[Usage],
    pairs: Sequence[Pair],
    pair_count: int,
    width: int,
    in_bytes: bool = False,
    heat: Sequence[Pair] = (),
) -> list[str]:
    """
    What each two zones both map.

    :param zones: largest first
    :param pairs: most first: those to show
    :param pair_count: how many there are
    :param width: columns of a terminal that shows colours; 0: there is none
    :param heat: further pairs for a heat map: those of the largest zones
    """
    room = (width - _LABEL - 5) // _CELL
    if len(zones) > 1 and room > 1 and pairs and not in_bytes:
        return _heat_map(zones, [*pairs, *heat], min(room, len(zones), HEAT_ZONES), width)
    if not pair_count:
        return ["No two zones map a page in common."]
    size = sizes(in_bytes)
    rows = [[size(pair.bytes), *map(printable, pair.zones)] for pair in pairs]
    lines = render_rows(["SHARED", "ZONE", "ZONE"], rows, [False, True, True]) if pairs else []
    left_out = pair_count - len(pairs)
    return [*lines, f"and {_count(left_out, 'more pair')} (--all)"] if left_out else lines


def _heat_map(zones: Sequence[Usage], pairs: Sequence[Pair], count: int, width: int) -> list[str]:
    from rich.console import Console
    from rich.text import Text

    shared = {pair.zones: pair.bytes for pair in pairs}
    shown = zones[:count]
    most = max(shared.values())
    lines = [Text(" " * (_LABEL + 4) + "".join(f"{n:>{_CELL}}" for n in range(1, count + 1)))]
    for number, one in enumerate(shown, 1):
        name = shorten(printable(one.zone), _LABEL - 1)
        line = Text(f"{number:>3} {name}{' ' * (_LABEL - cells(name))}")
        for other in shown:
            key = (one.zone, other.zone) if one.zone < other.zone else (other.zone, one.zone)
            size = one.rss_bytes if one is other else shared.get(key, 0)
            style = "dim" if one is other or not size else f"white on rgb{_colour(size / most)}"
            line.append(" ")
            line.append(f"{format_size(size) if size else '·':>{_CELL - 1}}", style=style)
        lines.append(line)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, highlight=False)
    for line in lines:
        console.print(line, no_wrap=True, crop=True)
    left_out = [f"and {counted(len(zones) - count, 'smaller zone')}"] if len(zones) > count else []
    return [*stream.getvalue().splitlines(), *left_out]


def _colour(heat: float) -> str:
    # the square root makes small values distinguishable: shades are perceived by ratio
    weight = heat**0.5
    mixed = (round(cold + (hot - cold) * weight) for cold, hot in zip(_COLD, _HOT, strict=True))
    return f"({','.join(map(str, mixed))})"


def render_parts(
    parts: Sequence[SharedPart],
    holdings: Holdings,
    in_bytes: bool = False,
    among: Sequence[SharedPart] | None = None,
) -> list[str]:
    """
    A table of parts: how much, what, and whose.

    :param among: all parts that there are; those that are not shown are folded into one line
    """
    size = sizes(in_bytes)
    rows = [
        [
            size(part.bytes),
            str(len(part.zones)),
            what_it_is(part, holdings.get(part.number), in_bytes),
            some_names(part.zones, named()),
        ]
        for part in parts
    ]
    lines = render_rows(["SIZE", "BY", "WHAT", "ZONES"], rows, [False, False, True, True]) if rows else []
    count = len(among or ()) - len(parts)
    if among is None or not count:
        return lines
    rest = sum(part.bytes for part in among) - sum(part.bytes for part in parts)
    return [*lines, f"and {size(rest)} in {_count(count, 'smaller part')} (--all)"]


def what_it_is(part: SharedPart, held: Sequence[Holding] | None, in_bytes: bool = False) -> str:
    """What a part holds, most first: private memory, and files by the last component of their names."""
    private = "of a fork" if len(part.owners) > 1 else "private"
    if held is not None:
        return summary(held, private, named(), in_bytes)
    found = [(part.anon_bytes, private), (part.file_bytes, "files"), (part.shmem_bytes, "shmem")]
    order = sorted((one for one in found if one[0]), key=lambda one: (-one[0], one[1]))
    return ", ".join(f"{sizes(in_bytes)(size)} {name}" for size, name in order)


def document(sharing: Sharing, limit: int | None = None) -> dict[str, Any]:
    """
    ``zonerss.sharing/1``: the parts, and what each two zones both map (docs/share.md).

    :param limit: so many parts and pairs; None: all that were looked for
    """
    snapshot = sharing.snapshot
    zones = {zone for part in sharing.parts for zone in part.zones} | {usage.zone for usage in snapshot.zones}
    quoted = {zone: json_name(zone) for zone in zones}
    own = {"own": [_own_fields(own, limit) for own in sharing.own]} if sharing.own else {}
    fields = {
        "total": usage_fields(snapshot.total),
        "zones": [usage_fields(usage) for usage in snapshot.zones],
        **own,
        "parts": [
            json_part(part, quoted, sharing.holdings.get(part.number)) for part in sharing.parts[:limit]
        ],
        "pair_count": sharing.pair_count,
        "pairs": [json_pair(pair, quoted) for pair in sharing.pairs[:limit]],
        "gaps": gap_list((*snapshot.gaps, *sharing.gaps)),
    }
    return Listing(header("zonerss.sharing/1", snapshot) | fields)


def _own_fields(own: Own, limit: int | None) -> dict[str, Any]:
    return {
        "zone": encodable(own.usage.zone),
        "rss_bytes": own.usage.rss_bytes,
        "exclusive_bytes": own.usage.exclusive_bytes,
        "shared_bytes": own.usage.shared_bytes,
        "neighbours": [
            {"zone": encodable(one.zone), "bytes": one.bytes, "holds": holding_fields(one.holds)}
            for one in own.neighbours[:limit]
        ],
    }


def json_name(zone: str) -> str:
    """A zone's name in JSON, with its quotes."""
    return json.dumps(encodable(zone))


def json_part(part: SharedPart, quoted: Mapping[str, str], held: Sequence[Holding] | None) -> Json:
    """A part for JSON. quoted: each zone's json_name(). holds is null where it was not looked up."""
    zones = ", ".join(map(quoted.__getitem__, part.zones))
    return Json(
        f'{{"zones": [{zones}], "bytes": {part.bytes}, "anon_bytes": {part.anon_bytes}, '
        f'"file_bytes": {part.file_bytes}, "shmem_bytes": {part.shmem_bytes}, '
        f'"holds": {json.dumps(_held_fields(part, held))}}}'
    )


def json_pair(pair: Pair, quoted: Mapping[str, str]) -> Json:
    """A pair for JSON."""
    (one, other), shared = pair
    return Json(f'{{"zones": [{quoted[one]}, {quoted[other]}], "bytes": {shared}}}')


def _held_fields(part: SharedPart, held: Sequence[Holding] | None) -> list[dict[str, Any]] | None:
    if held is None and part.anon_bytes == part.bytes:
        return [{"kind": "anon", "name": None, "bytes": part.anon_bytes}]
    return holding_fields(held)


def holding_fields(held: Sequence[Holding] | None) -> list[dict[str, Any]] | None:
    """What something holds, for JSON; None: it was not looked up."""
    if held is None:
        return None
    rows: list[dict[str, Any]] = []
    anon = sum(pages[Kind.ANON] for _, pages in held)
    for file, pages in held:
        count = rss_of(pages) - pages[Kind.ANON]
        if count:
            kind = file.kind if file else None
            name = encodable(file.name) if file else None
            rows.append({"kind": kind and str(kind), "name": name, "bytes": pages_to_bytes(count)})
    if anon:
        rows.append({"kind": "anon", "name": None, "bytes": pages_to_bytes(anon)})
    return sorted(rows, key=lambda row: (-row["bytes"], row["name"] or "", row["kind"] or ""))
