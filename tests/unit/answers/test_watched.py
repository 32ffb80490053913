"""Zones that are looked at again and again: the verdict of their latest looks, and what is asked for it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.answers.reports import look, process, zone
from tests.unit.builders import MIB, evidence

from zonerss.answers.files import FileUsage
from zonerss.answers.trend import LEAST_POINTS
from zonerss.answers.verdict import Verdict, Word
from zonerss.answers.watched import LOOKS, Watched
from zonerss.plain import replace
from zonerss.records.files import FileKind, MappedFile, OpenFile

LOG = "/var/log/x.log"
DATA = MappedFile("/srv/data", FileKind.FILE, True, 0, (8, 1), 9)


def add(watched: Watched, seconds: float, rss: int, cache: int = 0, zones: Sequence[str] = ("web",)) -> None:
    """A look at a zone, beside another one that is not watched; of its open log as much is cached as there is cache."""
    web = zone("web", rss, charged_bytes=rss + cache, cache_unmapped_bytes=cache)
    processes = [process(11, "web", rss, command="httpd"), process(12, "db", rss)]
    watched.add(
        replace(look(seconds, [web, zone("db", rss)], processes), evidence=evidence()),
        zones,
        lambda cgroup: None,
    )
    if watched.wants_open_files("web", cache):
        watched.opened("web", [OpenFile(LOG, (8, 1), 7, 11, cache, cache)])


def verdict(watched: Watched) -> Verdict:
    found = watched.verdict("web")
    assert found
    return found


def test_nothing_is_told_before_there_are_enough():
    watched = Watched()
    assert watched.verdict("web") is None
    for n in range(LEAST_POINTS):
        add(watched, n, (20 + n) * MIB)
        assert verdict(watched).word is (Word.GROWS if n == LEAST_POINTS - 1 else None)
    found = verdict(watched)
    assert found.cause
    assert (found.cause.kind, found.cause.pid, found.cause.command) == ("anon", 11, "httpd")
    assert watched.verdict("db") is None  # is not watched


def test_page_cache_is_of_the_file_that_its_process_holds_open():
    watched = Watched()
    for n in range(10):
        add(watched, n, 20 * MIB, n * MIB)
    found = verdict(watched)
    assert found.word is Word.BILL_ONLY
    assert f"page cache that nobody maps of {LOG} (open by pid 11 (httpd))" in found.because


def test_open_files_are_looked_at_first_and_when_page_cache_has_grown():
    watched = Watched()
    assert not watched.wants_open_files("web", None)
    wanted = [watched.wants_open_files("web", size) for size in (5 * MIB, 5 * MIB + 4096, 6 * MIB, 4 * MIB)]
    assert wanted == [True, False, True, False]


def test_only_the_latest_looks_are_judged():
    watched = Watched(looks=LEAST_POINTS)
    for n in range(20):
        add(watched, n, (20 + n) * MIB, n * MIB)
    assert verdict(watched).word is Word.GROWS
    for n in range(20, 20 + LEAST_POINTS):
        add(watched, n, 39 * MIB, 19 * MIB)
    found = verdict(watched)
    assert (found.word, found.because) == (Word.STEADY, "it hardly moved")
    assert LOOKS > LEAST_POINTS


def test_who_was_not_in_the_latest_looks_is_forgotten():
    watched = Watched(looks=3)
    for n in range(5):
        add(watched, n, 20 * MIB)
    for n in range(5, 8):
        add(watched, n, 20 * MIB, zones=())
    assert watched.verdict("web") is None


def test_a_clock_that_is_set_back_begins_anew():
    watched = Watched()
    for n in range(10):
        add(watched, n, (20 + n) * MIB)
    add(watched, -3600, 20 * MIB)
    assert verdict(watched).word is None


def test_the_file_that_grew_is_named():
    watched = Watched()
    for n in range(10):
        web = zone("web", 0, anon_bytes=10 * MIB, file_bytes=(10 + n) * MIB)
        mapping = process(11, "web", (20 + n) * MIB, anon_bytes=10 * MIB, file_bytes=(10 + n) * MIB)
        watched.add(replace(look(n, [web], [mapping]), evidence=evidence()), ["web"], lambda cgroup: None)
        watched.files("web", [FileUsage(DATA, (10 + n) * MIB, 0, (("web", (10 + n) * MIB),))])
    found = verdict(watched).cause
    assert found
    assert (found.kind, found.file) == ("file", "/srv/data")
