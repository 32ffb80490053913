"""What a look says in metrics: each figure once, unknown as no series, in both formats alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from tests.unit.builders import BEGAN, MACHINE, look, snapshot, usage
from tests.unit.cap.test_status import ZONE as CAPPED

from zonerss.answers.growth import Growth
from zonerss.answers.share import Pair
from zonerss.plain import replace
from zonerss.records import Cause, Caveat, Gap
from zonerss.serve.look import Build, Counts, Look
from zonerss.serve.metrics import FAMILIES, exposition, metrics_of
from zonerss.views.text import printable

PROJECT = Path(__file__).resolve().parents[3]

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

EVERYTHING = usage(
    "web",
    id="00ff",
    hugetlb_bytes=2 << 20,
    limit_bytes=999 << 20,
    uncertainty_bytes=4096,
    cache_unmapped_bytes=8192,
    dead_cgroups_bytes=12288,
    dying_cgroups=3,
    pressure_some=12.5,
    pressure_full=2.5,
    oom_kills=2,
)


def read(served: Look, openmetrics: bool = False) -> Series:
    text = exposition(served, openmetrics).decode()
    parse = parse_openmetrics if openmetrics else parse_text
    found = [
        ((sample.name, frozenset(sample.labels.items())), sample.value)
        for family in parse(text)
        for sample in family.samples
    ]
    assert len(dict(found)) == len(found), "a series appears twice"
    return dict(found)


def series(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def grown(*sizes: int) -> Growth:
    growth = Growth()
    for number, size in enumerate(sizes):
        one = usage("web", anon_bytes=size, file_bytes=0, shmem_bytes=0)
        growth.add(snapshot(one, began=BEGAN.replace(minute=number)))
    return growth


def everything() -> Look:
    """A look in which all is known."""
    counts = Counts().with_walk(0.02, 0.5, [Gap(1, "open", Cause.EXITED)]).with_failure(0.25)
    return look(
        snapshot=snapshot(
            EVERYTHING,
            usage("db"),
            total=usage("total", kind="total", anon_bytes=7 << 20),
            gaps=(Gap(7, "maps", Cause.BUSY), Gap(8, "maps", Cause.BUSY)),
            warnings=(Caveat("names", "x"), Caveat("cgroups", "y"), Caveat("names", "z")),
        ),
        growth=grown(*(number << 20 for number in range(1, 9))),
        pairs=(Pair(("db", "web"), 12345),),
        walk_seconds=0.25,
        counts=counts,
        interval_seconds=10.0,
        stretched_seconds=20.0,
        build=Build("1.2.3", "3.11", "6.18 x86_64"),
        caps={"web": replace(CAPPED, zone="web")},
    )


@pytest.mark.parametrize("openmetrics", [False, True])
def test_each_figure_is_a_series(openmetrics: bool) -> None:
    found = read(everything(), openmetrics)
    zone = {
        "exclusive_bytes": 41 << 10,
        "shared_bytes": 20 << 10,
        "proportional_bytes": 47 << 10,
        "hugetlb_bytes": 2 << 20,
        "swap_bytes": 0,
        "charged_bytes": 53 << 10,
        "limit_bytes": 999 << 20,
        "process_rss_bytes": 101 << 10,
        "uncertainty_bytes": 4096,
        "processes": 3,
        "cache_unmapped_bytes": 8192,
        "dead_cgroups_bytes": 12288,
        "dying_cgroups": 3,
        "pressure_ratio": 0.125,
        "oom_kills_total": 2,
        "growth_bytes_per_second": (1 << 20) / 60,
        "cap_bytes": 10,
        "cap_excess_bytes": 7,
        "cap_cold_bytes": 3,
        "cap_episodes_total": 2,
        "cap_paged_out_bytes_total": 8,
        "cap_refault_bytes_total": 1,
    }
    machine = {
        "memory_bytes": MACHINE.memory_bytes,
        "free_bytes": MACHINE.free_bytes,
        "available_bytes": MACHINE.available_bytes,
        "page_cache_bytes": MACHINE.page_cache_bytes,
        "shmem_bytes": MACHINE.shmem_bytes,
        "kernel_bytes": MACHINE.kernel_bytes,
        "hugetlb_bytes": MACHINE.hugetlb_bytes,
        "swap_bytes": MACHINE.swap_bytes,
        "swap_free_bytes": MACHINE.swap_free_bytes,
        "pressure_ratio": 0.0125,
    }
    walk = {
        "seconds": 0.25,
        "timestamp_seconds": (BEGAN.timestamp() + 0.017),
        "pages": 1234,
        "interval_seconds": 20,
        "interval_wanted_seconds": 10,
        "failures_total": 1,
        "cpu_seconds_total": 0.75,
        "duration_seconds_count": 1,
        "duration_seconds_sum": 0.02,
    }
    expected = {series(f"zonerss_zone_{name}", zone="web"): value for name, value in zone.items()}
    expected |= {series(f"zonerss_machine_{name}"): value for name, value in machine.items()}
    expected |= {series(f"zonerss_walk_{name}"): value for name, value in walk.items()}
    expected |= {
        series("zonerss_zone_info", zone="web", kind="cgroup", id="00ff", cgroup="/web"): 1,
        series("zonerss_zone_rss_bytes", zone="web", kind="anon"): 23 << 10,
        series("zonerss_zone_rss_bytes", zone="web", kind="file"): 31 << 10,
        series("zonerss_zone_rss_bytes", zone="web", kind="shmem"): 7 << 10,
        series("zonerss_system_rss_bytes", kind="anon"): 7 << 20,
        series("zonerss_system_rss_bytes", kind="file"): 31 << 10,
        series("zonerss_system_rss_bytes", kind="shmem"): 7 << 10,
        series("zonerss_pair_shared_bytes", zone_a="db", zone_b="web"): 12345,
        series("zonerss_warning", name="names"): 1,
        series("zonerss_warning", name="cgroups"): 1,
        series("zonerss_walk_info", source="pagemap", basis="mapped", by="zone"): 1,
        series("zonerss_build_info", version="1.2.3", python="3.11", kernel="6.18 x86_64"): 1,
        **{series("zonerss_gaps", cause=cause): 2 * (cause is Cause.BUSY) for cause in Cause},
        **{series("zonerss_gaps_met_total", cause=cause): int(cause is Cause.EXITED) for cause in Cause},
        **{
            series("zonerss_walk_duration_seconds_bucket", le=bound): int(number > 0)
            for number, bound in enumerate(
                ("0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf")
            )
        },
    }
    of_others = {key for key in found if ("zone", "db") in key[1]}
    assert found.keys() - of_others == expected.keys()
    assert {key: found[key] for key in expected} == pytest.approx(expected)


@pytest.mark.parametrize("openmetrics", [False, True])
@settings(max_examples=25, deadline=None)
@given(names=st.lists(st.text(), max_size=5, unique=True), size=st.integers(0, 1 << 62))
def test_it_is_byte_for_byte_what_prometheus_client_makes(
    names: list[str], size: int, openmetrics: bool
) -> None:
    class Registry:
        def __init__(self, served: Look) -> None:
            self._served = served

        def collect(self) -> Iterator[Metric]:
            return metrics_of(self._served)

    encode = generate_openmetrics if openmetrics else generate_latest
    hostile = [*names, 'a"b', "a\\\\nb", "\n", "\\"]
    zones = [usage(name, anon_bytes=size + n, exclusive_bytes=None) for n, name in enumerate(hostile)]
    for served in (everything(), look(snapshot=snapshot(*zones))):
        assert exposition(served, openmetrics) == encode(Registry(served))


def test_both_formats_have_the_same_series() -> None:
    assert read(everything(), True) == read(everything())


def test_openmetrics_ends_with_its_mark() -> None:
    assert exposition(everything(), True).endswith(b"\n# EOF\n")
    assert b"EOF" not in exposition(everything(), False)


def test_unknown_is_no_series() -> None:
    zone = usage("web", exclusive_bytes=None, proportional_bytes=None, charged_bytes=None, cgroup=None)
    found = read(look(snapshot=snapshot(zone, machine=None), growth=Growth(), pairs=()))
    names = {name for name, _ in found}
    ours = {f"zonerss_zone_{name}" for name in ("info", "rss_bytes", "hugetlb_bytes", "swap_bytes")}
    ours |= {"zonerss_zone_process_rss_bytes", "zonerss_zone_processes"}
    assert {name for name in names if name.startswith("zonerss_zone_")} == ours
    assert not [name for name in names if name.startswith(("zonerss_machine_", "zonerss_pair_"))]


def test_a_known_nothing_is_a_series() -> None:
    zone = usage("web", charged_bytes=0, oom_kills=0, pressure_some=0.0, dying_cgroups=0)
    found = read(look(snapshot=snapshot(zone)))
    for name in ("charged_bytes", "oom_kills_total", "pressure_ratio", "dying_cgroups"):
        assert found[series(f"zonerss_zone_{name}", zone="web")] == 0


def test_no_name_of_others_is_taken() -> None:
    assert all(family.name.startswith("zonerss_") for family in FAMILIES)
    assert not [family.name for family in FAMILIES if "container_memory" in family.name]


def test_each_family_is_declared_as_the_formats_want_it() -> None:
    families = Counter(family.name for family in FAMILIES)
    assert set(families.values()) == {1}
    for family in FAMILIES:
        assert (family.type == "counter") == family.name.endswith("_total"), family.name
        assert (family.type == "info") == family.name.endswith("_info"), family.name
        assert family.help.endswith("."), family.name
        assert not family.name.endswith(("_count", "_sum", "_bucket")), family.name


def test_labels_are_those_that_are_declared() -> None:
    declared = {family.name: set(family.labels) for family in FAMILIES}
    for name, labels in read(everything()):
        family = name if name in declared else name.rpartition("_")[0]
        assert {label for label, _ in labels} <= declared[family], name


DROPPED = r"zonerss_zone_(shared|hugetlb|swap|process_rss|dead_cgroups)_bytes|zonerss_zone_dying_cgroups"


def test_a_zone_has_few_series() -> None:
    """As docs/prometheus.md has them."""
    every = [name for name, labels in read(everything()) if ("zone", "web") in labels]
    names = [name for name in every if not name.startswith("zonerss_zone_cap_")]
    assert len(every) - len(names) == 6
    version2 = [name for name in names if name != "zonerss_zone_dead_cgroups_bytes"]
    version1 = [
        name for name in names if name not in ("zonerss_zone_dying_cgroups", "zonerss_zone_pressure_ratio")
    ]
    assert (len(version2), len(version1)) == (19, 18)
    assert DROPPED in (PROJECT / "packaging/prometheus/prometheus.yml").read_text()
    assert len([name for name in names if not re.fullmatch(DROPPED, name)]) == 14


NAMES = st.lists(
    st.binary(min_size=1, max_size=250).map(lambda name: name.decode("utf-8", "surrogateescape")),
    unique=True,
    min_size=1,
    max_size=5,
)


@settings(max_examples=50, deadline=None)
@given(NAMES, st.booleans())
def test_any_bytes_are_a_name(names: list[str], openmetrics: bool) -> None:
    zones = [usage(name, cgroup=f"/{name}", processes=number) for number, name in enumerate(names)]
    served = look(snapshot=snapshot(*zones), pairs=tuple(Pair((name, names[0]), 1) for name in names[1:]))
    found = read(served, openmetrics)
    processes = sorted(value for (name, _), value in found.items() if name == "zonerss_zone_processes")
    assert processes == list(range(len(names)))
    text = exposition(served, openmetrics).decode()
    assert all(printable(line, "utf-8") == line for line in text.split("\n"))


def test_figures_are_whole() -> None:
    """As floats: up to 2^53 each is exact."""
    found = read(look(snapshot=snapshot(usage("web", anon_bytes=(1 << 53) - 1))))
    assert found[series("zonerss_zone_rss_bytes", zone="web", kind="anon")] == (1 << 53) - 1


def test_a_histogram_is_cumulative_to_infinity() -> None:
    counts = Counts()
    for seconds in (0.001, 0.3, 0.3, 99):
        counts = counts.with_walk(seconds, 0, ())
    found = read(look(counts=counts))
    buckets = {
        float(dict(labels)["le"]): value
        for (name, labels), value in found.items()
        if name == "zonerss_walk_duration_seconds_bucket"
    }
    assert (buckets[0.01], buckets[0.25], buckets[0.5], buckets[10.0], buckets[inf]) == (1, 1, 3, 3, 4)
    assert found[series("zonerss_walk_duration_seconds_sum")] == pytest.approx(99.601)


def test_it_is_pure() -> None:
    served = everything()
    assert exposition(served, False) == exposition(served, False)
    assert exposition(replace(served, ended_monotonic=0.0), False) == exposition(served, False)
