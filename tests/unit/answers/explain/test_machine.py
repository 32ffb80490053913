"""The machine's chain, from frames and counters made by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.answers.explain.machine import MachineChain, machine_chain
from zonerss.plain import replace
from zonerss.records.machine import Counters, HugetlbPool, RamPages
from zonerss.views.explain.machine import _SAYS, _WITHIN

PAGE = 4096
RAM = RamPages(
    zones=(100, 50, 20, 1024),
    others=(7, 3, 2, 0),
    bare=(4, 900, 300, 1536),
    zones_kernel=6,
    zones_reserved=2,
    reserved=500,
    free=8000,
    slab=210,
    page_tables=31,
    offline=0,
    poisoned=1,
    zero=512,
    kernel=1000,
)
MANAGED = sum((*RAM.zones, *RAM.others, *RAM.bare)) + 6 + 8000 + 210 + 31 + 1 + 512 + 1000
MEMINFO = {
    "MemTotal": MANAGED * PAGE,
    "MemFree": 8000 * PAGE,
    "AnonPages": 107 * PAGE,
    "Cached": 1200 * PAGE,
    "Buffers": 75 * PAGE,
    "Shmem": 322 * PAGE,
    "Slab": 210 * PAGE,
    "PageTables": 31 * PAGE,
    "KernelStack": 40 * PAGE,
    "VmallocUsed": 100 * PAGE,
    "Percpu": 60 * PAGE,
    "Hugetlb": 2560 * PAGE,
    "SReclaimable": 11 * PAGE,
}
COUNTERS = Counters(
    meminfo=MEMINFO,
    present_pages=MANAGED + 400,
    managed_pages=MANAGED,
    batched_pages=17,
    compressed_pages=5,
    drift_pages=10,
    hugetlb=(HugetlbPool(2 << 20, 5, 3, 1, 0),),
    stacks_in_vmalloc=True,
    socket_bytes={"tcp": 3 * PAGE},
)


def managing(managed: int, **fields: int) -> Counters:
    """The counters of a kernel that manages so many pages."""
    meminfo = MEMINFO | {"MemTotal": managed * PAGE}
    return replace(COUNTERS, meminfo=meminfo, managed_pages=managed, **fields)


def chain(ram: RamPages = RAM, counters: Counters = COUNTERS, before: Counters | None = None) -> MachineChain:
    return machine_chain(ram, before or counters, counters)


def pages(made: MachineChain) -> dict[str, int]:
    return {part.name: part.bytes // PAGE for part in made.parts}


def test_every_part() -> None:
    made = chain()
    assert pages(made) == {
        "zones_anon": 100,
        "zones_file": 50,
        "zones_shmem": 20,
        "zones_hugetlb": 1024,
        "zones_kernel": 6,
        "others_anon": 7,
        "others_file": 3,
        "others_shmem": 2,
        "file_not_mapped": 900,
        "shmem_not_mapped": 300,
        "anon_not_mapped": 4,
        "hugetlb_reserved": 512,
        "hugetlb_free": 1024,
        "slab": 210,
        "page_tables": 31,
        "kernel_stacks": 40,
        "vmalloc": 60,
        "percpu": 60,
        "compressed": 5,
        "free_batches": 17,
        "no_counter": 1000 - 182,
        "poisoned": 1,
        "huge_zero_page": 512,
        "free": 8000,
    }
    assert (made.unaccounted_bytes, made.holds, made.agrees) == (0, True, True)
    assert (made.ram_bytes, made.reserved_bytes) == ((MANAGED + 400) * PAGE, 400 * PAGE)
    assert {part.name: part.bytes // PAGE for part in made.within} == {
        "tcp_sockets": 3,
        "reclaimable_slab": 11,
        "vdso": 2,
    }


@given(
    st.lists(st.integers(0, 10**6), min_size=21, max_size=21),
    st.lists(st.integers(0, 10**6), min_size=6, max_size=6),
    st.integers(0, 10**6) | st.integers(0, 10**9),
)
def test_the_parts_and_what_is_left_are_all_memory(
    frames: list[int], counted: list[int], managed: int
) -> None:
    ram = RamPages(tuple(frames[:4]), tuple(frames[4:8]), tuple(frames[8:12]), *frames[12:], *frames[:1])
    names = ("KernelStack", "VmallocUsed", "Percpu", "SecPageTables", "MemTotal", "MemFree")
    meminfo = {name: pages * PAGE for name, pages in zip(names, counted, strict=True)}
    made = chain(ram, replace(COUNTERS, meminfo=meminfo, managed_pages=managed, present_pages=managed + 1))
    assert sum(part.bytes for part in made.parts) + made.unaccounted_bytes == made.memory_bytes
    assert made.memory_bytes + made.reserved_bytes == made.ram_bytes
    assert all(part.bytes > 0 for part in made.parts)


def test_frames_that_are_missing_are_unaccounted_for() -> None:
    made = chain(replace(RAM, free=7000))
    assert made.unaccounted_bytes == 1000 * PAGE
    assert not made.holds
    assert [check.counter for check in made.checks if not check.agrees] == ["MemFree"]


def test_counters_of_more_than_there_are_frames_show_as_less_than_nothing() -> None:
    made = chain(replace(RAM, kernel=100), managing(MANAGED - 900))
    assert "no_counter" not in pages(made)
    assert made.unaccounted_bytes == -65 * PAGE
    assert not made.holds


def test_free_pages_that_processors_hold_are_no_more_than_there_are_frames() -> None:
    made = chain(replace(RAM, kernel=175), managing(MANAGED - 825))
    assert pages(made)["free_batches"] == 10
    assert "no_counter" not in pages(made)
    assert made.unaccounted_bytes == 0


def test_what_changes_meanwhile_widens_the_bound() -> None:
    before = replace(COUNTERS, meminfo=MEMINFO | {"MemFree": 9000 * PAGE})
    (free,) = (
        check for check in chain(replace(RAM, free=8500), before=before).checks if check.counter == "MemFree"
    )
    assert free.bound_bytes == 1010 * PAGE
    assert free.agrees


def test_a_balloon_inside_and_outside_of_what_the_kernel_manages() -> None:
    ram = replace(RAM, offline=256)
    inside = chain(ram, managing(MANAGED + 256, present_pages=MANAGED + 700))
    outside = chain(ram, replace(COUNTERS, present_pages=MANAGED + 700))
    for made in (inside, outside):
        assert (made.unaccounted_bytes, pages(made)["balloon"]) == (0, 256)
        assert made.memory_bytes == (MANAGED + 256) * PAGE


def test_memory_of_which_the_kernel_has_no_records_yet() -> None:
    """3,000 frames without a flag, 200 of which will be reserved; MemTotal and MemFree count the others already."""
    counters = replace(
        COUNTERS,
        meminfo=MEMINFO | {"MemTotal": (MANAGED + 2800) * PAGE, "MemFree": (8000 + 2800) * PAGE},
        present_pages=MANAGED + RAM.reserved + RAM.zones_reserved + 3000,
    )
    made = chain(replace(RAM, kernel=RAM.kernel + 3000), counters)
    assert pages(made) == pages(chain()) | {"deferred": 2800}
    assert made.memory_bytes == (MANAGED + 2800) * PAGE
    assert made.reserved_bytes == (RAM.reserved + RAM.zones_reserved + 200) * PAGE
    assert (made.unaccounted_bytes, made.holds, made.agrees) == (0, True, True)


def test_memory_that_is_counted_and_is_nowhere() -> None:
    """Records that are not there explain no more than frames that have no flag."""
    counters = replace(COUNTERS, meminfo=MEMINFO | {"MemTotal": (MANAGED + 2800) * PAGE})
    made = chain(counters=counters)
    assert "deferred" not in pages(made)
    assert made.unaccounted_bytes == 0
    assert [check.counter for check in made.checks if not check.agrees] == ["MemTotal"]


def test_kmalloc_of_whole_pages_is_in_slab_and_has_no_flag() -> None:
    made = chain(counters=replace(COUNTERS, meminfo=MEMINFO | {"Slab": 250 * PAGE}))
    assert (pages(made)["slab"], pages(made)["kmalloc_pages"]) == (210, 40)
    assert pages(made)["no_counter"] == 1000 - 182 - 40
    assert made.agrees
    fewer = chain(counters=replace(COUNTERS, meminfo=MEMINFO | {"Slab": 150 * PAGE}))
    assert [check.counter for check in fewer.checks if not check.agrees] == ["Slab"]


def test_stacks_outside_of_vmalloc() -> None:
    made = pages(chain(counters=replace(COUNTERS, stacks_in_vmalloc=False)))
    assert (made["kernel_stacks"], made["vmalloc"]) == (40, 100)


def test_promised_hugetlb_pages_are_free_ones() -> None:
    pool = HugetlbPool(2 << 20, 5, 1, 3, 0)
    made = pages(chain(counters=replace(COUNTERS, hugetlb=(pool,))))
    assert (made["hugetlb_reserved"], made["hugetlb_not_mapped"]) == (512, 1024)
    assert "hugetlb_free" not in made


def test_a_kernel_without_a_counter_is_not_compared() -> None:
    meminfo = {name: size for name, size in MEMINFO.items() if name != "Hugetlb"}
    assert "Hugetlb" not in {
        check.counter for check in chain(counters=replace(COUNTERS, meminfo=meminfo)).checks
    }


def test_every_part_has_words() -> None:
    found = chain(replace(RAM, offline=1, slab=200, bare=(1, 1, 1, 1025), others=(1, 1, 1, 1)))
    spare = {"deferred", "second_level_page_tables", "unaccepted", "compressed_swap", "hugetlb_not_mapped"}
    assert {part.name for part in found.parts} | spare >= _SAYS.keys()
    assert {part.name for part in found.parts} <= _SAYS.keys()
    assert {part.name for part in found.within} <= _WITHIN.keys()
