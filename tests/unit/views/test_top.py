"""top: its rows and lines, and its screen, every key of it, driven by textual's pilot."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.builders import KIB, process, snapshot, usage

from zonerss.census.tree import TreeNode
from zonerss.errors import CannotServe
from zonerss.views.columns import RSS
from zonerss.views.top import (
    History,
    Look,
    Mode,
    batch_lines,
    headline,
    process_lines,
    sharing_lines,
    shown_columns,
    sparkline,
    tree_lines,
    zone_rows,
)

NASTY = "bad\x1b[2J[red]name[/]"


def of_two(first: int = 100, second: int = 50, **fields):
    return snapshot(
        usage("web", anon_bytes=first * KIB, uncertainty_bytes=0),
        usage(NASTY, anon_bytes=second * KIB, uncertainty_bytes=17 * KIB, processes=1),
        uncertainty="traced",
        **fields,
    )


def test_bars_go_from_0_to_the_largest():
    assert sparkline((0, 50, 100)) == "▁▅█"
    assert sparkline(()) == ""
    assert sparkline((0, 0)) == "▁▁"


def test_a_trend_is_as_long_as_the_zone_was_there():
    history = History(length=3)
    for first in (10, 20, 30, 40):
        history.add(of_two(first))
    assert len(history.trend("web")) == 3
    assert history.trend("web")[-1] == "█"
    assert history.trend("unknown") == ""
    history.add(snapshot(usage("db")))
    assert history.trend("web") == ""


def test_rows_are_sorted_and_filtered_whatever_the_case():
    rows = zone_rows(of_two(), History(), RSS)
    assert [row.zone for row in rows] == ["web", NASTY]
    assert [row.zone for row in zone_rows(of_two(), History(), RSS, "WE")] == ["web"]


def test_churn_is_a_rate():
    rows = zone_rows(of_two(), History(), RSS)
    assert rows[0].churn_bytes == 0
    assert rows[1].churn_bytes == pytest.approx(17 * KIB / 0.017)
    assert zone_rows(snapshot(), History(), RSS)[0].churn_bytes is None


def test_a_batch_is_a_table_and_a_last_line():
    assert batch_lines(of_two(), History(), RSS, None) == [
        "PROCS   RSS     ±  CHURN/s  EXCL  SHARED  ZONE",
        "    3  138K    ±0       0K   41K     97K  web",
        "    1   88K  ±17K    1000K   41K     47K  bad\\x1b[2J[red]name[/]",
        f"Total: {headline(of_two(), RSS)}",
        "",
    ]


def test_fewer_columns_in_less_room():
    names = [column.name for column in shown_columns(60)]
    assert names == ["rss", "uncertainty", "churn", "trend", "zone"]
    assert len(shown_columns(80)) == 8
    assert len(shown_columns(120)) == 10


def test_processes_and_sharing_in_lines():
    looked = of_two(processes=(process(1), process(2, zone="other")))
    assert len(process_lines(looked, "web", {})) == 2
    assert process_lines(looked, NASTY, {}) == ["bad\\x1b[2J[red]name[/] has no process any more."]
    assert sharing_lines(looked, "web") == ["web shares no page with another zone."]


def test_the_tree_is_largest_first_and_indented():
    def node(path: str, parent: str | None, depth: int, size: int) -> TreeNode:
        return TreeNode(usage(path, anon_bytes=size * KIB), parent, depth, 0, 0)

    nodes = (
        node("/", None, 0, 90),
        node("/a", "/", 1, 10),
        node("/b", "/", 1, 40),
        node("/b/c\x1b", "/b", 2, 30),
    )
    lines = tree_lines(nodes)
    assert [line.split("K  ")[-1] for line in lines[1:]] == ["/", "  b", "    c\\x1b", "  a"]


# ---- the screen ----

textual = pytest.importorskip("textual")


class Camera:
    """Hands out snapshots that were made by hand, and remembers what for."""

    def __init__(self):
        self.asked: list[tuple[Mode, str | None]] = []
        self.fails: str | None = None
        self.fails_in = tuple(Mode)
        self.taken = threading.Semaphore(0)

    def take(self, mode: Mode, zone: str | None):
        self.asked.append((mode, zone))
        if self.fails and mode in self.fails_in:
            raise CannotServe(self.fails)
        lines = [f"{mode} of {zone}"] if mode in (Mode.TREE, Mode.EXPLAIN) else []
        processes = (process(7, command="post[gres]"),) if mode is Mode.PROCESSES else None
        return Look(of_two(processes=processes), lines)


def drive(script: Callable, size: tuple[int, int] = (80, 24), interval: float = 0.05):
    """Run the screen without a terminal; script(app, pilot, camera) presses keys."""
    from zonerss.views.top_app import TopApp

    async def run():
        camera = Camera()
        app = TopApp(camera, interval, {})
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.look is not None and app.zones.row_count == 2)
            await script(app, pilot, camera)
            app.stop()
        return app

    return asyncio.run(run())


async def until(pilot, true: Callable[[], bool]) -> None:
    for _ in range(400):
        if true():
            return
        await pilot.pause(0.01)
    raise AssertionError("it did not come to pass")


def shown(app) -> str:
    return app.query_one("#lines").render().plain


def test_the_zones_come_by_themselves_and_names_are_no_markup():
    async def script(app, pilot, camera):
        cells = [str(app.zones.get_cell_at((row, len(app.zones.columns) - 1))) for row in range(2)]
        assert cells == ["web", "bad\\x1b[2J[red]name[/]"]
        await until(pilot, lambda: len(camera.asked) > 3)

    drive(script)


@pytest.mark.parametrize(
    ("key", "mode", "says"),
    [
        ("enter", Mode.PROCESSES, "post[gres]"),
        ("m", Mode.SHARING, "web shares no page"),
        ("e", Mode.EXPLAIN, "explain of web"),
        ("t", Mode.TREE, "tree of"),
        ("question_mark", Mode.HELP, "with whom it shares"),
        ("h", Mode.HELP, "CHURN/s"),
    ],
)
def test_a_key_shows_something_else_and_escape_leads_back(key: str, mode: Mode, says: str):
    async def script(app, pilot, camera):
        await pilot.press(key)
        await until(pilot, lambda: says in shown(app))
        assert app.mode is mode
        assert not app.zones.display
        await pilot.press("escape")
        await until(pilot, lambda: app.zones.display)
        assert app.mode is Mode.ZONES

    drive(script)


def test_the_arrows_choose_the_zone_and_it_stays_chosen():
    async def script(app, pilot, camera):
        await pilot.press("down")
        before = len(camera.asked)
        await until(pilot, lambda: len(camera.asked) > before + 3)
        await pilot.press("e")
        await until(pilot, lambda: (Mode.EXPLAIN, NASTY) in camera.asked)

    drive(script)


def test_s_sorts_by_the_next_column():
    async def script(app, pilot, camera):
        await pilot.press("s")
        assert app.sort.name == "uncertainty"
        await until(pilot, lambda: str(app.zones.get_cell_at((0, len(app.zones.columns) - 1))) != "web")

    drive(script)


def test_slash_filters_while_it_is_typed_and_escape_forgets():
    async def script(app, pilot, camera):
        await pilot.press("slash", "w", "e", "b")
        await until(pilot, lambda: app.zones.row_count == 1)
        await pilot.press("enter")
        assert app.zones.row_count == 1
        assert app.focused is app.zones
        await pilot.press("slash")
        await pilot.press("escape")
        await until(pilot, lambda: app.zones.row_count == 2)

    drive(script)


@pytest.mark.parametrize("key", ["space", "p"])
def test_pause_and_on(key: str):
    async def script(app, pilot, camera):
        await pilot.press(key)
        assert app.paused
        await pilot.pause(0.2)
        before = len(camera.asked)
        await pilot.pause(0.3)
        assert len(camera.asked) <= before + 1
        assert "PAUSED" in app.query_one("#head").render().plain
        await pilot.press(key)
        await until(pilot, lambda: len(camera.asked) > before + 2)

    drive(script)


def test_plus_minus_and_now():
    async def script(app, pilot, camera):
        await pilot.press("plus")
        assert app.interval == 20
        await pilot.press("minus", "minus")
        assert app.interval == 5
        before = len(camera.asked)
        await pilot.press("r")
        await until(pilot, lambda: len(camera.asked) > before)

    drive(script, interval=10)


def test_a_click_on_a_header_sorts_by_it():
    async def script(app, pilot, camera):
        await pilot.click("#zones", offset=(30, 0))
        await pilot.pause(0.05)
        assert app.sort is not RSS

    drive(script)


def test_it_fits_60_by_15_and_grows():
    async def script(app, pilot, camera):
        assert next(column.value for column in app.zones.columns) == "rss"
        await pilot.resize_terminal(120, 30)
        await until(pilot, lambda: len(app.zones.columns) == 10)

    drive(script, size=(60, 15))


def test_q_quits():
    async def script(app, pilot, camera):
        await pilot.press("q")

    assert drive(script).return_value is None


def test_what_cannot_be_done_is_one_sentence_at_the_end():
    from zonerss.views.top_app import TopApp

    async def run():
        camera = Camera()
        camera.fails = "no such thing here"
        app = TopApp(camera, 0.05, {})
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.return_value is not None)
        return app.return_value

    assert asyncio.run(run()) == "no such thing here"


def test_what_a_mode_cannot_show_leads_back_to_the_zones():
    async def script(app, pilot, camera):
        camera.fails_in = (Mode.EXPLAIN,)
        camera.fails = "that zone has left"
        await pilot.press("e")
        await until(pilot, lambda: any(mode is Mode.EXPLAIN for mode, _ in camera.asked))
        await until(pilot, lambda: app.mode is Mode.ZONES)

    drive(script)


def test_a_snapshot_of_another_mode_is_not_shown():
    async def script(app, pilot, camera):
        app._take(Look(replace(of_two(), zones=())), Mode.TREE)
        assert app.zones.row_count == 2

    drive(script)
