"""top: its rows and lines, and its screen, every key and click of it, driven by textual's pilot."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from rich.text import Text
from tests.unit.builders import BEGAN, KIB, MIB, process, snapshot, usage
from tests.unit.cap.test_status import ZONE as CAPPED

from zonerss.answers.growth import Growth
from zonerss.answers.marks import Mark, Why
from zonerss.census.tree import TreeNode
from zonerss.errors import CannotServe, Damaged
from zonerss.plain import replace
from zonerss.records import Caveat
from zonerss.views.columns import CHARGED, EXCLUSIVE, LIMIT, RSS, ZONE, cell
from zonerss.views.screen import BARS
from zonerss.views.terminal import Style
from zonerss.views.text import cells, shorten
from zonerss.views.top import (
    BATCH,
    CHURN,
    GROWS,
    SHOWN,
    TREND,
    Look,
    Mode,
    Row,
    batch_lines,
    find_columns,
    find_order,
    headline,
    help_lines,
    lay_out,
    matching_rows,
    named_first,
    process_lines,
    rows_of,
    sharing_lines,
    sorted_by,
    sparkline,
    tree_lines,
)

NASTY = "bad\x1b[2J[red]name[/]"


def of_two(first: int = 100, second: int = 50, **fields):
    return snapshot(
        usage("web", anon_bytes=first * KIB, uncertainty_bytes=0),
        usage(NASTY, anon_bytes=second * KIB, uncertainty_bytes=17 * KIB, processes=1),
        uncertainty="traced",
        **fields,
    )


def trend_of(*sizes_kib: int) -> str:
    growth = Growth()
    for number, size in enumerate(sizes_kib):
        rows = rows_of(of_two(size, began=BEGAN + timedelta(seconds=2 * number)), growth)
    return rows[0].trend


# ---- over several snapshots ----


def test_a_trend_goes_from_its_least_to_its_greatest() -> None:
    assert sparkline((50, 75, 100)) == "▁▅█"
    assert sparkline((148, 149, 150, 151, 152, 153, 154, 155)) == "▁▂▃▄▅▆▇█"  # from 0 it was a solid block
    assert sparkline(()) == ""
    assert sparkline((7, 7)) == "▁▁"


def test_a_trend_has_the_latest_snapshots() -> None:
    assert trend_of(10, 20, 30, 40) == "▁▃▆█"
    assert trend_of(*range(9), *range(10)) == sparkline(range(10))


def test_rows_have_growth_and_churn() -> None:
    growth = Growth()
    for number in range(8):
        rows = rows_of(of_two(100 + 512 * number, began=BEGAN + timedelta(seconds=2 * number)), growth)
        assert rows[0].churn_bytes == (256 * KIB if number else None)
        assert [cell(GROWS, row) for row in rows] == (["+15M/min ▲", "="] if number == 7 else ["–", "–"])


# ---- rows ----


def test_rows_are_sorted_and_filtered_whatever_the_case() -> None:
    rows = rows_of(of_two(), Growth())
    assert [row.zone for row in matching_rows(rows, RSS, "")] == ["web", NASTY]
    assert [row.zone for row in matching_rows(rows, RSS, "WE")] == ["web"]


def test_the_other_way_round_unknown_stays_last() -> None:
    rows = [Row(usage(name, charged_bytes=size)) for name, size in (("a", 1), ("b", None), ("c", 3))]

    def zones(name: str) -> str:
        return "".join(row.zone for row in matching_rows(rows, find_order(name), ""))

    assert [zones(name) for name in ("charged", "-charged", "zone", "-zone")] == ["cab", "acb", "abc", "cba"]


def test_sorting_by_a_column_again_turns_it_round() -> None:
    once = sorted_by(RSS, EXCLUSIVE)
    assert once == EXCLUSIVE
    assert sorted_by(once, EXCLUSIVE) == replace(EXCLUSIVE, reverse=True)
    assert sorted_by(sorted_by(once, EXCLUSIVE), EXCLUSIVE) == once
    assert sorted_by(RSS, TREND) == GROWS  # pictures are sorted by what they show
    assert sorted_by(CHURN, BARS) == RSS
    assert find_order("-trend") == replace(GROWS, reverse=True)
    marks = [lay_out((), sort, 200).headers for sort in (RSS, replace(RSS, reverse=True), ZONE)]
    assert ["RSS▼" in marks[0], "RSS▲" in marks[1], "ZONE▲" in marks[2]] == [True] * 3


# ---- the table ----


@pytest.mark.parametrize("width", [30, 60, 80, 100, 120, 200])
def test_a_table_is_never_wider_than_its_room(width: int) -> None:
    names = ("web", "libpod_payload-0123456789abcdef0123456789abcdef", "コンテナ" * 20, NASTY)
    rows = [
        Row(usage(name, anon_bytes=number * MIB), 0.0, None, "▁" * 10) for number, name in enumerate(names)
    ]
    table = lay_out(rows, RSS, width)
    assert sum(table.widths) + 2 * len(table.widths) <= max(width, table.widths[0] + 2)
    for row in table.rows:
        assert all(cells(text) <= room for text, room in zip(row, table.widths, strict=True))
    assert all(cells(header) <= room for header, room in zip(table.headers, table.widths, strict=True))


def test_columns_leave_as_room_shrinks() -> None:
    rows = [Row(usage("libpod_payload"), 0.0, None, "▁" * 10)]

    def shown(width: int) -> list[str]:
        return [column.name for column in lay_out(rows, RSS, width).columns]

    assert shown(60) == ["zone", "rss", "kinds", "exclusive", "grows"]
    assert shown(80) == ["zone", "rss", "kinds", "exclusive", "charged", "grows", "trend"]
    assert set(shown(60)) < set(shown(80)) < set(shown(120))
    assert shown(170) == [c.name for c in SHOWN if not c.optional and c.name != "uncertainty"]
    limited = [Row(usage("libpod_payload", limit_bytes=MIB))]
    assert LIMIT in lay_out(limited, RSS, 80).columns


def test_columns_that_are_asked_for_get_room_first_and_those_without_are_named() -> None:
    rows = [Row(usage("libpod_payload", limit_bytes=MIB), 0.0, None, "▁" * 10)]
    table = lay_out(rows, RSS, 40, (ZONE, CHURN, CHARGED, LIMIT), first=("zone", "churn", "charged", "limit"))
    assert [column.name for column in table.columns] == ["zone", "churn", "charged"]
    assert table.left_out == ("LIMIT",)
    assert named_first("+limit,kinds") == ("limit", "kinds")
    more = lay_out(rows, RSS, 60, find_columns("+used", SHOWN), first=named_first("+used"))
    assert "used" in [column.name for column in more.columns]
    assert more.left_out == ()
    assert headline(of_two(), 60, left_out=("LIMIT", "USED")).endswith("no room for LIMIT USED")


def test_a_mark_has_its_sign_behind_the_figure() -> None:
    rows = [Row(usage("web")), Row(usage("db"))]
    table = lay_out(rows, RSS, 120, marks=(Mark(Why.BILL, "db", MIB),))
    at = [column.name for column in table.columns].index("charged")
    assert [row[at] for row in table.rows] == ["53K ", "53K*"]
    assert table.headers[at] == "CHARGED"
    assert any("*" in line for line in help_lines((), 80))


def test_what_stands_out_is_painted() -> None:
    row = Row(usage(charged_bytes=400 * KIB), 0.0, 30.0 * MIB, "▁")
    table = lay_out([row], RSS, 200, None, Style(True))
    painted = dict(zip((column.name for column in table.columns), table.rows[0], strict=True))
    assert painted["charged"] == "\x1b[33m400K\x1b[0m"
    assert painted["grows"] == "\x1b[31m+30M/min ▲\x1b[0m"
    assert painted["kinds"].count("█") > 1
    assert painted["exclusive"] == "41K"


# ---- lines ----


def test_the_headline_fits_and_keeps_what_matters() -> None:
    gap_free = of_two()
    assert headline(gap_free).startswith("2 zones, 3 processes, 61K, ")
    for width in (20, 40, 60, 80):
        line = headline(gap_free, width, True, "a name that is so long that it fills the line by itself " * 3)
        assert cells(line) <= max(width, 32)
        assert "PAUSED" in line
    assert "/a name" in headline(gap_free, 80, True, "a name")


def test_a_batch_is_a_table_and_a_last_line() -> None:
    lines = batch_lines(of_two(), Growth(), RSS)
    assert lines[0].split() == [column.header for column in BATCH if not column.optional]
    assert lines[1].split() == [
        "web",
        "cgroup",
        "3",
        "138K",
        "±0",
        "41K",
        "97K",
        "47K",
        "53K",
        "101K",
        "–",
        "–",
    ]
    assert lines[3:] == [f"Total: {headline(of_two())}", ""]
    assert all(cells(line) <= 60 for line in batch_lines(of_two(), Growth(), RSS, width=60))


def test_a_batch_in_bytes() -> None:
    for width in (None, 120):
        _, row, *_, total, _ = batch_lines(of_two(), Growth(), RSS, width=width, in_bytes=True)
        assert str(138 * KIB) in row.split()
        assert total.startswith(f"Total: {headline(of_two(), in_bytes=True)[:30]}")
    assert str(of_two().total.rss_bytes) in total


@pytest.mark.parametrize("width", [None, 58, 78])
def test_processes_and_sharing_in_lines(width: int | None) -> None:
    name = "n" * 100
    lines = process_lines(name, (process(1, rss_bytes=KIB), process(2, command="c" * 99)), {}, width)
    assert lines[3].split()[0] == "2"
    assert sharing_lines("web", (), width) == ["web shares no page with another zone."]
    lines += sharing_lines(name, ((name, 3 * MIB), ("other", 2 * MIB)), width)
    assert all(cells(line) <= (width or 200) for line in lines)


def test_the_tree_is_largest_first_and_indented() -> None:
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


@pytest.mark.parametrize("width", [40, 58, 78])
def test_help_fits(width: int) -> None:
    lines = help_lines((("Enter", "its page " * 20),), width)
    assert all(cells(line) <= width for line in lines)
    assert any("CHURN/s" in line for line in lines)


# ---- the screen ----

textual = pytest.importorskip("textual")


class Camera:
    """Hands out snapshots that were made by hand, and remembers what for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Mode, str | None]] = []
        self.fails: Exception | None = None
        self.fails_in = tuple(Mode)
        self.snapshot = of_two
        self.growth = Growth()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.closed = threading.Event()

    def take(self, mode: Mode, zone: str | None) -> Look:
        self.asked.append((mode, zone))
        self.may_answer.wait()
        if self.fails and mode in self.fails_in:
            raise self.fails
        looked = self.snapshot(began=BEGAN + timedelta(seconds=len(self.asked)))
        rows = () if mode is Mode.TREE else rows_of(looked, self.growth)
        return Look(looked, rows, lambda width: [f"\x1b[1m{mode} of {zone}\x1b[0m in [red]{width}"])

    def close(self) -> None:
        self.closed.set()


def app_of(camera: Camera, interval: float = 0.05, **options):
    from zonerss.views.top_app import TopApp

    return TopApp(camera, interval, **options)


def drive(script: Callable, size: tuple[int, int] = (80, 24), interval: float = 0.05, **options):
    """Run the screen without a terminal; script(app, pilot, camera) presses keys."""

    async def run():
        camera = Camera()
        app = app_of(camera, interval, **options)
        async with app.run_test(size=size) as pilot:
            try:
                await until(pilot, lambda: app.zones.row_count == 2)
                await script(app, pilot, camera)
            finally:
                camera.may_answer.set()
                app.stop(0)
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


def head(app) -> str:
    return app.query_one("#head").render().plain


def table(app) -> list[str]:
    return [app.zones.render_line(y).text.rstrip() for y in range(app.zones.row_count + 1)]


def names(app) -> list[str]:
    return [str(app.zones.get_cell_at((row, 0))) for row in range(app.zones.row_count)]


def header_at(app, name: str) -> int:
    """In which column of the terminal a header stands."""
    text = app.zones.render_line(0).text
    return cells(text[: text.index(name)])


def test_the_zones_come_by_themselves_and_names_are_no_markup() -> None:
    async def script(app, pilot, camera):
        assert names(app) == ["web", shorten("bad\\x1b[2J[red]name[/]", app._table.widths[0])]
        await until(pilot, lambda: len(camera.asked) > 3)

    drive(script)


def test_the_frame_is_there_before_the_first_look_and_keys_work() -> None:
    """It was blank until the first walk had ended, which takes seconds on a busy machine."""

    async def run():
        camera = Camera()
        camera.may_answer.clear()
        app = app_of(camera)
        async with app.run_test() as pilot:
            await pilot.pause(0.05)
            assert "looking" in head(app)
            assert "ZONE" in table(app)[0]
            await pilot.press("question_mark")
            assert "with whom it shares" in shown(app)
            await pilot.press("q")
        camera.may_answer.set()
        app.stop(0)

    asyncio.run(run())


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
def test_leaving_waits_for_no_walk_and_ctrl_c_leaves(key: str) -> None:
    """Ctrl-C said "Press ctrl+q to quit the app". The snapshot of a stuck machine does not come."""

    async def run():
        camera = Camera()
        camera.may_answer.clear()
        app = app_of(camera)
        async with app.run_test() as pilot:
            await until(pilot, lambda: bool(camera.asked))
            await pilot.press(key)
            await until(pilot, lambda: not app.is_running)
        assert not app.stop(0)
        camera.may_answer.set()
        await asyncio.to_thread(camera.closed.wait)
        return app

    app = asyncio.run(run())
    assert app.return_code == 0
    assert app.error is None
    assert app.stop(5)


KEYS = (
    ("enter", Mode.ZONE, "zone of web in [red]"),
    ("p", Mode.PROCESSES, "processes of web"),
    ("m", Mode.SHARING, "sharing of web"),
    ("e", Mode.EXPLAIN, "explain of web"),
    ("t", Mode.TREE, "tree of None"),
    ("question_mark", Mode.HELP, "with whom it shares"),
    ("h", Mode.HELP, "CHURN/s"),
)


@pytest.mark.parametrize("size", [(80, 24), (60, 15)])
def test_a_key_shows_something_else_and_escape_leads_back(size: tuple[int, int]) -> None:
    async def script(app, pilot, camera):
        for key, mode, says in KEYS:
            await pilot.press(key)
            await until(pilot, lambda says=says: says in shown(app))
            assert app.mode is mode
            assert not app.zones.display
            assert all(cells(line) <= size[0] for line in shown(app).splitlines())
            await pilot.press("escape")
            await until(pilot, lambda: app.zones.display)
            assert app.mode is Mode.ZONES

    drive(script, size)


def test_escape_undoes_one_thing_at_a_time() -> None:
    async def script(app, pilot, camera):
        await pilot.press("slash", "w", "e", "enter", "enter")
        await until(pilot, lambda: app.mode is Mode.ZONE)
        await pilot.press("m", "question_mark")
        steps = []
        while app.mode is not Mode.ZONES:
            steps.append(app.mode)
            await pilot.press("escape")
        assert steps == [Mode.HELP, Mode.SHARING, Mode.ZONE]
        assert names(app) == ["web"]
        await pilot.press("escape")
        assert len(names(app)) == 2
        await pilot.press("escape")
        assert app.mode is Mode.ZONES

    drive(script)


def test_the_arrows_choose_the_zone_and_it_stays_chosen() -> None:
    async def script(app, pilot, camera):
        await pilot.press("down")
        before = len(camera.asked)
        await until(pilot, lambda: len(camera.asked) > before + 3)
        await pilot.press("e")
        await until(pilot, lambda: (Mode.EXPLAIN, NASTY) in camera.asked)

    drive(script)


def test_the_choice_stays_with_the_zone_as_others_come_and_go() -> None:
    def of_many(**fields):
        return snapshot(
            *(usage(f"zone-{number:02}", anon_bytes=(number + 1) * MIB) for number in range(40)), **fields
        )

    def of_more(**fields):
        few = [usage(f"zone-{number:02}", anon_bytes=(40 - number) * MIB) for number in range(0, 40, 3)]
        return snapshot(*few, usage("new", anon_bytes=99 * MIB), **fields)

    async def script(app, pilot, camera):
        camera.snapshot = of_many
        await until(pilot, lambda: app.zones.row_count == 40)
        await pilot.press(*["down"] * 12)
        chosen = app.chosen()
        assert chosen == "zone-27"
        for case, rows in ((of_more, 15), (of_many, 40), (of_more, 15)):
            camera.snapshot = case
            await until(pilot, lambda rows=rows: app.zones.row_count == rows)
            assert app.chosen() == chosen
            await pilot.pause()
            top = app.zones.scroll_y
            assert top <= app.zones.cursor_row < top + app.zones.size.height
        camera.snapshot = of_two
        await until(pilot, lambda: app.zones.row_count == 2)
        assert app.chosen() in ("web", NASTY)

    drive(script, (80, 15))


def test_what_was_scrolled_to_stays() -> None:
    def of_many(**fields):
        return snapshot(
            *(usage(f"zone-{number}", anon_bytes=number * MIB) for number in range(100)), **fields
        )

    async def script(app, pilot, camera):
        camera.snapshot = of_many
        await until(pilot, lambda: app.zones.row_count == 100)
        before = len(camera.asked)
        await until(pilot, lambda: len(camera.asked) > before + 3)
        app.zones.scroll_to(y=50, animate=False)
        await pilot.pause()
        before = len(camera.asked)
        await until(pilot, lambda: len(camera.asked) > before + 3)
        assert app.zones.scroll_y == 50
        assert app.zones.cursor_row == 0

    drive(script)


def test_s_sorts_by_the_next_column_and_shift_r_turns_it_round() -> None:
    async def script(app, pilot, camera):
        await pilot.press("s")
        shown = [column.name for column in app._table.columns if column is not BARS]
        assert app.sort.name == shown[shown.index("rss") + 1]
        seen = set()
        while app.sort.name not in seen:
            seen.add(app.sort.name)
            await pilot.press("s")
        assert seen == {column.name for column in app._table.columns} - {"kinds", "trend"}
        app._sort(RSS)
        await pilot.press("R")
        assert names(app)[1] == "web"
        assert "RSS▲" in table(app)[0]

    drive(script)


def test_slash_filters_while_it_is_typed_enter_keeps_it_escape_drops_it() -> None:
    """It stayed after Enter and Escape: only another / and Escape dropped it."""

    async def script(app, pilot, camera):
        await pilot.press("slash", "w", "e", "b")
        await until(pilot, lambda: app.zones.row_count == 1)
        await pilot.press("enter")
        assert app.zones.row_count == 1
        assert app.focused is app.zones
        assert "/web" in head(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.zones.row_count == 2)
        await pilot.press("slash", "w", "escape")
        await until(pilot, lambda: app.zones.row_count == 2)
        assert app.focused is app.zones

    drive(script)


def test_pause_and_on() -> None:
    async def script(app, pilot, camera):
        await pilot.press("space")
        assert app.paused
        await pilot.pause(0.2)
        before = len(camera.asked)
        await pilot.pause(0.3)
        assert len(camera.asked) <= before + 1
        assert "PAUSED" in head(app)
        await pilot.press("space")
        await until(pilot, lambda: len(camera.asked) > before + 2)

    drive(script)


def test_plus_minus_and_now() -> None:
    async def script(app, pilot, camera):
        await pilot.press("plus")
        assert app.interval == 20
        await pilot.press("minus", "minus")
        assert app.interval == 5
        before = len(camera.asked)
        await pilot.press("r")
        await until(pilot, lambda: len(camera.asked) > before)

    drive(script, interval=10)


@pytest.mark.parametrize("size", [(60, 15), (80, 24)])
def test_a_click_on_a_header_sorts_by_it_and_cuts_nothing(size: tuple[int, int]) -> None:
    """Cells were cut to their header's width until the next snapshot: an RSS of 1247M read 124."""

    def of_large(**fields):
        return snapshot(
            usage("web", anon_bytes=1000 * MIB, exclusive_bytes=511 * MIB),
            usage("db", anon_bytes=900 * MIB, exclusive_bytes=733 * MIB),
            **fields,
        )

    async def script(app, pilot, camera):
        camera.snapshot = of_large
        await until(pilot, lambda: "db" in names(app))
        await pilot.press("space")  # so that no snapshot draws it anew
        before = table(app)
        assert "511M" in before[1]
        await pilot.click("#zones", offset=(header_at(app, "EXCL"), 0))
        await pilot.pause()
        assert app.sort == EXCLUSIVE
        assert names(app) == ["db", "web"]
        assert sorted(line.split() for line in table(app)[1:]) == sorted(line.split() for line in before[1:])
        await pilot.click("#zones", offset=(header_at(app, "EXCL"), 0))
        await pilot.pause()
        assert app.sort == replace(EXCLUSIVE, reverse=True)
        assert names(app) == ["web", "db"]

    drive(script, size)


def test_every_header_can_be_clicked() -> None:
    async def script(app, pilot, camera):
        for column, header in zip(app._table.columns, app._table.headers, strict=True):
            text = Text.from_ansi(header).plain.rstrip("▲▼")[:4]
            await pilot.click("#zones", offset=(header_at(app, text), 0))
            await pilot.pause()
            expected = {"kinds": "rss", "trend": "grows"}.get(column.name, column.name)
            assert app.sort.name == expected

    drive(script, (120, 24))


def test_a_click_chooses_a_double_click_opens() -> None:
    async def script(app, pilot, camera):
        await pilot.click("#zones", offset=(3, 1))  # it was chosen already
        await pilot.pause(0.05)
        assert app.mode is Mode.ZONES
        await pilot.click("#zones", offset=(3, 2))
        await pilot.pause(0.05)
        assert app.mode is Mode.ZONES
        assert app.chosen() == NASTY
        await pilot.click("#zones", offset=(5, 1), times=2)
        await until(pilot, lambda: app.mode is Mode.ZONE)
        assert app.view.zone == "web"

    drive(script)


def test_it_fits_60_by_15_and_grows() -> None:
    async def script(app, pilot, camera):
        assert "TREND" not in table(app)[0]
        assert len(head(app)) <= 60
        await pilot.resize_terminal(120, 30)
        await until(pilot, lambda: "CHURN/s" in table(app)[0])

    drive(script, (60, 15))


def test_the_users_columns() -> None:
    async def script(app, pilot, camera):
        assert table(app)[0].split() == ["CHARGED", "ZONE"]

    drive(script, columns=find_columns("charged,zone", SHOWN))


def test_a_warning_has_a_line() -> None:
    async def script(app, pilot, camera):
        assert not app.query_one("#warnings").display
        caveat = Caveat("pid_namespace", "only a part\x1b of the machine")
        camera.snapshot = lambda **fields: of_two(warnings=(caveat,), **fields)
        await until(pilot, lambda: app.query_one("#warnings").display)
        assert "only a part\\x1b of" in app.query_one("#warnings").render().plain

    drive(script)


def test_q_quits() -> None:
    async def script(app, pilot, camera):
        await pilot.press("q")

    app = drive(script)
    assert (app.return_code, app.error) == (0, None)
    assert app.stop(5)
    assert app.camera.closed.is_set()


@pytest.mark.parametrize("error", [CannotServe("no such thing here"), MemoryError(), OSError(24, "too many")])
def test_what_cannot_be_done_ends_it(error: Exception) -> None:
    async def run():
        camera = Camera()
        camera.fails = error
        app = app_of(camera)
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.error is not None)
        return app

    app = asyncio.run(run())
    assert app.error is error
    assert app.stop(5)


def test_what_a_page_cannot_show_leads_back_to_the_zones() -> None:
    async def script(app, pilot, camera):
        camera.fails_in = (Mode.EXPLAIN,)
        camera.fails = CannotServe("that zone has left")
        await pilot.press("e")
        await until(pilot, lambda: any(mode is Mode.EXPLAIN for mode, _ in camera.asked))
        await until(pilot, lambda: app.mode is Mode.ZONES)

    drive(script)


def test_a_page_that_was_left_is_not_shown() -> None:
    from zonerss.views.top_app import Looked, View

    async def script(app, pilot, camera):
        app.on_looked(Looked(Look(replace(of_two(), zones=())), View(Mode.TREE)))
        assert app.zones.row_count == 2
        await pilot.press("space", "t")
        await until(pilot, lambda: "tree of" in shown(app))
        camera.may_answer.clear()
        await pilot.press("escape", "e")
        assert shown(app) == "looking…"
        camera.may_answer.set()
        await until(pilot, lambda: "explain of web" in shown(app))

    drive(script)


def test_the_interface_answers_while_a_walk_takes_long() -> None:
    async def script(app, pilot, camera):
        camera.may_answer.clear()
        asked = len(camera.asked)
        await until(pilot, lambda: len(camera.asked) > asked)
        began = time.monotonic()
        await pilot.press("down", "s", "slash", "w", "escape", "question_mark", "escape")
        assert app.chosen() == "web"  # the second by RSS is the first by EXCL, or stays
        assert time.monotonic() - began < 60  # it comes to pass at all

    drive(script)


# ---- the screen of a recording ----


def replayed(script: Callable, at: int = 0, damaged: Sequence[int] = ()):
    """Drive the screen of a recording of four snapshots, a tenth of a second apart."""
    from zonerss.views.player import Player
    from zonerss.views.top_app import ReplayApp

    class PastCamera(Camera):
        def take(self, mode: Mode, zone: str | None) -> Look:
            self.asked.append((mode, zone))
            if player.at in damaged:
                raise Damaged(f"{player.at} of x\x1b cannot be read")
            return Look(
                of_two(100 + player.at, began=player.time), rows_of(of_two(100 + player.at), Growth())
            )

    player = Player([BEGAN + timedelta(seconds=number / 10) for number in range(4)], at)

    async def run():
        camera = PastCamera()
        app = ReplayApp(camera, player)
        async with app.run_test(size=(80, 24)) as pilot:
            try:
                await until(pilot, lambda: app.zones.row_count == 2)
                await script(app, pilot, player)
            finally:
                app.stop(0)

    asyncio.run(run())


def test_a_damaged_snapshot_is_left_out_and_told_of() -> None:
    async def script(app, pilot, player):
        told = []
        app.notify = lambda sentence, **how: told.append((sentence, how["severity"]))
        await pilot.press("right")
        await until(pilot, lambda: shown_at(app) == 3)
        await pilot.press("left")
        await until(pilot, lambda: shown_at(app) == 0)
        await pilot.press("end", "left")
        await until(pilot, lambda: shown_at(app) == 0)
        assert told == [(f"left out: {n} of x\\x1b cannot be read", "warning") for n in (1, 2)]
        assert app.error is None

    replayed(script, damaged=(1, 2))


def test_a_recording_that_is_all_damaged_ends_with_the_sentence() -> None:
    from zonerss.views.player import Player
    from zonerss.views.top_app import ReplayApp

    class Broken(Camera):
        def take(self, mode: Mode, zone: str | None) -> Look:
            raise Damaged("it cannot be read")

    async def run():
        app = ReplayApp(Broken(), Player([BEGAN, BEGAN + timedelta(seconds=1)], 0))
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.error is not None)
            app.stop(0)
        assert isinstance(app.error, Damaged)

    asyncio.run(run())


def moment_line(app) -> str:
    return str(app.query_one("#moment").render())


def shown_at(app) -> float:
    return (app.look.snapshot.began - BEGAN).total_seconds() * 10


def test_a_recording_is_stepped_through() -> None:
    async def script(app, pilot, player):
        assert "vm  2026-11-22 12:00:00" in moment_line(app).replace("13:", "12:")
        assert moment_line(app).rstrip().endswith("2 of 4  PAUSED  8x")
        for key, at in (
            ("right", 2),
            ("right", 3),
            ("right", 3),
            ("home", 0),
            ("left", 0),
            ("end", 3),
            ("left", 2),
        ):
            await pilot.press(key)
            await until(pilot, lambda at=at: app.look.snapshot.began == player.times[at])
            assert f"{at + 1} of 4" in moment_line(app)
        await pilot.press("plus", "plus", "minus")
        assert moment_line(app).rstrip().endswith("PAUSED  16x")

    replayed(script, at=1)


def test_a_recording_is_played_to_its_end_and_again_from_its_beginning() -> None:
    async def script(app, pilot, player):
        await pilot.press("space")
        await until(pilot, lambda: player.at == 3 and not player.is_playing)
        await until(pilot, lambda: shown_at(app) == 3)
        assert "PAUSED" in moment_line(app)
        await pilot.press("space")
        await until(pilot, lambda: "▶" in moment_line(app) or player.at == 3)
        await until(pilot, lambda: player.at == 3 and not player.is_playing)

    replayed(script)


def test_keys_of_time_are_letters_where_a_filter_is_typed() -> None:
    async def script(app, pilot, player):
        await pilot.press("slash", "w", "space", "left", "minus")
        assert app.query_one("#filter").value == "w- "
        assert (player.at, player.speed, player.is_playing) == (1, 8.0, False)
        await pilot.press("escape", "question_mark")
        assert "play, pause" in "\n".join(app._lines(None))

    replayed(script, at=1)


def test_columns_of_zones_under_a_cap() -> None:
    capped = replace(CAPPED, zone="web", cap_bytes=400 << 20, working_set_bytes=None)
    columns = find_columns("zone,cap,nover,working_set", SHOWN)
    lines = batch_lines(of_two(), Growth(), RSS, columns=columns, caps={"web": capped})
    assert [line.split()[-3:] for line in lines[:3]] == [
        ["CAP", "NOVER", "WSET"],
        ["400M", "2", "–"],
        ["–", "–", "–"],
    ]
    assert find_order("-cap").reverse
