"""Differences of two chains close, and what is behind them is named as by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit import builders
from tests.unit.answers.explain.test_chain import bill, path_of, rows, shares

from zonerss.answers.explain.chain import Chain, Shares, Step, chain, residual_bound
from zonerss.answers.explain.difference import Changed, changed, difference
from zonerss.answers.explain.records import Account, ZoneLook
from zonerss.census.usage import Member
from zonerss.plain import replace
from zonerss.records import ProcessUsage, Task, Zone
from zonerss.records.bills import Bill
from zonerss.records.files import FileKind, MappedFile, OpenFile, OpenFiles
from zonerss.units import PAGE_BYTES

MIB = 1 << 20
STATS = ("anon", "file", "shmem", "slab", "pagetables", "sock")
bills = st.builds(
    lambda version, charged, kernel, stat: bill(version, charged, kernel, **stat),
    st.sampled_from([1, 2]),
    st.integers(0, 1 << 40),
    st.none() | st.integers(0, 1 << 40),
    st.dictionaries(st.sampled_from(STATS), st.integers(0, 1 << 40)),
)


@st.composite
def accounts(draw: st.DrawFn, known: bool) -> Account:
    """Of the zone web; known: its charge and its payers are."""
    found = draw(rows)
    seen = shares(found) if known or draw(st.booleans()) else None
    billed = draw(bills) if known else draw(st.none() | bills)
    rss = sum(sum(row.pages[:3]) for row in found if 0 in row.owners) * PAGE_BYTES
    again = draw(st.integers(0, 1 << 40))
    return account(chain("web", "/web", 3, rss + again, rss, seen, billed, 4096, {"db": "/db"}), seen, billed)


def account(joined: Chain, seen: Shares | None, billed: Bill | None, **usage: int) -> Account:
    snapshot = builders.snapshot(builders.usage("web", **usage), processes=())
    return Account(
        snapshot, Zone("web", "/web"), snapshot.zones[0], joined, billed, seen, None, 1, billed, ()
    )


def look(one: Account) -> ZoneLook:
    return ZoneLook(one, None, None)


def as_sums(steps: tuple[Step, ...], name: str) -> int:
    return sum(step.bytes for step in steps if step.name == name)


@given(accounts(known=True), accounts(known=True))
def test_differences_of_two_closing_chains_close(before: Account, after: Account):
    found = difference(before.chain, after.chain)
    assert found.process_rss_bytes + sum(step.bytes for step in found.steps) + found.residual_bytes == (
        after.chain.charged_bytes - before.chain.charged_bytes
    )
    assert found.charged_bytes == after.chain.charged_bytes - before.chain.charged_bytes
    assert found.rss_bytes == found.process_rss_bytes + as_sums(found.steps, "counted_again")
    for name in {step.name for step in (*before.chain.steps, *after.chain.steps)}:
        assert as_sums(found.steps, name) == as_sums(after.chain.steps, name) - as_sums(
            before.chain.steps, name
        )


@given(accounts(known=True), accounts(known=True))
def test_back_and_forth_is_nothing(before: Account, after: Account):
    there, back = difference(before.chain, after.chain), difference(after.chain, before.chain)
    assert {(s.name, s.cgroup, s.zones): s.bytes for s in there.steps} == {
        (s.name, s.cgroup, s.zones): -s.bytes for s in back.steps
    }
    assert not any(step.bytes for step in difference(after.chain, after.chain).steps)


@given(accounts(known=True), accounts(known=True))
def test_shares_add_up_to_the_change_of_the_charge(before: Account, after: Account):
    found = changed(look(before), look(after))
    parts = sum(share.bytes for share in found.shares)
    assert parts + found.difference.residual_bytes == found.difference.charged_bytes
    assert list(found.shares) == sorted(found.shares, key=lambda share: (-abs(share.bytes), share.name))


@given(accounts(known=False), accounts(known=False))
def test_what_only_one_chain_has_is_not_compared(before: Account, after: Account):
    found = difference(before.chain, after.chain)
    if found.charged_bytes is None:
        common = {s.name for s in before.chain.steps} & {s.name for s in after.chain.steps}
        assert {step.name for step in found.steps} <= common | {"billed_to_others"}
        assert (found.residual_bytes, found.residual_bound_bytes, found.holds) == (None, None, None)
    assert found.rss_bytes == after.chain.rss_bytes - before.chain.rss_bytes


# ---- what is behind it -----------------------------------------------------------------------------------


def seen_at(charged_mib: int, cache_mib: int = 0, anon_mib: int = 0, shmem_mib: int = 0) -> Account:
    """A zone of version 2 that maps its anon memory and nothing else."""
    stat = {"anon": anon_mib * MIB, "file": (cache_mib + shmem_mib) * MIB, "shmem": shmem_mib * MIB}
    billed = Bill(2, charged_mib * MIB, stat, None, None, None, None)
    seen = Shares({}, 0, {}, anon_mib * MIB, 0, 0)
    rss = anon_mib * MIB
    joined = chain("web", "/web", 2, rss, rss, seen, billed, residual_bound(2, 1), {})
    return account(joined, seen, billed, anon_bytes=rss, file_bytes=0, shmem_bytes=0)


def process(pid: int, anon_mib: int, command: str) -> ProcessUsage:
    size = anon_mib * MIB
    return builders.process(pid, rss_bytes=size, anon_bytes=size, command=command)


def with_processes(one: Account, *processes: ProcessUsage, started: int = 7) -> Account:
    members = tuple(
        Member(Task(p.pid, started, 0, 0, p.command, "/web", 0, p.pid), p.pid, (Zone("web"),), 0, 0)
        for p in processes
    )
    return replace(one, snapshot=replace(one.snapshot, processes=processes, members=members))


def opened(**cached_mib: int) -> OpenFiles:
    files = (
        OpenFile(f"/log/{name}", (8, 1), len(name), 411, size * MIB, size * MIB)
        for name, size in cached_mib.items()
    )
    return OpenFiles(tuple(files), ())


def test_page_cache_of_an_open_file():
    after = with_processes(seen_at(2010, cache_mib=2000), process(411, 1, "rsyslogd"))
    before = with_processes(seen_at(60, cache_mib=50), process(411, 1, "rsyslogd"))
    found = changed(ZoneLook(before, None, opened(a=3, bb=50)), ZoneLook(after, None, opened(a=4, bb=2000)))
    (share,) = found.reasons(found.difference.charged_bytes)
    assert (share.name, share.bytes) == ("cache", 1950 * MIB)
    assert (share.mover.name, share.mover.pid, share.mover.command) == ("/log/bb", 411, "rsyslogd")
    assert [mover.bytes for mover in found.opened] == [1950 * MIB, MIB]


def test_a_file_that_was_opened_meanwhile_is_not_preferred():
    """What it had before is not known: at most all of it came."""
    found = changed(
        ZoneLook(seen_at(10, cache_mib=10), None, opened(a=10)),
        ZoneLook(seen_at(110, cache_mib=110), None, opened(a=110, bb=900)),
    )
    assert found.shares[0].mover.name == "/log/a"


def test_of_a_recording_a_file_that_came_or_went_is_named_if_it_is_larger_than_what_is_not_kept():
    """Of a zone the largest files are kept: what is no larger than those may have been there before."""
    was, now = seen_at(60, cache_mib=50), seen_at(210, cache_mib=210)
    before = replace(opened(a=40, bb=30), least_bytes=30 * MIB)
    after = replace(opened(a=41, ccc=31, dddd=29, eeeee=200), least_bytes=MIB)
    found = changed(ZoneLook(was, None, before), ZoneLook(now, None, after))
    told = [(mover.name, mover.before_bytes, mover.after_bytes) for mover in found.opened or ()]
    assert told == [
        ("/log/eeeee", None, 200 * MIB),
        ("/log/ccc", None, 31 * MIB),
        ("/log/bb", 30 * MIB, None),
        ("/log/a", 40 * MIB, 41 * MIB),
    ]
    assert found.shares[0].mover.name == "/log/eeeee"


def test_where_a_look_may_have_left_out_any_file_only_those_of_both_are_compared():
    was, now = seen_at(60, cache_mib=50), seen_at(210, cache_mib=210)
    unknown = replace(opened(), least_bytes=None)
    found = changed(ZoneLook(was, None, unknown), ZoneLook(now, None, opened(a=200)))
    assert found.opened is None
    found = changed(
        ZoneLook(was, None, replace(opened(a=1), least_bytes=None)), ZoneLook(now, None, opened(a=2, bb=9))
    )
    assert [mover.name for mover in found.opened or ()] == ["/log/a"]


def test_private_memory_of_the_process_that_grew_most():
    before = with_processes(seen_at(30, anon_mib=30), process(7, 10, "a"), process(8, 20, "b"))
    after = with_processes(seen_at(930, anon_mib=930), process(7, 910, "a"), process(8, 20, "b"))
    found = changed(look(before), look(after))
    assert [(s.name, s.mover.pid) for s in found.reasons(900 * MIB)] == [("anon", 7)]
    assert [(m.pid, m.bytes) for m in found.processes] == [(7, 900 * MIB)]


def test_a_pid_that_was_used_again_is_another_process():
    before = with_processes(seen_at(10, anon_mib=10), process(7, 10, "a"), started=1)
    after = with_processes(seen_at(12, anon_mib=12), process(7, 12, "a"), started=2)
    movers = changed(look(before), look(after)).processes
    assert [(m.before_bytes, m.after_bytes) for m in movers] == [(None, 12 * MIB), (10 * MIB, None)]


def test_shared_memory_that_nobody_maps_is_no_page_cache():
    found = changed(look(seen_at(10, cache_mib=5)), look(seen_at(510, cache_mib=5, shmem_mib=500)))
    assert [(share.name, share.bytes) for share in found.shares] == [("shmem_not_mapped", 500 * MIB)]


def test_two_reasons_where_none_is_most_of_it():
    found = changed(look(seen_at(10)), look(seen_at(210, cache_mib=120, anon_mib=80)))
    assert [share.name for share in found.reasons(200 * MIB)] == ["cache", "anon"]


def test_mapped_files_are_compared_by_what_they_are():
    """One that has grown longer meanwhile is the same file."""
    short = MappedFile("/data", FileKind.FILE, True, 4096, (8, 1), 5)
    pool = MappedFile("/memfd:pool", FileKind.MEMFD, False, 4096, (0, 1), 5)
    long = replace(short, size_bytes=1 << 30, aliases=("/other",))
    one = account(Chain("web", None, 1, 0, 0, (), None, None, None), None, None, file_bytes=0, shmem_bytes=0)
    other = account(
        Chain("web", None, 1, 9, 9, (), None, None, None), None, None, file_bytes=7 * MIB, shmem_bytes=2 * MIB
    )
    found = changed(
        ZoneLook(one, {short: MIB, pool: MIB}, None), ZoneLook(other, {long: 8 * MIB, pool: 3 * MIB}, None)
    )
    assert {s.name: (s.bytes, s.mover.name, s.mover.bytes) for s in found.shares if s.mover} == {
        "file": (7 * MIB, "/data", 7 * MIB),
        "shmem": (2 * MIB, "/memfd:pool", 2 * MIB),
    }


@pytest.mark.parametrize("total", [0, 5 * MIB, -5 * MIB])
def test_reasons_have_the_sign_of_the_change(total: int):
    found: Changed = changed(look(seen_at(10, cache_mib=10)), look(seen_at(5, cache_mib=5)))
    assert all(share.bytes * total > 0 for share in found.reasons(total))
    assert bool(found.reasons(total)) == (total < 0)


def test_seconds_are_from_beginning_to_beginning():
    before, after = seen_at(1), seen_at(1)
    after = replace(
        after, snapshot=replace(after.snapshot, began=before.snapshot.began + timedelta(seconds=30))
    )
    assert changed(look(before), look(after)).seconds == 30.0
    assert path_of(1) == "/"
