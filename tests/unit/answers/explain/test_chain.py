"""The chain adds up whatever the numbers are; who pays for what is sorted as by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.answers.explain.bills import pays
from zonerss.answers.explain.chain import (
    Step,
    chain,
    charged_frames,
    kernel_steps,
    paid_frames,
    payments,
    residual_bound,
    shares_of,
    unmapped_bytes,
)
from zonerss.census.kinds import Kind
from zonerss.records.bills import Bill, Billed
from zonerss.units import PAGE_BYTES

ZONES = {0: "web", 1: "db"}  # 2: of none
PATHS = {1: "/", 2: "/web", 3: "/web/inner", 4: "/db"}


def bill(version: int = 2, charged: int | None = 0, kernel: int | None = None, **stat: int) -> Bill:
    return Bill(version, charged, stat, None, kernel, None, None)


def billed(keys: tuple[int, ...], inode: int, **pages: int) -> Billed:
    return Billed(keys, inode, tuple(pages.get(kind.name.lower(), 0) for kind in Kind))


def path_of(inode: int) -> str:
    return PATHS.get(inode, "gone")


def shares(rows, zone="web"):
    paid = paid_frames(rows, ZONES, path_of)
    return shares_of(zone, paid, lambda path: pays(path, f"/{zone}", ()))


rows = st.lists(
    st.builds(
        Billed,
        st.sets(st.integers(0, 2), min_size=1).map(lambda keys: tuple(sorted(keys))),
        st.integers(0, 5),
        st.tuples(*[st.integers(0, 1000)] * len(Kind)),
    )
)


@given(rows, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**6), st.booleans())
def test_steps_and_residual_add_up_to_the_charge(found, charged, rss, again, version_2):
    stat = {"anon": 7, "file": 11, "slab": 3} if version_2 else {"rss": 7, "cache": 11}
    made = chain(
        "web",
        "/web",
        3,
        rss + again,
        rss,
        shares(found),
        bill(2 if version_2 else 1, charged, 5, **stat),
        1,
        {},
    )
    assert made.process_rss_bytes + sum(step.bytes for step in made.steps) + made.residual_bytes == charged
    assert made.steps[0] == Step("counted_again", -again)


@given(rows)
def test_every_frame_of_the_zone_has_one_payer(found):
    """What the zone maps is what it pays for itself, what others pay for, and what nobody pays for."""
    seen = shares(found)
    mapped = sum(sum(row.pages[:3]) for row in found if 0 in row.owners) * PAGE_BYTES
    own = seen.own_anon_bytes + seen.own_file_bytes - sum(seen.own_only_others.values())
    assert own + sum(seen.to_others.values()) + seen.to_nobody_bytes == mapped


@given(rows)
def test_payments_of_a_zone_are_what_it_maps(found):
    for name, key in (("web", 0), ("db", 1)):
        mapped = sum(sum(row.pages[:3]) for row in found if key in row.owners) * PAGE_BYTES
        assert (
            sum(cell.bytes for cell in payments(paid_frames(found, ZONES, path_of)) if cell.zone == name)
            == mapped
        )


def test_frames_are_sorted_by_who_maps_and_who_pays():
    seen = shares(
        [
            billed((0,), 2, anon=23),  # its own
            billed((0, 1), 3, file=31),  # its own, below it; shared
            billed((0,), 4, shmem=7),  # db pays
            billed((0,), 0, file=2),  # nobody
            billed((1,), 2, file=41),  # it pays, db maps
            billed((1, 2), 3, anon=5),  # it pays, db and a process of no zone map
            billed((1,), 4, anon=1000),  # none of its business
            billed((0,), 9, file=3),  # a cgroup that cannot be seen
            billed((0,), 4, hugetlb=512),  # beside rss
        ]
    )
    pages = PAGE_BYTES
    assert seen.to_others == {"/db": 7 * pages, "gone": 3 * pages}
    assert seen.to_nobody_bytes == 2 * pages
    assert seen.own_only_others == {("db",): 46 * pages}
    assert seen.own_anon_bytes == (23 + 5) * pages
    assert seen.own_file_bytes == (31 + 41) * pages


def test_without_kpagecgroup_the_chain_ends_at_the_rss_and_tells_the_charge():
    made = chain("web", "/web", 3, 100, 40, None, bill(charged=70), 1, {})
    assert made.steps == (Step("counted_again", -60),)
    assert made.charged_bytes == 70
    assert made.residual_bytes is made.residual_bound_bytes is made.holds is None


def test_without_a_bill_it_still_says_who_pays():
    made = chain("users", None, 3, 100, 40, shares([billed((0,), 4, anon=1)]), None, 1, {})
    assert [step.name for step in made.steps] == ["counted_again", "billed_to_others", "billed_to_nobody"]
    assert made.charged_bytes is made.residual_bytes is None


def test_others_that_map_alone_are_named_with_their_cgroup():
    found = [billed((1,), 2, file=1), billed((1, 2), 2, file=2), billed((2,), 2, file=4)]
    made = chain("web", "/web", 1, 0, 0, shares(found), bill(file=0, anon=0), 1, {"db": "/db"})
    steps = [(s.bytes // PAGE_BYTES, s.cgroup, s.zones) for s in made.steps if s.name == "mapped_by_others"]
    assert steps == [(4, None, ()), (3, "/db", ("db",))]


def test_kernel_memory_of_version_2_by_purpose():
    steps = kernel_steps(bill(kernel=100, pagetables=40, kernel_stack=16, slab=30, percpu=0, sock=9))
    assert [(step.name, step.bytes) for step in steps] == [
        ("page_tables", 40),
        ("kernel_stacks", 16),
        ("slab", 30),
        ("other_kernel", 14),
        ("sockets", 9),
    ]


def test_kernel_memory_before_5_18_and_of_version_1():
    assert [s.name for s in kernel_steps(bill(pagetables=40, slab=30))] == ["page_tables", "slab"]
    assert kernel_steps(bill(1, kernel=17)) == [Step("kernel", 17)]
    assert kernel_steps(bill(1)) == []


def test_what_the_lists_have_beyond_mapped_and_cached_is_not_mapped():
    lists = {"inactive_anon": 50, "active_anon": 10, "inactive_file": 20, "unevictable": 5}
    assert unmapped_bytes(bill(anon=30, file=25, **lists)) == 30
    assert unmapped_bytes(bill(1, rss=30, cache=25, **lists)) == 30
    assert unmapped_bytes(bill(1, rss=60, cache=30, **lists)) == 0  # the lists lag


def test_the_bound_is_64_pages_a_cpu_for_each_of_up_to_7_cgroups():
    assert residual_bound(2, 1) == 128 * PAGE_BYTES
    assert residual_bound(2, 0) == 128 * PAGE_BYTES
    assert residual_bound(4, 3) == 768 * PAGE_BYTES
    assert residual_bound(4, 100) == 1792 * PAGE_BYTES


def test_frames_that_some_cgroups_pay_for():
    found = [billed((0,), 2, anon=1, file=2), billed((1,), 3, shmem=4), billed((1,), 4, anon=8)]
    assert charged_frames(found, {2, 3}) == (1 * PAGE_BYTES, 6 * PAGE_BYTES)
