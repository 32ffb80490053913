"""cap: complete texts of records made by hand."""

from __future__ import annotations

import pytest
from tests.unit.cap.test_status import FORECAST, STATUS, ZONE

from zonerss.cap.forecast import forecast, why_not_reclaim
from zonerss.cap.records import Cap, Classes, Look, Machine
from zonerss.cap.status import ZoneForecast, laid_flat
from zonerss.plain import replace
from zonerss.views.cap import document, forecast_text, render, render_since
from zonerss.views.terminal import Terminal, printing_to

MIB = 1 << 20
MACHINE = Machine(0, 4096 * MIB, 2048 * MIB, 960 * MIB, 960 * MIB, False)
CLASSES = Classes(
    shared_bytes=100 * MIB,
    shared_with=(("db", 100 * MIB),),
    locked_bytes=0,
    several_anon_bytes=0,
    several_file_bytes=0,
    several_shmem_bytes=0,
    own_anon_bytes=401 * MIB,
    own_file_bytes=101 * MIB,
    own_shmem_bytes=0,
)
COLD = replace(
    CLASSES,
    cold_anon_bytes=201 * MIB,
    cold_file_bytes=50 * MIB,
    cold_shmem_bytes=0,
    unknown_bytes=0,
    cold_seconds=3.0,
)


def foretold(
    classes: Classes, cap_mib: int = 400, machine: Machine = MACHINE, reclaimable: bool = False
) -> ZoneForecast:
    cap = Cap("web", cap_mib * MIB)
    look = Look("web", "/web", 0, 0, classes, None, 0, 0, reclaimable)
    return laid_flat(forecast(cap, look, machine), why_not_reclaim(cap, look, machine))


def test_the_sentence() -> None:
    assert forecast_text(foretold(COLD)) == (
        "over by 202M; can be had without pain 251M (201M anon into 900M of swap, 50M file); 100M is shared with db "
        "and cannot be had here; working set 351M"
    )


def test_nothing_was_cleared() -> None:
    assert forecast_text(foretold(CLASSES)) == (
        "over by 202M; at most 502M (401M anon into 900M of swap, 101M file) can be had: coldness was not measured; "
        "100M is shared with db and cannot be had here"
    )


def test_no_swap() -> None:
    machine = replace(MACHINE, swap_bytes=0, swap_free_bytes=0)
    assert forecast_text(foretold(COLD, machine=machine)) == (
        "over by 202M; can be had without pain 50M (50M file), 152M less than wanted; 100M is shared with db and "
        "cannot be had here; 401M is anon or shmem, and there is no free swap for it; working set 351M"
    )


def test_the_working_set_is_above_the_cap() -> None:
    text = forecast_text(foretold(COLD, 300))
    assert text.startswith(
        "over by 302M; can be had without pain 251M (201M anon into 900M of swap, 50M file), 51M less"
    )
    assert text.endswith("working set 351M, which is above the cap")


def test_all_is_shared() -> None:
    shared = replace(COLD, own_anon_bytes=0, own_file_bytes=0, cold_anon_bytes=0, cold_file_bytes=0)
    many = replace(shared, shared_with=tuple((name, MIB) for name in ("db", "x\x1b[2J", "y", "z", "u")))
    assert forecast_text(foretold(many, 50)) == (
        "over by 50M; nothing can be had without pain; 100M is shared with db, x\\x1b[2J, y and 2 other zones "
        "and cannot be had here; working set 100M, which is above the cap"
    )


def test_under_the_cap() -> None:
    assert forecast_text(foretold(COLD, 1000)).startswith(
        "not over: 602M of 1000M; can be had without pain 251M"
    )


def test_several_processes_and_locked_pages() -> None:
    several = replace(COLD, several_anon_bytes=30 * MIB, locked_bytes=5 * MIB)
    text = forecast_text(foretold(several))
    assert (
        "30M is mapped by several of its processes and cannot be had (its cgroup has no memory.reclaim"
        in text
    )
    assert "; 5.0M is locked;" in text


def test_the_table() -> None:
    lines = render(STATUS)
    assert lines[0].split() == [
        *("ZONE", "RSS", "CAP", "NOVER", "POUT", "SWAP%", "EXCESS", "COLD", "REFAULT", "LAST", "ACTION")
    ]
    assert lines[1].split() == [
        "web",
        "\\xff١\\x0a",
        "0K",
        "0K",
        "2",
        "0K",
        "1.50",
        "0K",
        "0K",
        "0K",
        "paged",
        "out",
    ]
    assert lines[2].split() == ["new", "–", "0K", "2", "0K", "–", "–", "–", "0K", "paged", "out"]
    assert lines[-2:] == [
        "2 zones under a cap, 1 over, 1 not known. 50% of 0K of memory is in use; nothing is done below 80%. "
        "Swap: 0K of 0K is free.",
        "c.toml:1:1: wrong.",
    ]
    assert render(replace(STATUS, enforce=False))[-2] == "A dry run: nothing is paged out without --enforce."
    assert any(line.startswith("web \\xff١\\x0a: over by 0K; can be had") for line in lines)


def test_what_it_is_at_most_where_no_walk_was_needed() -> None:
    (row,) = render(
        replace(STATUS, zones=(replace(ZONE, rss_bytes=None, bound_bytes=5 * MIB, forecast=None),))
    )[1:2]
    assert row.split()[2] == "≤5.0M"


def test_whole_bytes() -> None:
    assert render(STATUS, in_bytes=True)[1].split()[2:4] == ["17", "10"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    with printing_to(Terminal(width, 24)):
        lines = [*render(STATUS), *render_since(STATUS, None)]
    assert all(len(line) <= width for line in lines)


def test_since_the_last_one() -> None:
    before = replace(STATUS, zones=(replace(ZONE, asked_bytes=5, pout_bytes=3, refault_bytes=1),))
    lines = render_since(STATUS, before, in_bytes=True)
    assert lines[0].split() == ["ZONE", "RSS", "CAP", "AT", "PG", "BACK", "LAST", "ACTION"]
    assert lines[1].split()[2:] == ["17", "10", "4", "5", "0", "paged", "out"]
    assert lines[2].split()[1:] == ["–", "10", "9", "8", "1", "paged", "out"]  # it is new
    restarted = replace(STATUS, zones=(replace(ZONE, asked_bytes=100),))
    assert render_since(STATUS, restarted, in_bytes=True)[1].split()[4:7] == ["9", "8", "1"]
    other = replace(
        STATUS, began="2026-11-28T09:00:00.000000Z", zones=(replace(ZONE, asked_bytes=5, pout_bytes=9),)
    )
    assert render_since(STATUS, other, in_bytes=True)[1].split()[4:7] == ["9", "8", "1"]  # of another capper


def test_the_document_is_safe_to_encode() -> None:
    (zone, new) = document(STATUS)["zones"]
    assert zone["zone"] == "web \\xff\u0661\n"
    assert zone["forecast"]["shared_with"][1]["zone"] == "odd \\xff"
    assert (zone["forecast"]["text"], new["forecast"]) == (forecast_text(FORECAST), None)
