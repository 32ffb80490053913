"""The screen of top, by textual: a table of zones that is taken anew every few seconds, and lines of text about one.

Snapshots come from a :class:`Camera`, in a thread of its own: the walk releases Python's lock, so keys are
handled meanwhile. Names may contain anything: all text reaches textual as rich Text, never as markup.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.widgets import DataTable, Footer, Input, Static

from zonerss.errors import ZonerssError
from zonerss.snapshot import Snapshot
from zonerss.views.columns import RSS, ZONE, Column, cell
from zonerss.views.text import printable
from zonerss.views.top import (
    TOP_COLUMNS,
    History,
    Look,
    Mode,
    headline,
    help_lines,
    process_lines,
    sharing_lines,
    shown_columns,
    zone_rows,
)


class Camera(Protocol):
    """Who takes snapshots; called from one thread only."""

    def take(self, mode: Mode, zone: str | None) -> Look:
        """
        Look at the machine for what a mode shows.

        :raises ZonerssError: it could not be done
        """


class TopApp(App[str]):
    """The screen. Its result is the sentence to print at the end, if something went wrong."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "zonerss"
    CSS = """
    Screen { layout: vertical; }
    #head { height: 1; text-style: reverse; }
    #zones { height: 1fr; }
    #about { height: 1fr; display: none; }
    #lines { width: auto; }
    #filter { display: none; height: 1; border: none; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("question_mark,h", "mode('help')", "Help", key_display="?"),
        Binding("s", "sort", "Sort"),
        Binding("enter", "mode('processes')", "Processes"),
        Binding("t", "mode('tree')", "Tree"),
        Binding("m", "mode('sharing')", "Shared"),
        Binding("e", "mode('explain')", "Explain"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("space,p", "pause", "Pause", key_display="␣"),
        Binding("r", "now", "Now", show=False),
        Binding("plus,equals_sign", "slower", "Slower", show=False),
        Binding("minus", "faster", "Faster", show=False),
        Binding("escape", "mode('zones')", "Back", show=False, priority=True),
    ]
    KEYS = (
        ("↑ ↓", "choose a zone"),
        ("Enter", "its processes"),
        ("m", "with whom it shares"),
        ("e", "explain: from its RSS to its charge"),
        ("t", "the tree of cgroups"),
        ("s", "sort by the next column"),
        ("/", "show only zones whose name contains a text"),
        ("Space, p", "pause"),
        ("r", "take a snapshot now"),
        ("+ -", "longer or shorter interval"),
        ("Esc", "back to the zones"),
        ("q", "quit"),
    )

    def __init__(self, camera: Camera, interval: float, users: Mapping[int, str]) -> None:
        """
        :param interval: seconds from the begin of one snapshot to the begin of the next
        :param users: login names by user id
        """
        super().__init__()
        self.camera, self.interval, self.users = camera, interval, users
        self.mode, self.zone, self.sort, self.paused, self.matching = Mode.ZONES, "", RSS, False, ""
        self.look: Look | None = None
        self.history = History()
        self._wake, self._done = threading.Event(), threading.Event()

    def compose(self) -> ComposeResult:
        """The widgets, from top to bottom."""
        yield Static(Text("looking..."), id="head")
        yield DataTable(id="zones", cursor_type="row", zebra_stripes=False)
        with ScrollableContainer(id="about"):
            yield Static(Text(""), id="lines")
        yield Input(id="filter", placeholder="part of a zone's name", compact=True)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        self.zones.focus()
        self._run_camera()

    @property
    def zones(self) -> DataTable[Text]:
        """The table."""
        return self.query_one("#zones", DataTable)

    # ---- snapshots, in their own thread ----

    @work(thread=True, exclusive=True)
    def _run_camera(self) -> None:
        while not self._done.is_set():
            self._wake.clear()
            mode, zone = self.mode, self.zone
            try:
                look = self.camera.take(mode, zone or None)
            except ZonerssError as err:
                if mode in (Mode.ZONES, Mode.HELP) or self._done.is_set():
                    self._tell(self._fail, str(err))
                    return
                self._tell(self._refused, str(err))
                continue
            self._tell(self._take, look, mode)
            self._wake.wait(self.interval)
            while self.paused and not self._wake.is_set() and not self._done.is_set():
                self._wake.wait(1)

    def _tell(self, what: Any, *arguments: Any) -> None:
        if not self._done.is_set():
            self.call_from_thread(what, *arguments)

    def _fail(self, sentence: str) -> None:
        self._done.set()
        self.exit(sentence)

    def _refused(self, sentence: str) -> None:
        self.action_mode("zones")
        self.notify(Text(sentence).plain, severity="error", markup=False)

    def _take(self, look: Look, mode: Mode) -> None:
        if mode is not self.mode:
            return  # of a mode that was left meanwhile: it may have other zones
        self.look = look
        if mode is not Mode.TREE:
            self.history.add(look.snapshot)
        self.redraw()

    # ---- drawing ----

    def redraw(self) -> None:
        """Show the latest snapshot in the present mode."""
        if self.look is None:
            return
        snapshot = self.look.snapshot
        head = headline(snapshot, self.sort, self.paused, self.matching)
        self.query_one("#head", Static).update(Text(head, no_wrap=True, overflow="ellipsis"))
        text = self.mode not in (Mode.ZONES,)
        self.query_one("#about").display = text
        self.zones.display = not text
        if text:
            self.query_one("#lines", Static).update(Text("\n".join(self._lines()), no_wrap=True))
        else:
            self._draw_zones(snapshot)

    def _lines(self) -> Sequence[str]:
        if self.mode is Mode.HELP:
            return help_lines(self.KEYS)
        if self.look is None or (self.mode in (Mode.TREE, Mode.EXPLAIN) and not self.look.lines):
            return ["looking..."]
        if self.mode is Mode.PROCESSES:
            if self.look.snapshot.processes is None:
                return ["looking..."]
            return [
                f"Processes of {printable(self.zone)}:",
                "",
                *process_lines(self.look.snapshot, self.zone, self.users),
            ]
        if self.mode is Mode.SHARING:
            return sharing_lines(self.look.snapshot, self.zone)
        return self.look.lines

    def _draw_zones(self, snapshot: Snapshot) -> None:
        table, chosen = self.zones, self._chosen()
        columns = shown_columns(self.size.width)
        table.clear(columns=[column.value for column in table.columns] != [c.name for c in columns])
        if not table.columns:
            for column in columns:
                mark = "▼" if column.name == self.sort.name else ""
                table.add_column(Text(column.header + mark), key=column.name)
        for key, width in table.columns.items():
            column = next(c for c in columns if c.name == key.value)
            width.label = Text(column.header + ("▼" if column.name == self.sort.name else ""))
        rows = zone_rows(snapshot, self.history, self.sort, self.matching)
        for row in rows:
            cells = (
                Text(cell(column, row), justify="left" if column.left else "right", no_wrap=True)
                for column in columns
            )
            table.add_row(*cells, key=row.zone)
        names = [row.zone for row in rows]
        if chosen in names:
            table.move_cursor(row=names.index(chosen), animate=False)

    def _chosen(self) -> str:
        """The zone under the cursor; the first one where there is none."""
        table = self.zones
        if not table.row_count:
            return ""
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        return key or ""

    # ---- keys and mouse ----

    def action_mode(self, name: str) -> None:
        """Show something else; Escape leads back to the zones, and out of the filter."""
        mode = Mode(name)
        field = self.query_one("#filter", Input)
        if field.display:
            field.display = False
            self.matching = field.value = ""
            self.zones.focus()
        if mode in (Mode.PROCESSES, Mode.SHARING, Mode.EXPLAIN):
            if self.mode in (Mode.ZONES,):
                self.zone = self._chosen()
            if not self.zone:
                return
        if mode is self.mode and mode is Mode.HELP:
            mode = Mode.ZONES
        changed, self.mode = mode is not self.mode, mode
        if changed and self.look is not None and mode is not Mode.HELP:
            self.look = Look(self.look.snapshot)  # lines of the mode before say nothing here
        self.redraw()
        (self.zones if mode is Mode.ZONES else self.query_one("#about")).focus()
        if changed and mode is not Mode.HELP:
            self._wake.set()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort_by(TOP_COLUMNS[(TOP_COLUMNS.index(self.sort) + 1) % len(TOP_COLUMNS)])

    def _sort_by(self, column: Column) -> None:
        self.sort = column
        self.zones.clear(columns=True)
        self.redraw()

    def action_filter(self) -> None:
        """Ask for a part of a name."""
        self.action_mode("zones")
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

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
        self.interval = min(self.interval * 2, 3600.0)
        self.notify(f"every {self.interval:g} s", timeout=1.5)

    def action_faster(self) -> None:
        """Half the interval."""
        self.interval = max(self.interval / 2, 0.1)
        self.notify(f"every {self.interval:g} s", timeout=1.5)
        self._wake.set()

    async def action_quit(self) -> None:
        """Leave."""
        self.stop()
        self.exit()

    def stop(self) -> None:
        """Let the thread that takes snapshots end."""
        self._done.set()
        self._wake.set()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        if event.input.display:
            self.matching = event.value
            self.redraw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter, go back to the table."""
        event.input.display = False
        self.zones.focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter, or a click on the row that is chosen already."""
        self.action_mode("processes")

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """A click on a header sorts by it."""
        name = event.column_key.value
        column = next((c for c in (*TOP_COLUMNS, ZONE) if c.name == name), None)
        if column in TOP_COLUMNS:
            self._sort_by(column)

    def on_resize(self, event: events.Resize) -> None:
        """Other columns may fit. A terminal that is still busy resizing may lose what is drawn meanwhile."""
        self.redraw()
        self.set_timer(0.5, lambda: self.refresh(repaint=True, layout=True))
