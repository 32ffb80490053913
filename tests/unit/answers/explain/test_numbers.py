"""Everyone's formula, by hand."""

from __future__ import annotations

from zonerss.answers.explain.numbers import Facts, everyones
from zonerss.records.bills import Bill

V2 = Bill(
    version=2,
    charged_bytes=1000,
    stat={"anon": 300, "file": 500, "shmem": 110, "inactive_file": 170, "inactive_anon": 1},
    own=None,
    kernel_bytes=90,
    swap_bytes=0,
    dying=0,
)
V1 = Bill(
    version=1,
    charged_bytes=1000,
    stat={
        "rss": 300,
        "cache": 500,
        "shmem": 110,
        "inactive_file": 170,
        "active_anon": 250,
        "inactive_anon": 161,
    },
    own={},
    kernel_bytes=90,
    swap_bytes=0,
    dying=None,
)


def numbers(bill: Bill | None) -> dict[str, int | None]:
    return {number.name: number.bytes for number in everyones(Facts(9000, 650, 60, 700, 720, 400, 510, bill))}


def test_what_the_page_tables_say_needs_no_bill():
    found = numbers(None)
    assert found["ps, prstat"] == 9000
    assert found["getvmusage"] == 720
    assert found["zonerss"] == 700
    assert found["SmartOS live"] == 400
    assert found["zone's share"] == 510
    assert found["smem, ps_mem"] == 650
    assert found["USS"] == 60
    unknown = [
        "memory.current",
        "systemd-cgtop",
        "docker stats",
        "podman stats",
        "kubelet",
        "memory.stat anon",
    ]
    assert [found[name] for name in unknown] == [None] * len(unknown)


def test_version_2():
    found = numbers(V2)
    assert found["memory.current"] == found["systemd-cgtop"] == 1000
    assert found["docker stats"] == found["podman stats"] == found["kubelet"] == 1000 - 170
    assert found["podman, before"] == 300
    assert found["podman, at first"] == 1000
    assert (found["memory.stat anon"], found["memory.stat file"], found["memory.stat shmem"]) == (
        300,
        500,
        110,
    )


def test_version_1():
    found = numbers(V1)
    assert found["usage_in_bytes"] == found["systemd-cgtop"] == 1000
    assert found["docker stats"] == found["podman stats"] == found["kubelet"] == 1000 - 170
    assert found["podman, before"] == 250 + 161
    assert found["podman, at first"] == 1000
    assert (found["memory.stat anon"], found["memory.stat file"], found["memory.stat shmem"]) == (
        300,
        500,
        110,
    )


def test_where_the_idle_cache_is_the_larger_docker_prints_all_and_the_others_0():
    found = numbers(Bill(2, 100, {"inactive_file": 100}, None, None, None, None))
    assert found["docker stats"] == 100
    assert found["kubelet"] == found["podman stats"] == 0


def test_what_comes_from_the_bill_is_of_the_whole_cgroup():
    for bill in (None, V1, V2):
        rows = everyones(Facts(1, 1, 1, 1, None, None, None, bill))
        own = [number.name for number in rows if not number.whole_cgroup]
        assert own == [number.name for number in rows][: len(own)]
        assert own[-1] == "USS"


def test_each_has_a_formula_and_a_question():
    for bill in (None, V1, V2):
        for number in everyones(Facts(1, 1, 1, 1, None, None, None, bill)):
            assert number.formula
            assert number.answers
            line = f"{number.name:18} {'99999M':>7}  {number.formula:32}  {number.answers}"
            assert len(line) <= 110
