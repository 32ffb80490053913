"""From parts to what is shown: the identities hold for any machine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.usage import Member, processes_usage, zones_usage
from zonerss.records import Task, Zone
from zonerss.units import PAGE_BYTES

# A process: its zone, its address space, and the frames that it maps.
processes = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.lists(st.tuples(st.integers(0, 20), st.sampled_from(list(Kind)[:3])))
    ),
    min_size=1,
    max_size=6,
)


def build(rows: list[tuple[str, list[tuple[int, Kind]]]]) -> tuple[Census, list[Member]]:
    census = Census(len(rows))
    members = []
    kinds: dict[int, Kind] = {}
    for key, (zone, mapped) in enumerate(rows):
        census.mark(key, [pfn for pfn, _ in mapped], [kinds.setdefault(pfn, kind) for pfn, kind in mapped])
        task = Task(key + 1, 0, 0, 0, "x", f"/{zone}", 0, key + 1)
        members.append(Member(task, key + 1, (Zone(zone, f"/{zone}"),), key, len(mapped)))
    return census, members


@given(processes)
def test_identities(rows: list[tuple[str, list[tuple[int, Kind]]]]) -> None:
    census, members = build(rows)
    zones, total = zones_usage(census.parts(), members, 0, lambda zone: 5)
    for usage in zones:
        frames = {pfn for zone, mapped in rows if zone == usage.zone for pfn, _ in mapped}
        others = {pfn for zone, mapped in rows if zone != usage.zone for pfn, _ in mapped}
        assert usage.rss_bytes == len(frames) * PAGE_BYTES
        assert usage.exclusive_bytes == len(frames - others) * PAGE_BYTES
        assert usage.shared_bytes == len(frames & others) * PAGE_BYTES
        assert usage.process_rss_bytes == sum(len(m) for zone, m in rows if zone == usage.zone) * PAGE_BYTES
        assert usage.processes == sum(1 for zone, _ in rows if zone == usage.zone)
    everything = {pfn for _, mapped in rows for pfn, _ in mapped}
    assert total.rss_bytes == total.exclusive_bytes == len(everything) * PAGE_BYTES
    assert abs(sum(u.proportional_bytes or 0 for u in zones) - total.rss_bytes) <= len(zones)
    assert total.proportional_bytes == total.rss_bytes
    assert total.charged_bytes == 5 * len(zones)
    assert [u.rss_bytes for u in zones] == sorted((u.rss_bytes for u in zones), reverse=True)


@given(processes)
def test_a_filter_changes_no_figure(rows: list[tuple[str, list[tuple[int, Kind]]]]) -> None:
    census, members = build(rows)
    parts = census.parts()
    everyone, _ = zones_usage(parts, members, 0, lambda zone: None)
    only, total = zones_usage(parts, members, 0, lambda zone: None, ["a"])
    assert only == tuple(usage for usage in everyone if usage.zone == "a")
    if only:
        assert (total.rss_bytes, total.exclusive_bytes) == (only[0].rss_bytes, only[0].exclusive_bytes)
    assert total.charged_bytes is None


@given(processes)
def test_processes(rows: list[tuple[str, list[tuple[int, Kind]]]]) -> None:
    census, members = build(rows)
    usages = processes_usage(census.parts(), members, [member.mm for member in members])
    for usage in usages:
        own = {pfn for pfn, _ in rows[usage.pid - 1][1]}
        others = {pfn for key, (_, mapped) in enumerate(rows) if key != usage.pid - 1 for pfn, _ in mapped}
        assert usage.exclusive_bytes == len(own - others) * PAGE_BYTES
        assert usage.rss_bytes == len(rows[usage.pid - 1][1]) * PAGE_BYTES
        assert usage.anon_bytes + usage.file_bytes + usage.shmem_bytes == len(own) * PAGE_BYTES


def test_processes_that_share_an_address_space_have_the_same_figures() -> None:
    census = Census(1)
    census.mark(0, [1, 2, 3], [Kind.ANON] * 3)
    members = [Member(Task(pid, 0, 0, 0, "x", "/", 0, pid), 7, (Zone("z"),), 0, 3) for pid in (7, 8)]
    one, other = processes_usage(census.parts(), members, [7])
    assert one.exclusive_bytes == other.exclusive_bytes == 3 * PAGE_BYTES
