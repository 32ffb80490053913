"""All about one zone on one page, as text and as a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zonerss.answers.zone import Page
from zonerss.plain import asdict
from zonerss.records import MAPCOUNT_CLASSES, Mapcounts, Usage
from zonerss.units import counted, format_percent
from zonerss.views.advice import advise
from zonerss.views.bars import GLYPHS, bar
from zonerss.views.columns import (
    EXCLUSIVE,
    PID,
    PROPORTIONAL,
    RSS,
    USED,
    args_column,
    sizes,
    times_text,
    user_column,
)
from zonerss.views.document import gap_list, header, mapcount_fields, process_fields, usage_fields
from zonerss.views.explain import chain as chain_view
from zonerss.views.files import file_fields, render_files
from zonerss.views.past import as_of
from zonerss.views.screen import speed_text
from zonerss.views.table import render_rows, render_table
from zonerss.views.terminal import PLAIN, Style
from zonerss.views.text import encodable, fit, printable, shorten

if TYPE_CHECKING:
    from zonerss.cap.status import ZoneForecast

SHOWN = 5
"""Rows of each table of the page."""
_BAR = 40


def render(
    page: Page,
    width: int | None = None,
    style: Style = PLAIN.style,
    *,
    most: int = SHOWN,
    in_bytes: bool = False,
    forecast: ZoneForecast | None = None,
) -> list[str]:
    """
    The page.

    :param width: columns of the terminal; None: no limit, and no bar
    :param most: rows of each table
    :param forecast: what could be had of it, where it has a cap
    """
    size = sizes(in_bytes)
    blocks = [
        _title(page, width, style),
        _memory(page, width, style, size),
        _bill(page, width, style, size),
        _verdict(page),
        _cap(forecast, width, style, in_bytes),
        _processes(page, width, most, in_bytes),
        _files(page, width, most, in_bytes),
        _sharers(page, width, most, size),
        as_of(page.snapshot),
    ]
    lines: list[str] = []
    for block in blocks:
        lines += [*([""] if lines and block else []), *block]
    return list(fit(lines, width))


def _title(page: Page, width: int | None, style: Style) -> list[str]:
    usage = page.usage
    rest = f"  {usage.kind}, {counted(usage.processes, 'process', 'processes')}"
    name = printable(usage.zone)
    if width is not None:
        name = shorten(name, max(width - len(rest), 8))
    lines = [style.paint(name, "zone") + rest]
    if usage.cgroup is not None and usage.cgroup != usage.zone:
        cgroup = f"cgroup {printable(usage.cgroup)}"
        lines.append(style.paint(cgroup if width is None else shorten(cgroup, width), "dim"))
    if (age := round(page.details_age_seconds)) > 0:
        lines.append(style.paint(f"The bill, files and MAP1 are of {age} s ago.", "dim"))
    return lines


def _memory(page: Page, width: int | None, style: Style, size: Callable[[int | None], str]) -> list[str]:
    usage = page.usage
    kinds = f"anon {size(usage.anon_bytes)}, file {size(usage.file_bytes)}, shmem {size(usage.shmem_bytes)}"
    if width is not None:
        room = max(width - 28, 0)
        kinds = f"{bar(usage, usage.rss_bytes, min(room, _BAR), style)}"
    sharers = len(page.shared_with)
    others = "1 other zone maps it" if sharers == 1 else f"{sharers} other zones map some of it"
    rows = [["RSS", size(usage.rss_bytes), kinds]]
    if width is not None:
        rows += [
            ["", size(getattr(usage, f"{kind}_bytes")), f"{kind} {glyph}: {_KINDS[kind]}"]
            for kind, glyph in GLYPHS.items()
        ]
    rows += [
        ["EXCL", size(usage.exclusive_bytes), "no other zone maps it"],
        ["SHARED", size(usage.shared_bytes), others if sharers else "no other zone maps any of it"],
        ["PROP", size(usage.proportional_bytes), "each page divided by the number of zones that map it"],
        ["PSRSS", size(usage.process_rss_bytes), "what ps adds up to: a shared page once for each process"],
    ]
    if page.mapcounts is not None:
        rows.append(["MAP1", size(page.mapcounts.classes_bytes[0]), _mapped(page.mapcounts, size)])
    rows += [["SWAP", size(usage.swap_bytes), "in swap"]] if usage.swap_bytes else []
    rows += [["HUGETLB", size(usage.hugetlb_bytes), "huge pages of a pool"]] if usage.hugetlb_bytes else []
    if usage.uncertainty_bytes is not None:
        rows.append(["±", size(usage.uncertainty_bytes), "how far RSS can be off, because processes go on"])
    if page.growth is not None:
        rows.append(["GROWS", speed_text(page.growth), "over the latest looks"])
    return _facts(rows, width)


def _mapped(mapcounts: Mapcounts, size: Callable[[int | None], str]) -> str:
    """What of the rest is mapped how often."""
    classes = zip(MAPCOUNT_CLASSES[1:], mapcounts.classes_bytes[1:], strict=True)
    told = [f"{size(found)} {times_text(least, most)} times" for (least, most), found in classes if found]
    told += [f"{size(mapcounts.unknown_bytes)} nobody knows how often"] if mapcounts.unknown_bytes else []
    return "mapped once on the whole machine" + (f"; {', '.join(told)}" if told else "")


_KINDS = {
    "anon": "private memory that no file backs",
    "file": "files",
    "shmem": "tmpfs, memfd, shared memory",
}


def _facts(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Rows of name, figure and sentence, without headers."""
    return render_rows(["", "", ""], rows, [True, False, True], prose=True, width=width)[1:]


def _bill(page: Page, width: int | None, style: Style, size: Callable[[int | None], str]) -> list[str]:
    usage, bill = page.usage, page.bill
    if usage.charged_bytes is None:
        return ["It has no bill of its own: it is no cgroup that the memory controller charges."]
    charged = usage.charged_bytes if bill is None else bill.charged
    rows = [["CHARGED", size(charged), _limits(usage, size)]]
    if bill is not None:
        rows += [
            ["", size(bill.mapped), "mapped" + _of_others(bill.paid_for_others, size)],
            ["", size(bill.cache), "page cache and tmpfs that nobody maps"],
            ["", size(bill.kernel), "kernel memory"],
        ]
        if abs(bill.other) >= max(charged // 100, 1):
            rows.append(["", size(bill.other), "other, or not explained"])
        if bill.paid_by_others:
            rows.append(["", size(bill.paid_by_others), "beside the bill: it maps this, and others pay"])
    if usage.oom_kills:
        rows.append(["KILLS", str(usage.oom_kills), "processes killed for want of memory (OOM)"])
    if usage.pressure_some is not None:
        full = "–" if usage.pressure_full is None else f"{usage.pressure_full:.1f}%"
        says = f"of the latest 10 s some task waited for memory; all waited: {full}"
        rows.append(["PRESSURE", f"{usage.pressure_some:.1f}%", says])
    lines = _facts(rows, width)
    percent = USED.value(usage) or 0
    if percent >= 75:
        lines[0] = style.paint(lines[0], "alarm" if percent >= 90 else "warning")
    return lines


def _verdict(page: Page) -> list[str]:
    if page.verdict is None or page.verdict.word is None:
        return []
    from zonerss.views.report import verdict_lines

    first, *rest = verdict_lines(page.verdict)
    return [f"Is it a leak? {first}", *rest]


def _cap(found: ZoneForecast | None, width: int | None, style: Style, in_bytes: bool) -> list[str]:
    if found is None:
        return []
    from zonerss.views.cap import forecast_text

    rows = [["CAP", sizes(in_bytes)(found.cap_bytes), f"{forecast_text(found, in_bytes)}."]]
    lines = _facts(rows, width)
    if found.excess_bytes:
        lines[0] = style.paint(lines[0], "warning")
    return lines


def _of_others(paid: int, size: Callable[[int | None], str]) -> str:
    return f", {size(paid)} of it only by other zones" if paid else ""


def _limits(usage: Usage, size: Callable[[int | None], str]) -> str:
    if usage.limit_bytes is None:
        text = "the kernel's bill; no limit"
    else:
        share = format_percent(usage.charged_bytes or 0, usage.limit_bytes)
        text = f"the kernel's bill, {share} of its limit of {size(usage.limit_bytes)}"
    return text if usage.high_bytes is None else f"{text}; slowed down from {size(usage.high_bytes)}"


def _processes(page: Page, width: int | None, most: int, in_bytes: bool) -> list[str]:
    columns = (PID, RSS, EXCLUSIVE, PROPORTIONAL, user_column(page.users), args_column(page.arguments))
    lines = render_table(columns, page.processes[:most], in_bytes, width)
    return [*lines, *_more(page, len(page.processes) - most, ("process", "processes"), "ps", width)]


def _files(page: Page, width: int | None, most: int, in_bytes: bool) -> list[str]:
    if page.files is None:
        return ["Files: not recorded."]
    if not page.files:
        return []
    lines = render_files(page.files[:most], page.usage.zone, in_bytes, width)
    return [*lines, *_more(page, len(page.files) - most, ("file", "files"), "files", width)]


def _sharers(page: Page, width: int | None, most: int, size: Callable[[int | None], str]) -> list[str]:
    if not page.shared_with:
        return []
    rows = [[size(count), printable(name)] for name, count in page.shared_with[:most]]
    lines = render_rows(["SHARED", "WITH"], rows, [False, True], width=width)
    return [*lines, *_more(page, len(page.shared_with) - most, ("zone", "zones"), "share", width)]


def _more(page: Page, count: int, words: tuple[str, str], verb: str, width: int | None) -> list[str]:
    """How many rows were left out, and the command that shows all."""
    if count <= 0:
        return []
    one, many = words
    lead = f"and {counted(count, f'more {one}', f'more {many}')}"
    return advise(lead, verb, page.usage.zone, page.snapshot, width)


def document(
    pages: Sequence[Page], most: int | None = None, forecasts: Mapping[str, ZoneForecast] | None = None
) -> dict[str, Any]:
    """
    ``zonerss.zone/1``: all about some zones, from one snapshot (docs/zone.md).

    :param pages: at least one, all of one snapshot
    :param most: rows of each list; None: all
    :param forecasts: what could be had of those that have a cap, by their names
    """
    gaps = dict.fromkeys((*pages[0].snapshot.gaps, *(gap for page in pages for gap in page.gaps)))
    return header("zonerss.zone/1", pages[0].snapshot) | {
        "zones": [
            {**_fields(page, most), "forecast": _forecast_fields((forecasts or {}).get(page.usage.zone))}
            for page in pages
        ],
        "gaps": gap_list(gaps),
    }


def _fields(page: Page, most: int | None) -> dict[str, Any]:
    chain, bill = page.chain, page.bill
    return usage_fields(page.usage) | {
        "bill": None if bill is None else {f"{name}_bytes": size for name, size in asdict(bill).items()},
        "steps": [] if chain is None else [chain_view.step_fields(step) for step in chain.steps],
        "residual_bytes": None if chain is None else chain.residual_bytes,
        "residual_bound_bytes": None if chain is None else chain.residual_bound_bytes,
        "growth_bytes_per_minute": None if page.growth is None else round(page.growth),
        "verdict": _verdict_fields(page),
        "largest_processes": [
            process_fields(process) | {"args": _arguments(page, process.pid)}
            for process in page.processes[:most]
        ],
        "largest_files": None if page.files is None else [file_fields(usage) for usage in page.files[:most]],
        "shared_with": [{"zone": encodable(name), "bytes": size} for name, size in page.shared_with[:most]],
        **mapcount_fields(page.mapcounts),
    }


def _verdict_fields(page: Page) -> dict[str, Any] | None:
    if page.verdict is None:
        return None
    from zonerss.views.report import culprit_fields, met_fields, verdict_fields

    found = page.verdict
    return verdict_fields(found) | culprit_fields(found) | {"meets": met_fields(found.meets)}


def _forecast_fields(found: ZoneForecast | None) -> dict[str, Any] | None:
    if found is None:
        return None
    from zonerss.views.cap import forecast_fields

    return forecast_fields(found)


def _arguments(page: Page, pid: int) -> list[str] | None:
    line = page.arguments.get(pid)
    return None if line is None else list(map(encodable, line))
