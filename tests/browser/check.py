"""See a page of ``zonerss report --html`` in a real browser.

    .venv/bin/python -m tests.browser.check [DIRECTORY]     # two pages; pictures are put into DIRECTORY
    .venv/bin/python -m tests.browser.check --large [ZONES [SNAPSHOTS]]     # how large a page is, and how soon it opens

It needs a browser, which no other test does (apt-get install chromium fonts-dejavu-core: 360 MB), and aiohttp of extra
``serve``. So it is no part of the suite; docs/report.md has what it said last. Each line is something that was looked
at; it ends with 1 where one of them does not hold. Recordings are made by hand, among them zones with hostile
names (tests/browser/recordings.py). No kernel is asked, nothing is measured of this host but the time.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from tests.browser.chromium import Tab, browser, find
from tests.browser.recordings import HOSTILE, ZONES, day, night
from zonerss.commands import main as zonerss
from zonerss.commands.report import read
from zonerss.units import format_size
from zonerss.views.html import page as page_module
from zonerss.views.text import printable

SIZES = (0, 1, 512, 1023, 1024, 1536, 10_188, 10_240, 1_048_064, 1_048_576, 104_805_171, 1 << 40)
"""KiB that the page's script and zonerss must show alike."""

LONG = "very-long-name-very-long-name-very-long-name-very-long-name"
"""Of a name of HOSTILE that is shortened in the table."""

REFUSED = """new Promise(done => {
  addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
  fetch('http://127.0.0.1:9/').catch(() => setTimeout(() => done('asked, and not answered'), 1000));
})"""
"""Which part of the policy refuses a request of a script."""
FILTERED = """(wanted => {
  const filter = document.getElementById('filter');
  filter.value = wanted;
  filter.dispatchEvent(new Event('input'));
  const shown = all => [...document.querySelectorAll(all)].filter(one => !one.hidden).length;
  const found = [shown('#table tbody tr'), shown('details.zone')];
  filter.value = '';
  filter.dispatchEvent(new Event('input'));
  return [...found, shown('details.zone')];
})"""
"""How many rows and sections are left of those that are filtered by some text, and how many there are without."""
TIP = """(() => {
  const place = document.querySelector('[data-chart=kinds]');
  echarts.getInstanceByDom(place).dispatchAction({type: 'showTip', x: place.clientWidth / 4, y: 80});
  return [...place.querySelectorAll('.tip b, .tip td:first-child')].map(one => one.textContent);
})()"""
"""What the tooltip of the machine's chart names."""
AWAY = """(() => {
  const found = [...document.querySelectorAll('details.zone')].find(
    one => one.querySelector('bdi').textContent === 'user-1000');
  found.open = true;
  const place = found.querySelector('[data-chart=zone]');
  place.scrollIntoView();
  return new Promise(done => setTimeout(() => {
    const chart = echarts.getInstanceByDom(place);
    done(chart.getOption().series[0].data.filter(point => point[1] === null).length);
  }, 1000));
})()"""
"""How often the line of a zone is broken that was away for a while, besides where snapshots are missing."""
CLOCK = """(data => {
  const unpacked = column => column;
  %s
  const { found, word } = marks(times[0], times.at(-1), 8);
  return [...found.map(word), clock(times[0]), clock(times.at(-1))];
})({times: [1792884600, 1792897200], offsets: [[1792884600, 7200], [1792890000, 3600]]})"""
"""The marks and the times of a chart over the end of summer time, 2026-10-25 in Berlin."""
CLOCK_SAID = [
    *("01:30", "02:00", "02:30", "02:00", "02:30", "03:00", "03:30", "04:00"),
    *("2026-10-25 01:30:00 +0200", "2026-10-25 04:00:00 +0100"),
]
FOREIGN = """(() => {
  const script = document.createElement('script');
  script.textContent = "document.title = 'taken'";
  document.head.append(script);
  return document.title;
})()"""
"""The title, after a script was put into the page that would change it."""


class Seen:
    """What was looked at."""

    def __init__(self) -> None:
        self.failed = 0

    def that(self, words: str, holds: bool, more: object = "") -> None:
        """A line."""
        self.failed += not holds
        print(f"{'yes' if holds else 'NO '}  {words}{'' if holds else f': {more}'}", flush=True)


def put(page: Path, *words: object) -> float:
    """Make a page; how many seconds of processor time that took."""
    began = time.process_time()
    with redirect_stdout(io.StringIO()):
        status = zonerss(["report", "--no-config", *map(str, words), "--html", str(page)])
    if status:
        raise SystemExit(f"zonerss report ended with {status}")
    return time.process_time() - began


async def settled(tab: Tab) -> None:
    """Until all that is in sight is drawn."""
    await tab.value("new Promise(done => requestAnimationFrame(() => setTimeout(done, 200)))")


async def drawn(tab: Tab, what: str) -> bool:
    """Whether a chart has more than its ground in it."""
    await tab.value(f"document.querySelector('[data-chart={what}]').scrollIntoView()")
    await settled(tab)
    colours = await tab.value(
        f"(() => {{ const canvas = document.querySelector('[data-chart={what}] canvas'); if (!canvas) return 0;"
        "const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        "return new Set(new Uint32Array(data.buffer)).size; })()"
    )
    return int(colours) > 8


def _script_of_times() -> str:
    """The part of the page's script that spells times."""
    script = (Path(page_module.__file__).parent / "page.js").read_text()
    return script[script.index("  const times = unpacked") : script.index("  const shortened =")]


def _script_of_sizes() -> str:
    """The part of the page's script that spells sizes."""
    script = (Path(page_module.__file__).parent / "page.js").read_text()
    return script[script.index("  const UNITS") : script.index("  // Times are shown")]


async def look_at(seen: Seen, page: Path, names: Sequence[str], pictures: Path | None) -> None:
    """A page with all that a reader may do to it."""
    async with browser() as tab:
        await tab.look(1280, 900)
        await tab.open(page.as_uri())
        await settled(tab)
        for what in ("kinds", "layers", "treemap", "heat", "zone"):
            seen.that(f"the chart {what!r} is drawn", await drawn(tab, what))
        text = await tab.value("document.querySelector('main').textContent")
        missing = [name for name in names if name not in text]
        seen.that(f"the names of all {len(names)} zones are there as text", not missing, missing)
        strangers = await tab.value(
            "document.querySelectorAll('img, iframe, main script, main style').length"
        )
        seen.that("no name became an element", strangers == 0, strangers)
        seen.that("the title is ours", await tab.value("document.title") == "zonerss: vm")
        sizes = await tab.value(f"(() => {{ {_script_of_sizes()} return {list(SIZES)}.map(size); }})()")
        seen.that("sizes are spelled as in text", sizes == [format_size(kib * 1024) for kib in SIZES], sizes)
        seen.that(
            "the filter knows whole names", await tab.value(f"{FILTERED}('{LONG}')") == [1, 1, len(names)]
        )
        await tab.value("document.querySelector('[data-chart=kinds]').scrollIntoView()")
        await settled(tab)
        named = await tab.value(TIP)
        seen.that(
            "a tooltip names each kind, and the bound once",
            named[1:] == ["RSS", "anon", "file", "shmem", "±"] and named[0].endswith(" +0000"),
            named,
        )
        broken = await tab.value(AWAY)
        seen.that(
            "the line of a zone that was away is broken there, and where nothing is known",
            broken == 2,
            broken,
        )
        if pictures:
            await tab.picture(pictures / f"{page.stem}-away.png", 900, await tab.value("scrollY"))
        said = await tab.value(CLOCK % _script_of_times())
        seen.that("over a change of the clock each time has its own offset", said == CLOCK_SAID, said)
        for width, height in ((1280, 900), (400, 800)):
            for dark in (False, True):
                await tab.look(width, height, dark)
                await settled(tab)
                wide = await tab.value("document.documentElement.scrollWidth")
                seen.that(
                    f"at {width} px, {'dark' if dark else 'light'}, nothing is wider", wide <= width, wide
                )
                if pictures:
                    await tab.value("scrollTo(0, 0)")
                    await settled(tab)
                    name = f"{page.stem}-{width}-{'dark' if dark else 'light'}.png"
                    await tab.picture(pictures / name, 2200)
        await tab.look(1280, 900)
        before = await tab.value("getComputedStyle(document.body).backgroundColor")
        await tab.value("document.getElementById('theme').click()")
        after = await tab.value("getComputedStyle(document.body).backgroundColor")
        seen.that("the button turns the theme", before != after, before)
        with tempfile.TemporaryDirectory() as place:
            paper = (pictures or Path(place)) / f"{page.stem}.pdf"
            await tab.print(paper)
            seen.that("it can be printed", paper.stat().st_size > 100_000)
        seen.that(
            "after printing no picture is left", await tab.value("document.querySelector('.still') === null")
        )
        errors = list(tab.errors)
        seen.that("the console has no error", not errors, errors)
        seen.that("no host was asked for anything", not tab.requests, tab.requests)
        seen.that("the policy refuses a request", await tab.value(REFUSED) == "connect-src")
        seen.that("and a script that is not the page's", await tab.value(FOREIGN) == "zonerss: vm")
    async with browser(scripts=False) as tab:
        await tab.look(1280, 900)
        await tab.open(page.as_uri())
        await asyncio.sleep(1)
        tree = await tab.call("Page.getLayoutMetrics")
        seen.that("without scripts there is a page", tree["cssContentSize"]["height"] > 1500, tree)
        if pictures:
            await tab.picture(pictures / f"{page.stem}-without-scripts.png", 1600)
        seen.that("nor are there errors then", not tab.errors, tab.errors)


async def opens(page: Path) -> tuple[float, float, float, float]:
    """
    Seconds until a page is loaded, and of its thread's processor time until then; likewise until its first chart is
    drawn.
    """

    async def worked() -> float:
        found = await tab.call("Performance.getMetrics")
        return float(next(one["value"] for one in found["metrics"] if one["name"] == "TaskDuration"))

    async with browser() as tab:
        await tab.look(1280, 900)
        await tab.call("Performance.enable", timeDomain="threadTicks")
        began = time.monotonic()
        await tab.open(page.as_uri())
        loaded, worked_then = time.monotonic() - began, await worked()
        await tab.value("document.querySelector('[data-chart=kinds]').scrollIntoView()")
        await settled(tab)
        ready, worked_at_last = time.monotonic() - began, await worked()
        if not await tab.value("document.querySelectorAll('[data-chart=kinds] canvas').length"):
            raise SystemExit("the first chart is not drawn")
        if tab.errors or tab.requests:
            raise SystemExit(f"errors: {tab.errors}, requests: {tab.requests}")
        return loaded, worked_then, ready, worked_at_last


def large(zones: int = 1000, snapshots: int = 240) -> None:
    """Print how large a page of so many zones is, and how soon it opens."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("ZONERSS_BENCH_DIR")) as directory:
        recording, page = Path(directory) / "day.zrec", Path(directory) / "day.html"
        day(recording, zones, snapshots)
        taken = put(page, recording)
        megabytes = page.stat().st_size / 1e6
        print(f"{zones} zones, {snapshots} snapshots of a day: {megabytes:.1f} MB")
        print(f"made in {taken:.1f} s of processor time", flush=True)
        for _ in range(3):
            loaded, loading, ready, worked = asyncio.run(opens(page))
            print(
                f"loaded in {loaded:.1f} s, of which its thread worked {loading:.1f} s; its first chart "
                f"scrolled to and drawn after {ready:.1f} s, of which {worked:.1f} s; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def main() -> int:
    """See two pages, one of a night and one of two recordings; or how a large one does."""
    find()  # before recordings are made, which takes minutes
    if sys.argv[1:2] == ["--large"]:
        large(*map(int, sys.argv[2:]))
        return 0
    pictures = Path(sys.argv[1]) if sys.argv[1:] else None
    seen = Seen()
    with tempfile.TemporaryDirectory() as directory:
        before, after = Path(directory) / "before.zrec", Path(directory) / "night.zrec"
        night(before, ZONES, 60, seed=2)
        night(after)
        names = [printable(zone.usage.zone, "utf-8") for zone in read(str(after), "zone").zones]
        if not {printable(name, "utf-8") for name in HOSTILE} <= set(names):
            raise SystemExit("the recording lacks hostile names")
        for page, recordings in (("night", [after]), ("two", [before, after])):
            print(f"--- {page}")
            file = Path(directory) / f"{page}.html"
            put(file, *recordings)
            asyncio.run(look_at(seen, file, names, pictures))
    print(f"{seen.failed} do not hold" if seen.failed else "all of it holds")
    return 1 if seen.failed else 0


if __name__ == "__main__":
    sys.exit(main())
