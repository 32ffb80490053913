"""wss: complete texts of records made by hand."""

from __future__ import annotations

from tests.unit import documents
from tests.unit.answers.test_wss import taken

from zonerss.answers.wss import working_sets
from zonerss.plain import replace
from zonerss.records import Cause, Caveat, Gap
from zonerss.views.terminal import Style, Terminal, printing_to
from zonerss.views.wss import TOUCHED, bar, document, last_lines, render

FOUND = working_sets(taken())


def test_in_a_pipe_all_columns() -> None:
    lines = render(FOUND)
    assert lines[0].split() == [
        *("ZONE", "KIND", "PROCS", "RSS", "TOUCHED", "ANON", "FILE", "SHMEM", "UNKNOWN", "IDLE", "STALL")
    ]
    assert lines[1].split() == ["web", "cgroup", "3", "68K", "20K", "20K", "0K", "0K", "12K", "36K", "0.0"]
    assert lines[2].split()[-1] == "–"


def test_on_a_terminal_bars_and_nothing_wider_than_it_is() -> None:
    for width in (60, 80, 132):
        with printing_to(Terminal(width, 24)):
            lines = render(FOUND)
        assert all(len(line) <= width for line in lines)
        assert lines[0].split()[:4] == ["ZONE", "RSS", "TOUCHED", "UNKNOWN"]
        assert "█" in lines[1]
        assert "·" in lines[1]
        assert "?" in lines[2]


def test_the_bar_is_touched_then_unknown_then_idle() -> None:
    web = FOUND.zones[0]  # 5 of 17 touched, 3 unknown
    assert bar(web, web.rss_bytes, 17, Style()) == "█████???·········"
    assert bar(web, 2 * web.rss_bytes, 34, Style()) == "█████???·········"
    assert bar(replace(web, rss_bytes=0, touched_anon_bytes=0, unknown_bytes=0), 0, 17, Style()) == ""


def test_the_last_lines_say_how_wrong_it_can_be() -> None:
    warned = replace(FOUND, snapshot=replace(FOUND.snapshot, warnings=(Caveat("damon", "DAMON \x1b runs."),)))
    assert last_lines(warned) == [
        "2 zones, 3 processes: 20K of 112K touched in 3.5 s, each page once. The longest stall: 0.0 ms (cold).",
        "Unknown: 56K, of pages that are mapped more than once, locked, or a driver's: MADV_COLD leaves their bits as "
        "they are (--method clear_refs clears them).",
        "A huge page is touched as a whole. Pages that only read(2) and the like have used are not seen.",
        "DAMON \\x1b runs.",
        "Bits not cleared, so what they map is unknown: 1 process not cleared in time.",
    ]


def test_what_was_not_cleared_is_counted_by_cause() -> None:
    gaps = (Gap(1, "clear", Cause.REFUSED), Gap(2, "clear", Cause.REFUSED), Gap(3, "clear", Cause.EXITED))
    line = last_lines(replace(FOUND, unarmed=gaps, method="clear_refs"))[-1]
    assert line.endswith(": 2 processes refused, or too large for --stall; 1 process gone by then.")
    line = last_lines(replace(FOUND, unarmed=gaps, method="cold"))[-1]
    assert line.endswith(
        ": 2 processes refused, as all are whose first thread has ended; 1 process gone by then."
    )


def test_tables_of_processes_and_files() -> None:
    found = working_sets(taken(), processes=True, held=({}, ()))
    lines = render(found, TOUCHED, 1)
    assert sum(line.startswith("PID") or line.lstrip().startswith("PID") for line in lines) == 1
    assert "No file is mapped." in lines


def test_the_document_is_limited() -> None:
    fields = document(working_sets(taken(), processes=True), limit=1)
    assert len(fields["zones"]) == len(fields["processes"]) == 1
    assert "files" not in fields
    assert "gaps" in fields
    assert documents.printed(fields).count("longest_stall_ns") == 3
