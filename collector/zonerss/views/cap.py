"""Caps: zonememstat's table, rcapstat's table of what was done since the last one, what can be had, or a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zonerss.cap.status import Status, ZoneForecast, ZoneStatus
from zonerss.plain import asdict
from zonerss.units import PAGE_BYTES, counted, format_percent
from zonerss.views.columns import ZONE, Column, cell, sizes
from zonerss.views.document import Listing
from zonerss.views.table import render_rows
from zonerss.views.terminal import here
from zonerss.views.text import encodable, fit, printable

_MOST_SHARERS = 3
Size = Callable[[int | None], str]


# ---- the tables ------------------------------------------------------------------------------------------------


def _size(name: str, header: str, help: str) -> Column:
    return Column(name, header, help, lambda record: getattr(record, f"{name}_bytes"), size=True)


CAP = _size("cap", "CAP", "what its rss is held under")
NOVER = Column("nover", "NOVER", "how often it went over its cap", lambda record: record.nover)
POUT = _size("pout", "POUT", "what left its memory because of its cap, in all")
SWAP_PERCENT = Column(
    "swap_percent",
    "SWAP%",
    "of all swap: what it has",
    lambda record: record.swap_percent,
    text=lambda percent: f"{percent:.2f}",
)
EXCESS = _size("excess", "EXCESS", "rss above the cap")
COLD = _size("cold", "COLD", "of rss: it alone maps it, once, and has not touched it for --cold")
REFAULT = _size("refault", "REFAULT", "of what left: came back within 5 s, in all")
WORKING_SET = _size("working_set", "WSET", "of rss: all that is not known to be cold")
_LAST = Column(
    "last_action",
    "LAST ACTION",
    "what was done or found last, and why",
    lambda record: record.last_action or None,
    left=True,
)
COLUMNS = (ZONE, CAP, NOVER, POUT, SWAP_PERCENT, EXCESS, COLD, REFAULT, _LAST)
"""Of zonememstat's table, beside RSS."""


def _rss(zone: ZoneStatus, size: Size) -> str:
    """What it is, or what it is at most where no walk was needed, or a walk could not read all of it."""
    if zone.rss_bytes is None and zone.bound_bytes is not None:
        return f"≤{size(zone.bound_bytes)}"
    return size(zone.rss_bytes)


def render(status: Status, in_bytes: bool = False) -> list[str]:
    """zonememstat's table, what could be had of each zone that is over, and the last lines."""
    size = sizes(in_bytes)
    headers = ["ZONE", "RSS", *(column.header for column in COLUMNS[1:])]
    rows = [
        [
            cell(ZONE, zone),
            _rss(zone, size),
            *(cell(column, zone, in_bytes) for column in COLUMNS[1:]),
        ]
        for zone in status.zones
    ]
    lines = _table(headers, rows)
    over = [zone for zone in status.zones if zone.forecast is not None and zone.excess_bytes]
    for zone in over:
        if zone.forecast is not None:
            lines += ["", *_sentence(f"{printable(zone.zone)}: {forecast_text(zone.forecast, in_bytes)}.")]
    return [*lines, "", *last_lines(status, in_bytes)]


def render_since(status: Status, before: Status | None, in_bytes: bool = False) -> list[str]:
    """
    rcapstat's table: what was tried (AT) and what left (PG) since the last one, and what of it came back.

    :param before: the last one; None: since the start
    """
    size = sizes(in_bytes)
    was = {zone.zone: zone for zone in before.zones} if before and before.began == status.began else {}
    headers = ["ZONE", "RSS", "CAP", "AT", "PG", "BACK", "LAST ACTION"]
    rows = [
        [
            cell(ZONE, zone),
            _rss(zone, size),
            size(zone.cap_bytes),
            *(size(amount) for amount in _since(zone, was.get(zone.zone))),
            cell(_LAST, zone),
        ]
        for zone in status.zones
    ]
    return [*_table(headers, rows), *last_lines(status, in_bytes)]


def _since(zone: ZoneStatus, before: ZoneStatus | None) -> tuple[int, int, int]:
    now = (zone.asked_bytes, zone.pout_bytes, zone.refault_bytes)
    if before is None:
        return now
    was = (before.asked_bytes, before.pout_bytes, before.refault_bytes)
    return now if now < was else (now[0] - was[0], now[1] - was[1], now[2] - was[2])


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    left = [name in ("ZONE", "LAST ACTION") for name in headers]
    return render_rows(headers, rows, left, prose=True, width=here().width)


def _sentence(text: str) -> list[str]:
    return list(fit([text], here().width))


def last_lines(status: Status, in_bytes: bool = False) -> list[str]:
    """What holds for all zones: whether it acts, how much of the machine is in use, what is wrong."""
    size = sizes(in_bytes)
    over = sum(1 for zone in status.zones if zone.excess_bytes)
    unknown = sum(1 for zone in status.zones if zone.excess_bytes is None)
    used = format_percent(status.used_bytes, status.memory_bytes)
    text = f"{counted(len(status.zones), 'zone')} under a cap, {over} over{f', {unknown} not known' * bool(unknown)}. "
    text += f"{used} of {size(status.memory_bytes)} of memory is in use"
    text += f"; nothing is done below {100 * status.threshold:.0f}%. " if status.threshold else ". "
    text += f"Swap: {size(status.swap_free_bytes)} of {size(status.swap_total_bytes)} is free." * bool(
        status.swap_total_bytes
    )
    lines = [text.strip()]
    if not status.enforce:
        lines.append("A dry run: nothing is paged out without --enforce.")
    lines += [f"{printable(warning.text)}." for warning in status.warnings]
    return [line for text in lines for line in _sentence(text)]


# ---- what can be had -------------------------------------------------------------------------------------------


def forecast_text(found: ZoneForecast, in_bytes: bool = False) -> str:
    """
    What can be had of a zone, and what cannot and why: a sentence without its end.

    ``over by 202M; can be had without pain 251M (201M anon into 900M of swap, 50M file); 100M is shared with db and
    cannot be had here; working set 351M``
    """
    size = sizes(in_bytes)
    if found.excess_bytes:
        parts = [f"over by {size(found.excess_bytes)}"]
    else:
        parts = [f"not over: {size(found.rss_bytes)} of {size(found.cap_bytes)}"]
    parts.append(_to_be_had(found, size))
    if found.shared_bytes:
        sharers = _names([shared.zone for shared in found.shared_with])
        parts.append(f"{size(found.shared_bytes)} is shared with {sharers} and cannot be had here")
    if kept := found.several_bytes - found.reclaimable_bytes:
        why = f" ({printable(found.not_reclaimed)})" if found.not_reclaimed else ""
        parts.append(f"{size(kept)} is mapped by several of its processes and cannot be had{why}")
    if found.locked_bytes:
        parts.append(f"{size(found.locked_bytes)} is locked")
    swapless = found.own_anon_bytes + found.own_shmem_bytes
    if swapless and not found.swap_room_bytes:
        parts.append(f"{size(swapless)} is anon or shmem, and there is no free swap for it")
    if found.working_set_bytes is not None:
        above = ", which is above the cap" if found.working_set_bytes > found.cap_bytes else ""
        parts.append(f"working set {size(found.working_set_bytes)}{above}")
    return "; ".join(parts)


def _to_be_had(found: ZoneForecast, size: Size) -> str:
    if found.painless_bytes is None:
        at_most = (found.at_most_anon_bytes, found.at_most_file_bytes, found.at_most_shmem_bytes)
        return f"at most {_amounts(found.at_most_bytes, at_most, 0, found, size)} can be had: coldness was not measured"
    if not found.painless_bytes:
        return "nothing can be had without pain"
    kinds = (found.painless_anon_bytes or 0, found.painless_file_bytes or 0, found.painless_shmem_bytes or 0)
    amounts = _amounts(found.painless_bytes, kinds, found.reclaimable_bytes, found, size)
    short = f", {size(found.short_bytes)} less than wanted" if found.short_bytes else ""
    return f"can be had without pain {amounts}{short}"


def _amounts(
    total: int, kinds: tuple[int, int, int], reclaimable: int, found: ZoneForecast, size: Size
) -> str:
    anon, file, shmem = kinds
    swap = f" into {size(found.swap_room_bytes)} of swap"
    parts = [f"{size(anon)} anon{swap}"] if anon else []
    parts += [f"{size(shmem)} shmem{'' if anon else swap}"] if shmem else []
    parts += [f"{size(file)} file"] if file else []
    parts += [f"{size(reclaimable)} by memory.reclaim"] if reclaimable else []
    return f"{size(total)} ({', '.join(parts)})" if parts else size(total)


def _names(zones: Sequence[str]) -> str:
    names = [printable(zone) for zone in zones[:_MOST_SHARERS]]
    more = len(zones) - len(names)
    if more > 0:
        return f"{', '.join(names)} and {counted(more, 'other zone')}"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "other zones"


# ---- the document ----------------------------------------------------------------------------------------------


def document(status: Status) -> dict[str, Any]:
    """``zonerss.cap/1`` (docs/cap.md)."""
    return Listing(
        {
            "schema": "zonerss.cap/1",
            "began": status.began,
            "ended": status.ended,
            "pid": status.pid,
            "enforce": status.enforce,
            "by": status.by,
            "page_size": PAGE_BYTES,
            "cold_seconds": status.cold_seconds,
            "threshold": status.threshold,
            "machine": {
                "memory_bytes": status.memory_bytes,
                "used_bytes": status.used_bytes,
                "swap_bytes": status.swap_total_bytes,
                "swap_free_bytes": status.swap_free_bytes,
            },
            "warnings": [
                {"name": warning.name, "text": encodable(warning.text)} for warning in status.warnings
            ],
            "zones": [zone_fields(zone) for zone in status.zones],
        }
    )


def zone_fields(zone: ZoneStatus) -> dict[str, Any]:
    """A zone under a cap."""
    fields = asdict(zone)
    return fields | {
        "zone": encodable(zone.zone),
        "cgroup": None if zone.cgroup is None else encodable(zone.cgroup),
        "last_action": encodable(zone.last_action),
        "origin": encodable(zone.origin),
        "forecast": None if zone.forecast is None else forecast_fields(zone.forecast),
    }


def forecast_fields(found: ZoneForecast) -> dict[str, Any]:
    """What can be had of a zone, with the sentence for people."""
    fields: Mapping[str, Any] = asdict(found)
    return {
        "text": encodable(forecast_text(found)),
        **fields,
        "shared_with": [
            {"zone": encodable(shared.zone), "bytes": shared.bytes} for shared in found.shared_with
        ],
    }
