"""The screen of top, by textual: a table of zones that is taken anew every few seconds, and pages of text about one.

The frame is there at once. Snapshots come from a :class:`Camera`, in a thread of its own that is told by an event and
answers by messages: neither waits for the other, and leaving waits for neither. Names may contain anything: all text
reaches textual as rich Text, never as markup.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from rich.console import JustifyMethod
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable, Footer, Input, Static

from zonerss.errors import Damaged, ZonerssError
from zonerss.plain import dataclass
from zonerss.snapshot import Snapshot
from zonerss.views.columns import RSS, Column, of_machine
from zonerss.views.player import Player
from zonerss.views.screen import machine_line
from zonerss.views.table import GAP
from zonerss.views.terminal import Style
from zonerss.views.text import printable
from zonerss.views.top import (
    SORTED_BY,
    Look,
    Mode,
    Table,
    headline,
    help_lines,
    lay_out,
    matching_rows,
    sorted_by,
)

LOOKING = "looking…"
_ROWS_FOR_MACHINE = 20
"""Of a terminal, from which on there is a line for the machine."""


class Camera(Protocol):
    """Who takes snapshots; used by one thread only, from its first call on."""

    def take(self, mode: Mode, zone: str | None) -> Look:
        """
        Look at the machine for what a mode shows.

        :raises ZonerssError: it could not be done
        """

    def close(self) -> None:
        """Give back what is held."""


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at."""

    mode: Mode = Mode.ZONES
    zone: str | None = None
    """In the modes that are about one."""


class Looked(Message):
    """A snapshot was taken for a view."""

    def __init__(self, look: Look, view: View) -> None:
        super().__init__()
        self.look, self.view = look, view


class Failed(Message):
    """None could be taken."""

    def __init__(self, error: Exception, view: View) -> None:
        super().__init__()
        self.error, self.view = error, view


class LeftOut(Message):
    """A snapshot of a recording cannot be shown."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class ZonesTable(DataTable[Text]):
    """The table: a click chooses a row, a double click opens it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "Zone")]

    async def on_click(self, event: events.Click) -> None:
        """Unlike a DataTable's own, which opens a row at the first click if it was chosen already."""
        row = event.style.meta.get("row", -1)
        if row < 0:
            return  # a header: DataTable tells of it
        event.prevent_default()
        event.stop()
        if event.chain == 1:
            self.move_cursor(row=row)
        else:  # the rows may have moved since the first click: what was chosen then is meant
            self.action_select_cursor()


class TopApp(App[None]):
    """The screen."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "zonerss"
    CSS = """
    Screen { layout: vertical; }
    #machine { height: 1; }
    #head { height: 1; text-style: reverse; }
    #zones { height: 1fr; }
    #about { height: 1fr; display: none; }
    #lines { width: auto; }
    #warnings { height: auto; max-height: 3; color: $text-warning; display: none; }
    #filter { display: none; height: 1; border: none; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("question_mark,h,f1", "mode('help')", "Help", key_display="?"),
        Binding("enter", "mode('zone')", "Zone", show=False),
        Binding("s", "sort", "Sort"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("p", "mode('processes')", "Procs"),
        Binding("m", "mode('sharing')", "Share"),
        Binding("e", "mode('explain')", "Explain"),
        Binding("t", "mode('tree')", "Tree"),
        Binding("space", "pause", "Pause", show=False),
        Binding("R", "reverse", "Reverse", show=False),
        Binding("r", "now", "Now", show=False),
        Binding("plus,equals_sign", "slower", "Slower", show=False),
        Binding("minus", "faster", "Faster", show=False),
        Binding("escape", "back", "Back", show=False, priority=True),
    ]
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("↑ ↓", "choose a zone"),
        ("Enter", "its page"),
        ("p", "its processes"),
        ("m", "with whom it shares"),
        ("e", "explain: from its RSS to its charge"),
        ("t", "the tree of cgroups"),
        ("s", "sort by the next column"),
        ("R", "sort the other way round"),
        ("/", "show only zones whose name contains a text"),
        ("Space", "pause"),
        ("r", "take a snapshot now"),
        ("+ -", "longer or shorter interval"),
        ("Esc", "back, one step: out of the filter's line, the page, the filter"),
        ("q, Ctrl-C", "quit"),
    )

    def __init__(
        self,
        camera: Camera,
        interval: float,
        sort: Column = RSS,
        columns: Sequence[Column] | None = None,
        first: Sequence[str] = (),
        style: Style | None = None,
    ) -> None:
        """
        :param interval: seconds from one snapshot to the next
        :param columns: of the table; None: ours
        :param first: names of those that get room before others
        :param style: of the table; None: coloured
        """
        super().__init__()
        self.camera, self.interval = camera, interval
        self.stretched: Callable[[float], float] = lambda seconds: seconds
        """How long an interval is, at the end of what was done in it."""
        self.sort, self.columns, self.first = sort, columns, first
        self.style = style or Style(colour=True)
        self.paused, self.matching = False, ""
        self.views = [View()]
        """What is looked at, and below it what Escape leads back to."""
        self.look: Look | None = None
        """The latest one at the zones."""
        self.page: tuple[View, Look] | None = None
        """The latest page, and what it is of."""
        self.error: Exception | None = None
        """Why it ended by itself."""
        self._running_loop: asyncio.AbstractEventLoop | None = None
        self._table: Table | None = None
        self._wake, self._done = threading.Event(), threading.Event()
        self._photographer = threading.Thread(target=self._take_snapshots, name="camera", daemon=True)

    @property
    def view(self) -> View:
        """What is looked at."""
        return self.views[-1]

    @property
    def mode(self) -> Mode:
        """What is on the screen."""
        return self.view.mode

    def compose(self) -> ComposeResult:
        """The widgets, from top to bottom."""
        yield Static(Text(""), id="machine")
        yield Static(Text(LOOKING), id="head")
        yield ZonesTable(id="zones", cursor_type="row", cell_padding=GAP // 2)
        with ScrollableContainer(id="about"):
            yield Static(Text(""), id="lines")
        yield Static(Text(""), id="warnings")
        yield Input(id="filter", placeholder="part of a zone's name", compact=True)
        yield Footer()

    def on_mount(self) -> None:
        """Show the frame, and begin to look."""
        self._running_loop = asyncio.get_running_loop()
        self.zones.focus()
        self.redraw()
        self._photographer.start()

    @property
    def zones(self) -> ZonesTable:
        """The table."""
        return self.query_one("#zones", ZonesTable)

    # ---- snapshots, in their own thread ----

    def _take_snapshots(self) -> None:
        try:
            while not self._done.is_set():
                self._wake.clear()
                self._tell(self._take_one(self.view))
                self._wake.wait(self.stretched(self.interval))
                while self.paused and not self._wake.is_set():
                    self._wake.wait()
                if not self._wake.is_set():
                    self.interval_over()
        finally:
            self.camera.close()

    def interval_over(self) -> None:
        """The next snapshot is due. In the thread that takes them."""

    def _take_one(self, view: View) -> Message:
        try:
            return Looked(self.camera.take(view.mode, view.zone), view)
        except Exception as err:
            return Failed(err, view)

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(RuntimeError):  # the screen is no more
            self.post_message(message)

    def stop(self, seconds: float) -> bool:
        """
        Tell the thread that takes snapshots to end.

        :param seconds: how long to wait for it
        :return: whether it has ended, and so the camera is closed
        """
        self._done.set()
        self._wake.set()
        if self._photographer.is_alive():
            self._photographer.join(seconds)
        return not self._photographer.is_alive()

    def on_failed(self, message: Failed) -> None:
        """A page that cannot be shown leads back; where the zones cannot, there is nothing to show."""
        if self._done.is_set():
            return
        is_page = message.view.mode not in (Mode.ZONES, Mode.HELP)
        if not is_page or not isinstance(message.error, ZonerssError):
            self.error = message.error
            self._done.set()
            self.exit()
        elif message.view == self.view:
            self._back()
            self.notify(str(message.error), severity="error", markup=False)

    def on_looked(self, message: Looked) -> None:
        """Show it. A page that was left meanwhile is dropped."""
        if self._done.is_set():
            return
        if message.view.mode is not Mode.TREE:  # whose zones are cgroups
            self.look = message.look
        if message.view == self.view:
            self.page = message.view, message.look
        self.redraw()

    # ---- drawing ----

    def redraw(self) -> None:
        """Show the latest snapshot in the present mode."""
        page = self.page[1] if self.page and self.page[0] == self.view else None
        look = page or self.look
        snapshot = look.snapshot if look else None
        self._machine(snapshot)
        self._warn([printable(caveat.text) for caveat in snapshot.warnings] if snapshot else [])
        is_text = self.mode is not Mode.ZONES
        self.query_one("#about").display = is_text
        self.zones.display = not is_text
        if is_text:
            self.query_one("#lines", Static).update(
                Text.from_ansi("\n".join(self._lines(page)), no_wrap=True)
            )
        else:
            self._draw_zones()
        left_out = self._table.left_out if self._table and not is_text else ()
        how = (self.size.width, self.paused, self.matching, left_out)
        head = headline(snapshot, *how) if snapshot else LOOKING
        self.query_one("#head", Static).update(Text(head, no_wrap=True, overflow="ellipsis"))

    def _machine(self, snapshot: Snapshot | None) -> None:
        """Where the machine's memory is, if the terminal has a line to spare."""
        widget = self.query_one("#machine", Static)
        widget.display = self.size.height >= _ROWS_FOR_MACHINE
        if widget.display and snapshot is not None:
            line = "".join(machine_line(snapshot, self.size.width, self.style))
            widget.update(Text.from_ansi(line, no_wrap=True, overflow="ellipsis"))

    def _warn(self, lines: Sequence[str]) -> None:
        widget = self.query_one("#warnings", Static)
        widget.display = bool(lines)
        widget.update(Text("\n".join(lines)))

    def _lines(self, look: Look | None) -> Sequence[str]:
        width = max(self.size.width - 2, 10)  # beside the scroll bar
        if self.mode is Mode.HELP:
            return help_lines(self.KEYS, width)
        return look.page(width) if look and look.page else [LOOKING]

    def _draw_zones(self) -> None:
        """Only what has changed: where the user has scrolled to stays, and so does the zone that was chosen."""
        chosen = self.chosen()
        rows = matching_rows(self.look.rows if self.look else (), self.sort, self.matching)
        marks, machine = (self.look.marks, self.look.snapshot.machine) if self.look else ((), None)
        columns = self.columns and of_machine(self.columns, machine)
        table = lay_out(rows, self.sort, self.size.width, columns, self.style, first=self.first, marks=marks)
        before, self._table = self._table, table
        if before is None or (before.headers, before.widths) != (table.headers, table.widths):
            self._draw_headers(table)
            before = None
        while self.zones.row_count > len(table.rows):
            self.zones.remove_row(str(self.zones.row_count - 1))
        for number, row in enumerate(table.rows):
            if number >= self.zones.row_count:
                cells = (_text(cell, column) for cell, column in zip(row, table.columns, strict=True))
                self.zones.add_row(*cells, key=str(number))
                continue
            old = before.rows[number] if before and number < len(before.rows) else ()
            for place, (cell, column) in enumerate(zip(row, table.columns, strict=True)):
                if not old or old[place] != cell:
                    self.zones.update_cell_at(Coordinate(number, place), _text(cell, column))
        if chosen in table.zones and (row_number := table.zones.index(chosen)) != self.zones.cursor_row:
            self.zones.move_cursor(row=row_number)

    def _draw_headers(self, table: Table) -> None:
        scrolled = self.zones.scroll_y
        self.zones.clear(columns=True)
        for column, header, width in zip(table.columns, table.headers, table.widths, strict=True):
            self.zones.add_column(_text(header, column), key=column.name, width=width)
        if scrolled:
            self.call_after_refresh(self.zones.scroll_to, y=scrolled, animate=False)

    def chosen(self) -> str:
        """The zone under the cursor; none: an empty name."""
        names = self._table.zones if self._table else ()
        row = self.zones.cursor_row
        return names[row] if 0 <= row < len(names) else ""

    # ---- keys and mouse ----

    def action_mode(self, name: str) -> None:
        """Show something else, of the zone that is looked at or chosen; Escape leads back."""
        mode = Mode(name)
        zone = (self.view.zone or self.chosen()) if mode.of_one_zone else None
        view = View(mode, zone)
        if mode is Mode.HELP and mode is self.mode:
            self._back()
        elif mode is self.mode or (mode.of_one_zone and not zone):
            return
        elif view in self.views:
            self._show(self.views[: self.views.index(view) + 1])
        else:
            self._show([*self.views, view])

    def _show(self, views: list[View]) -> None:
        self.views = views
        about = self.query_one("#about")
        about.scroll_home(animate=False)
        self.redraw()
        (self.zones if self.mode is Mode.ZONES else about).focus()
        if self.mode is not Mode.HELP:
            self._wake.set()

    async def action_back(self) -> None:
        """Undo one thing: the filter's line with what was typed, a page, the filter."""
        self._back()

    def _back(self) -> None:
        field = self.query_one("#filter", Input)
        if field.display:
            field.display = False
            self.zones.focus()
            self._filter("")
        elif len(self.views) > 1:
            self._show(self.views[:-1])
        elif self.matching:
            self._filter("")

    def _filter(self, text: str) -> None:
        self.matching = text
        self.redraw()

    def action_filter(self) -> None:
        """Ask for a part of a name."""
        if self.mode is not Mode.ZONES:
            self._show(self.views[:1])
        field = self.query_one("#filter", Input)
        field.value = self.matching
        field.display = True
        field.focus()

    def action_sort(self) -> None:
        """Sort by the next column that is shown."""
        shown = (
            [column for column in self._table.columns if column.name not in SORTED_BY] if self._table else []
        )
        if shown:
            names = [column.name for column in shown]
            at = names.index(self.sort.name) if self.sort.name in names else -1
            self._sort(shown[(at + 1) % len(shown)])

    def action_reverse(self) -> None:
        """Sort by the same column, the other way round."""
        self._sort(sorted_by(self.sort, self.sort))

    def _sort(self, sort: Column) -> None:
        self.sort = sort
        self.redraw()

    def action_pause(self) -> None:
        """Stop looking, or go on."""
        self.paused = not self.paused
        if not self.paused:
            self._wake.set()
        self.redraw()

    def action_now(self) -> None:
        """Look at once."""
        self._wake.set()

    def action_slower(self) -> None:
        """Twice the interval."""
        self._pace(min(self.interval * 2, 3600.0))

    def action_faster(self) -> None:
        """Half the interval."""
        self._pace(max(self.interval / 2, 0.1))
        self._wake.set()

    def _pace(self, seconds: float) -> None:
        self.interval = seconds
        self.notify(f"every {seconds:g} s", timeout=1.5)

    async def action_quit(self) -> None:
        """Leave."""
        self._done.set()
        self.exit()

    def leave(self) -> bool:
        """Leave: for a handler of signals. False: the screen is not there yet."""
        if self._running_loop is None:
            return False
        self._done.set()
        self._running_loop.call_soon_threadsafe(self.exit)
        return True

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        if event.input.display:
            self._filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, go back to the table."""
        event.input.display = False
        self.zones.focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter, or a double click."""
        self.action_mode(Mode.ZONE)

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """A click on a header sorts by it, another one the other way round."""
        if self._table:
            self._sort(sorted_by(self.sort, self._table.columns[event.column_index]))

    def on_resize(self, event: events.Resize) -> None:
        """Other columns may fit. A terminal that is still busy resizing may lose what is drawn meanwhile."""
        self.redraw()
        self.set_timer(0.5, lambda: self.refresh(repaint=True, layout=True))


class ReplayApp(TopApp):
    """The screen of a recording: a line more, with the moment and the speed, and keys that go to and fro in time."""

    CSS = f"{TopApp.CSS}\n#moment {{ height: 1; }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Play/pause", priority=True),
        Binding("left", "step(-1)", "Step", key_display="←→", priority=True),
        Binding("right", "step(1)", "Step", show=False, priority=True),
        Binding("home", "edge(0)", "First", show=False, priority=True),
        Binding("end", "edge(-1)", "Last", show=False, priority=True),
        Binding("plus,equals_sign", "speed(1)", "Faster", show=False, priority=True),
        Binding("minus", "speed(-1)", "Slower", show=False, priority=True),
    ]
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("Space", "play, pause"),
        ("← →", "one snapshot back, on"),
        ("Home End", "the first, the last snapshot"),
        ("+ -", "faster, slower"),
        *(row for row in TopApp.KEYS if row[0] not in ("Space", "r", "+ -")),
    )

    def __init__(self, camera: Camera, player: Player, *args: Any) -> None:
        """
        :param player: where it is; the camera takes the snapshot that this is at
        :param args: as of :class:`TopApp`, from ``sort`` on
        """
        super().__init__(camera, player.wait_seconds, *args)
        self.player = player
        self._said: set[str] = set()
        self._follow()

    def compose(self) -> ComposeResult:
        """The widgets, the line of the moment first."""
        yield Static(Text(""), id="moment")
        yield from super().compose()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The line of the filter has these keys for itself."""
        is_own = action in ("pause", "step", "edge", "speed")
        return not (is_own and self.query_one("#filter", Input).display)

    def redraw(self) -> None:
        """The moment, and all else."""
        machine = self.look.snapshot.machine if self.look else None
        host_name = printable(machine.host_name) if machine else ""
        line = self.player.line(host_name, self.size.width)
        self.query_one("#moment", Static).update(Text(line, no_wrap=True, overflow="ellipsis"))
        super().redraw()

    def _follow(self) -> None:
        """Take over what the player says."""
        self.paused, self.interval = not self.player.is_playing, self.player.wait_seconds

    def _take_one(self, view: View) -> Message:
        """Of what is damaged that is said, once, and the next one is taken."""
        while True:
            message = super()._take_one(view)
            if not (isinstance(message, Failed) and isinstance(message.error, Damaged)):
                return message
            sentence = str(message.error)
            if sentence not in self._said:
                self._said.add(sentence)
                self._tell(LeftOut(sentence))
            if not self.player.skip():
                return message
            self._follow()

    def on_left_out(self, message: LeftOut) -> None:
        """Say it."""
        self.notify(f"left out: {printable(message.sentence)}", severity="warning", markup=False)

    def interval_over(self) -> None:
        """One snapshot on."""
        self.player.advance()
        self._follow()

    def _jump(self) -> None:
        self._follow()
        self._wake.set()
        self.redraw()

    def action_pause(self) -> None:
        """Play, or pause."""
        self.player.toggle()
        self._jump()

    def action_step(self, count: int) -> None:
        """On or back; it pauses there."""
        self.player.is_playing = False
        self.player.step(count)
        self._jump()

    def action_edge(self, index: int) -> None:
        """To the first or the last snapshot."""
        self.player.is_playing = self.player.is_playing and index == 0
        self.player.edge(index)
        self._jump()

    def action_speed(self, count: int) -> None:
        """Twice as fast, or half as fast."""
        self.player.change_speed(count)
        self._jump()


def _text(cell: str, column: Column) -> Text:
    """A painted cell."""
    justify: JustifyMethod = "left" if column.left else "right"
    if "\x1b" not in cell:
        return Text(cell, justify=justify, no_wrap=True, end="")
    return Text.from_ansi(cell, justify=justify, no_wrap=True, end="")
