"""What a recording tells of zones and processes: the right verdict, of the right process and file."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from tests.unit import builders
from tests.unit.answers.reports import MIB, look, process, recorded, zone

from zonerss.answers.files import FileUsage
from zonerss.answers.report import Report, Reporter, ZoneReport, compared
from zonerss.answers.verdict import Word
from zonerss.plain import replace
from zonerss.records.bills import Bill
from zonerss.records.files import FileKind, MappedFile, OpenFile

KIB = 1 << 10
RUNS = 50
LOG = "/var/log/x.log"


def one(report: Report, name: str) -> ZoneReport:
    return next(zone for zone in report.zones if zone.usage.zone == name)


def held(inode: int, name: str, cached: int) -> OpenFile:
    return OpenFile(name, (8, 1), inode, 15, cached, cached)


def service(seed: int) -> Report:
    """60 snapshots, a second apart, of a leak of 64 KiB a second, a saw, a log that grows, and a steady zone."""
    rng, reporter = random.Random(seed), Reporter("zone", processors=2)
    period, height, first = rng.randint(6, 20), rng.uniform(3, 30), rng.randrange(1 << 20)
    spread = rng.uniform(0.01, 0.05)
    for n in range(60):
        at = n + rng.uniform(-0.2, 0.2)
        leak = 30 * MIB + at * 64 * KIB + rng.gauss(0, 100 * KIB)
        saw = 40 * MIB + height * MIB * ((first + n) % period) / period
        steady = 100 * MIB * (1 + rng.gauss(0, spread))
        logger, written = 12 * MIB + rng.gauss(0, 30 * KIB), int(at * 256 * KIB) // 4096 * 4096
        reporter.add(
            look(
                at,
                [
                    zone("leak", leak + 20 * MIB),
                    zone("saw", saw),
                    zone("steady", steady),
                    zone("log", logger, charged_bytes=int(logger) + written, cache_unmapped_bytes=written),
                ],
                [
                    process(11, "leak", 20 * MIB, command="idle"),
                    process(12, "leak", leak, command="leaker"),
                    process(13, "saw", saw),
                    process(14, "steady", steady),
                    process(15, "log", logger, command="rsyslogd"),
                ],
            )
        )
        if n % 10 == 0:
            reporter.opened([("log", held(7, LOG, written)), ("log", held(8, "/var/lib/big", 900 * MIB))])
    return reporter.report("x.zrec", "vm", 60)


def test_a_leak_a_saw_and_a_log_are_told_apart_every_time():
    found: Counter[tuple[str, Word | None]] = Counter()
    for seed in range(RUNS):
        report = service(seed)
        found.update((zone.usage.zone, zone.verdict.word) for zone in report.zones)
        cause = one(report, "leak").verdict.cause
        assert cause
        assert (cause.kind, cause.pid, cause.command) == ("anon", 12, "leaker")
        cause = one(report, "log").verdict.cause
        assert cause
        assert (cause.kind, cause.file, cause.pid, cause.command) == ("cache", LOG, 15, "rsyslogd")
        growing = [process.usage.pid for process in report.processes if process.verdict.bytes_per_second]
        assert growing == [12]
    assert found["leak", Word.GROWS] == RUNS
    assert found["saw", Word.SAW_TOOTH] == RUNS
    assert found["log", Word.BILL_ONLY] == RUNS
    assert found["steady", Word.GROWS] == 0


def test_a_verdict_names_what_it_rests_on():
    report = service(0)
    assert "page cache that nobody maps of /var/log/x.log (open by pid 15 (rsyslogd))" in (
        one(report, "log").verdict.because
    )
    assert "anon of pid 12 (leaker)" in one(report, "leak").verdict.because
    assert all(zone.verdict.would_change for zone in report.zones)


def test_what_is_not_kept_is_not_guessed():
    reporter = Reporter("zone")
    for n in range(30):
        cached = n * MIB
        reporter.add(
            look(n, [zone("log", 9 * MIB, charged_bytes=9 * MIB + cached, cache_unmapped_bytes=cached)])
        )
    found = one(reporter.report("x", "vm", 30), "log").verdict
    assert found.word is Word.BILL_ONLY
    assert found.cause
    assert (found.cause.kind, found.cause.file, found.cause.pid) == ("cache", None, None)
    assert "of which file was not recorded" in found.because


@pytest.mark.parametrize(
    ("stat", "kind", "words"),
    [
        ("slab", "slab", "slab memory of the kernel"),
        ("sock", "sockets", "socket buffers"),
        ("", "kernel", "memory of the kernel"),
    ],
)
def test_kernel_memory_on_the_bill_is_named(stat: str, kind: str, words: str) -> None:
    reporter = Reporter("zone")
    for n in range(30):
        stats = {"slab": 0, "sock": 0} | ({stat: n * MIB} if stat else {})
        bill = Bill(2, (9 + n) * MIB, stats, None, (1 + n) * MIB, None, None)
        reporter.add(look(n, [zone("web", 9 * MIB, charged_bytes=(9 + n) * MIB)]), bill=lambda cgroup: bill)  # noqa: B023
    found = one(reporter.report("x", "vm", 30), "web").verdict
    assert found.word is Word.BILL_ONLY
    assert found.cause
    assert found.cause.kind == kind
    assert f"29M of it {words}" in found.because


def pool(written: int) -> Report:
    """Three workers write to so much of 64M that they inherited, each its own part, a mebibyte a second."""
    reporter = Reporter("zone")
    for n in range(60):
        copied = min(n * MIB, written)
        workers = [
            process(pid, "pool", 70 * MIB, exclusive_bytes=2 * MIB + copied, command="worker")
            for pid in (21, 22, 23)
        ]
        parent = process(20, "pool", 70 * MIB, exclusive_bytes=2 * MIB, command="master")
        reporter.add(look(n, [zone("pool", 80 * MIB + 3 * copied)], [parent, *workers]))
    return reporter.report("x", "vm", 60)


def test_sharing_that_wears_off_is_told_with_its_rate():
    report = pool(64 * MIB)
    found = one(report, "pool").verdict
    assert found.word is Word.UNSHARING
    assert found.bytes_per_second == pytest.approx(3 * MIB, rel=0.05)
    assert (
        "each of 3 processes, on average, shared 68M with others at first and 9.0M in the end"
        in found.because
    )
    words = {process.usage.pid: process.verdict.word for process in report.processes}
    assert words == {20: Word.STEADY, 21: Word.UNSHARING, 22: Word.UNSHARING, 23: Word.UNSHARING}


def test_a_process_whose_sharing_wears_off_does_not_grow_by_the_slope_of_its_noise():
    reporter = Reporter("zone")
    for n in range(60):
        workers = [
            process(pid, "pool", 70 * MIB + n * 4096, exclusive_bytes=2 * MIB + n * MIB)
            for pid in (21, 22, 23)
        ]
        reporter.add(look(n, [zone("pool", 80 * MIB + 3 * n * MIB)], workers))
    processes = reporter.report("x", "vm", 60).processes
    assert {process.verdict.word for process in processes} == {Word.UNSHARING}
    assert any(process.verdict.slope and process.verdict.slope.bytes_per_second for process in processes)
    assert {process.verdict.bytes_per_second for process in processes} == {0.0}


def test_workers_that_leak_of_their_own_are_not_unsharing():
    reporter = Reporter("zone")
    for n in range(60):
        own = n * MIB
        workers = [process(pid, "pool", 70 * MIB + own, exclusive_bytes=2 * MIB + own) for pid in (21, 22)]
        reporter.add(look(n, [zone("pool", 80 * MIB + 2 * own)], workers))
    assert one(reporter.report("x", "vm", 60), "pool").verdict.word is Word.GROWS


def test_more_and_more_processes_are_the_cause():
    reporter = Reporter("zone")
    for n in range(40):
        found = [process(pid, "web", 3 * MIB) for pid in range(100, 110 + n)]
        reporter.add(look(n, [zone("web", len(found) * 3 * MIB, processes=len(found))], found))
    verdict = one(reporter.report("x", "vm", 40), "web").verdict
    assert verdict.cause
    assert (verdict.cause.kind, verdict.cause.processes) == ("processes", 39)


def test_the_file_that_grew_is_named():
    segment = MappedFile("/dev/shm/x", FileKind.TMPFS, True, device=(0, 25), inode=9)
    other = MappedFile("/dev/shm/y", FileKind.TMPFS, True, device=(0, 25), inode=10)
    reporter = Reporter("zone")
    for n in range(30):
        usage = replace(zone("web", 9 * MIB), shmem_bytes=n * MIB)
        reporter.add(
            look(n, [usage], [process(7, "web", 9 * MIB, shmem_bytes=n * MIB, rss_bytes=(9 + n) * MIB)])
        )

    def files(name: str) -> tuple[list[FileUsage], list[FileUsage]]:
        assert name == "web"
        return [FileUsage(other, 90 * MIB, 0, ())], [
            FileUsage(other, 90 * MIB, 0, ()),
            FileUsage(segment, 29 * MIB, 0, ()),
        ]

    verdict = one(reporter.report("x", "vm", 30, files), "web").verdict
    assert verdict.cause
    assert (verdict.word, verdict.cause.kind, verdict.cause.file) == (Word.GROWS, "shmem", "/dev/shm/x")


def test_a_leak_that_is_swapped_out_grows():
    reporter = Reporter("zone")
    for n in range(30):
        usage = replace(zone("web", 90 * MIB), swap_bytes=n * MIB)
        reporter.add(look(n, [usage], [process(7, "web", 90 * MIB, swap_bytes=n * MIB)]))
    verdict = one(reporter.report("x", "vm", 30), "web").verdict
    assert verdict.cause
    assert (verdict.word, verdict.cause.kind, verdict.cause.pid) == (Word.GROWS, "swap", 7)


def test_the_limit_is_met_before_the_machine():
    reporter = Reporter("zone")
    for n in range(30):
        reporter.add(look(n, [zone("web", (10 + n) * MIB, limit_bytes=99 * MIB), zone("db", (10 + n) * MIB)]))
    report = reporter.report("x", "vm", 30)
    met = one(report, "web").verdict.meets
    assert met
    assert met.what == "limit"
    assert met.in_seconds == pytest.approx(60, rel=0.01)
    met = one(report, "db").verdict.meets
    assert met
    assert met.what == "machine"
    assert met.in_seconds == pytest.approx(builders.MACHINE.available_bytes / MIB, rel=0.01)  # type: ignore[operator]


def test_a_zone_that_came_later_has_its_own_time():
    reporter = Reporter("zone")
    for n in range(20):
        zones = [zone("old", 9 * MIB)] + ([zone("new", 9 * MIB)] if n >= 15 else [])
        reporter.add(look(n, zones))
    report = reporter.report("x", "vm", 20)
    assert (one(report, "new").looks, one(report, "new").first.seconds) == (5, 15.0)
    assert one(report, "new").verdict.word is None


def test_two_recordings_are_compared_worst_growth_first():
    before = recorded({"a": lambda n: 9 * MIB, "b": lambda n: (9 + n) * MIB, "gone": lambda n: MIB})
    after = recorded({"a": lambda n: (9 + n) * MIB, "b": lambda n: (9 + n) * MIB, "new": lambda n: 3 * MIB})
    rows = compared(before, after)
    assert rows[0].zone == "a"
    by_name = {row.zone: row for row in rows}
    assert by_name["a"].growth_change == pytest.approx(MIB, rel=0.01)
    assert by_name["a"].peak_change == 59 * MIB
    assert by_name["b"].growth_change == pytest.approx(0, abs=1)
    assert by_name["new"].before is None
    assert by_name["gone"].after is None
    assert by_name["new"].growth_change is by_name["gone"].peak_change is None


def test_a_pid_that_is_given_again_is_another_process():
    reporter = Reporter("zone")
    for n in range(20):
        usage = process(7, "web", (30 - n) * MIB)
        reporter.add(look(n, [zone("web", 30 * MIB)], [usage]), boot_id="one" if n < 10 else "two")
    assert [process.looks for process in reporter.report("x", "vm", 20).processes] == [10, 10]
