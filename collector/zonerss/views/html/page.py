"""The page of ``zonerss report --html``: one document that asks nobody for anything. Pure: records in, text out.

It has ECharts, one stylesheet and one script of ours inside, and a policy that lets a browser run these three by their
hashes, and do nothing else: no request to any host. All figures are in tables, for print and for readers without
scripts; charts are drawn from the same ones.

Source: HTML Living Standard; CSP Level 3; WCAG 2.2 (1.1.1, 1.3.1, 1.4.3, 1.4.10).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from string import Template

from zonerss.answers.closeup import Closeup
from zonerss.answers.conditions import Held
from zonerss.answers.report import Compared, Report
from zonerss.views.html import sections, tables, zones
from zonerss.views.html.elements import NOTHING, Markup, data, joined, tag, text
from zonerss.views.html.series import charts
from zonerss.views.terminal import PLAIN, printing_to

_HERE = Path(__file__).parent
ECHARTS = _HERE.parents[1] / "vendor" / "echarts"
"""As packaging/echarts/fetch has put it there."""


def render(
    report: Report,
    closeup: Closeup | None = None,
    conditions: Sequence[Held] = (),
    before: Report | None = None,
    rows: Sequence[Compared] | None = None,
    limit: int | None = None,
    in_bytes: bool = False,
) -> str:
    """
    The whole page.

    :param closeup: of its last snapshot; None: that cannot be read with all that was kept of it
    :param conditions: of --fail-on, and what came of them
    :param before: the recording that it is compared with
    :param rows: the zones of both, worst growth first
    :param limit: only the first so many zones, and processes
    :param in_bytes: whole bytes instead of K, M and G
    """
    with printing_to(PLAIN):
        shown = report.zones[:limit]
        parts = [
            sections.machine(report, closeup, in_bytes),
            sections.held(conditions),
            sections.compared(rows, before, limit, in_bytes),
            sections.verdicts(shown),
            sections.over_time(report, in_bytes),
            sections.where(closeup, in_bytes, limit),
            sections.sharing(closeup, in_bytes),
            tables.of_zones(report, shown, in_bytes),
            zones.each(report, shown, closeup, in_bytes),
            tables.numbers(shown, closeup, in_bytes),
            tables.processes(report, limit, in_bytes),
            sections.remarks_of(report, closeup),
        ]
        return _template().substitute(
            policy=tag("meta", http_equiv="Content-Security-Policy", content=policy()),
            title=text(_title(report)),
            style=_own("page.css"),
            heading=sections.heading(report),
            navigation=_navigation(parts),
            body=joined(filter(None, parts), "\n"),
            data=data(charts(report, closeup, shown)),
            echarts=_echarts(),
            script=_own("page.js"),
        )


def _title(report: Report) -> str:
    return f"zonerss: {report.host_name}" if report.host_name else "zonerss"


def _navigation(parts: Sequence[Markup]) -> Markup:
    """Links to those sections that there are."""
    links = [
        tag("a", text(title), href=f"#{name}")
        for name, title in sections.TITLES.items()
        if any(part.startswith(f'<section id="{name}"') for part in parts)
    ]
    return joined(links) if links else NOTHING


@cache
def _template() -> Template:
    return Template((_HERE / "page.html").read_text("utf-8"))


@cache
def _own(file: str) -> str:
    return (_HERE / file).read_text("utf-8")


@cache
def _echarts() -> str:
    return (ECHARTS / "echarts.min.js").read_text("utf-8")


@cache
def policy() -> str:
    """
    Content-Security-Policy of the page.

    Images are those in the page itself; a browser asks a host for an icon unless the page has one.
    """
    scripts = " ".join(map(_hash, (_echarts(), _own("page.js"))))
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src {_hash(_own('page.css'))}; script-src {scripts}"
    )


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
