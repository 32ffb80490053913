"""docs/fleet.md: every question is asked of the exported recordings of a simulated fleet.

ZONERSS_FLEET_HOSTS=50 makes a fleet of 50 hosts; otherwise it is as small as tells something.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.unit.history.moments import Host
from zonerss.commands import main
from zonerss.history.keeper import Keeper
from zonerss.history.moment import Moment

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "fleet.md").read_text("utf-8")
BLOCKS = dict(
    re.findall(r"^(?:# |## )([^\n]*)\n(?:(?!^#).)*?^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)
HOSTS = int(os.environ.get("ZONERSS_FLEET_HOSTS", "3"))
WORKLOADS = (
    "shop/web",
    "shop/cart",
    "data/db",
    "data/cache",
    "infra/proxy",
    "infra/logs",
    "ml/train",
    "ml/serve",
)
LEAK = "data/cache"
DAYS = 4
GROWTH_PAGES = 5000

duckdb: Any = pytest.importorskip("duckdb", reason="the extra `export` is not installed")


def names(host: int) -> list[str]:
    """Zones as Kubernetes names them."""
    found = []
    for number, workload in enumerate(WORKLOADS):
        namespace, name = workload.split("/")
        found.append(f"{namespace}/{name}-{host * 7919 % 0xFFFFFF:08x}-{number:05}/{name}")
    return found


def images() -> list[str]:
    """Two workloads are of each image, of which the last has no name."""
    names = [f"registry.example/app-{number}:1" for number in range(len(WORKLOADS) // 2 - 1)]
    return [name for name in (*names, "") for _ in range(2)]


def workload(zone: str) -> str:
    namespace, pod, container = zone.split("/")
    return f"{namespace}/{pod[: -len('-00000000-00000')]}/{container}"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Moment]]:
    """A directory with what each host has exported, and the last moment of each."""
    top, last = tmp_path_factory.mktemp("fleet"), []
    for table in ("zones", "parts", "files"):
        (top / table).mkdir()
    for number in range(HOSTS):
        host = Host(8, 20, seed=number + 1, name=f"node-{number}", names=names(number), images=images())
        recording = top / f"{number}.zrec"
        with Keeper(recording) as keeper:
            for day in range(DAYS):
                moment = host.moment(86400 * day)
                keeper.add(moment)
                host.drift(0.1)
                host.grow(WORKLOADS.index(LEAK), GROWTH_PAGES)
        last.append(moment)
        for table in ("zones", "parts", "files"):
            target = str(top / table / f"{number}.parquet")
            words = ["export", str(recording), "--no-config", "--table", table, "--label", "cluster=eu1"]
            assert main([*words, "--to", target]) == 0
    return top, last


@pytest.fixture
def asked(fleet: tuple[Path, list[Moment]], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Asks a question of the page."""
    monkeypatch.chdir(fleet[0])
    with duckdb.connect() as connection:
        connection.execute(BLOCKS["Questions of a fleet"])
        yield lambda question: answer(connection, question)


def answer(connection: Any, question: str) -> list[dict[str, Any]]:
    """The rows, by the names of their columns."""
    began = time.perf_counter()
    found = connection.execute(BLOCKS[question])
    columns = [column[0] for column in found.description]
    rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    print(f"{HOSTS} hosts: {1000 * (time.perf_counter() - began):.0f} ms: {question}")
    return rows


def test_every_block_is_asked() -> None:
    text = Path(__file__).read_text("utf-8")
    assert PAGE.count("```sql") == len(BLOCKS)
    for question in BLOCKS:
        assert f'"{question}"' in text, question


def test_the_cost_of_workloads_adds_up(asked: Any, fleet: tuple[Path, list[Moment]]) -> None:
    rows = asked("What does each workload cost?")
    expected: Counter[str] = Counter()
    for moment in fleet[1]:
        for usage in moment.snapshot.zones:
            expected[workload(usage.zone)] += usage.proportional_bytes or 0
    assert {row["workload"]: row["bytes"] for row in rows} == dict(expected)
    assert sum(row["percent"] for row in rows) == pytest.approx(100)
    assert {row["zones"] for row in rows} == {HOSTS}
    everything = sum(moment.snapshot.total.rss_bytes for moment in fleet[1])
    assert sum(expected.values()) == pytest.approx(everything, abs=8 * HOSTS)


def test_what_sharing_saves_is_the_sum_less_the_whole(asked: Any, fleet: tuple[Path, list[Moment]]) -> None:
    rows = asked("Which workloads share most?")
    saved = sum(
        sum(usage.rss_bytes for usage in moment.snapshot.zones) - moment.snapshot.total.rss_bytes
        for moment in fleet[1]
    )
    assert sum(row["saved_bytes"] for row in rows) == pytest.approx(saved)
    assert {row["hosts"] for row in rows} == {HOSTS}


def test_what_containers_of_one_image_save_is_what_share_says(
    asked: Any, fleet: tuple[Path, list[Moment]], capsys: pytest.CaptureFixture[str]
) -> None:
    """The page's SQL over all hosts, and `share --by-image` of the recording of each."""
    rows = asked("Which images share most?")
    expected: Counter[str] = Counter()
    for number in range(HOSTS):
        words = ["share", "--by-image", "--no-config", "--from", str(fleet[0] / f"{number}.zrec"), "--json"]
        capsys.readouterr()
        assert main(words) == 0
        for image in json.loads(capsys.readouterr().out)["images"]:
            expected[image["name"] or image["id"]] += image["saved_bytes"]
    assert {row["image"]: row["saved_bytes"] for row in rows} == dict(expected)
    assert len(rows) == len(set(images()))
    assert {(row["hosts"], row["containers"]) for row in rows} == {(HOSTS, 2 * HOSTS)}
    assert all(row["saved_bytes"] > 0 for row in rows)


def test_files_that_are_in_memory_several_times(asked: Any) -> None:
    rows = asked("Which files are shared by most, and which ought to be?")
    assert rows[0]["file"].startswith("/usr/lib/")
    assert all(0 <= row["wasted_bytes"] <= row["mapped_bytes"] for row in rows)


def test_the_leak_is_the_first_that_grew(asked: Any) -> None:
    rows = asked("Who grew this week?")
    assert rows[0]["workload"] == "data/cache/cache"
    assert rows[0]["r2"] > 0.9
    assert rows[0]["bytes_a_week"] == pytest.approx(7 * GROWTH_PAGES * 4096 * HOSTS, rel=0.2)


def test_what_two_have_in_common_at_most(asked: Any, fleet: tuple[Path, list[Moment]]) -> None:
    rows = asked("What would placing these two together save?")
    assert len({(row["one"], row["other"]) for row in rows}) == len(rows) > 0
    assert all(row["saved_bytes"] > 0 and row["one"] < row["other"] for row in rows)


def test_who_is_near_its_limit(asked: Any) -> None:
    rows = asked("Who is near its limit, and is it memory that somebody uses?")
    assert [row["percent"] for row in rows] == sorted((row["percent"] for row in rows), reverse=True)


def test_what_is_counted_once(asked: Any, fleet: tuple[Path, list[Moment]]) -> None:
    rows = asked("Which hosts have room, counted once?")
    expected = {m.host_name: m.snapshot.total.rss_bytes for m in fleet[1]}
    assert rows
    assert all(row["mapped_bytes"] == expected[row["host"]] for row in rows)


def test_tables_that_were_exported_at_different_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot is kept before each export, and no two of them have a common one."""
    host = Host(8, 20, seed=1, names=names(0))
    monkeypatch.chdir(tmp_path)
    with Keeper("a.zrec") as keeper:
        for number, table in enumerate(("zones", "parts", "files")):
            (tmp_path / table).mkdir()
            keeper.add(moment := host.moment(3600 * number))
            words = ["--since", f"{moment.snapshot.began:%Y-%m-%dT%H:%M:%SZ}", "--to", f"{table}/a.parquet"]
            assert main(["export", "a.zrec", "--no-config", "--table", table, *words]) == 0
    with duckdb.connect() as connection:
        connection.execute(BLOCKS["Questions of a fleet"])
        for question in (
            "What does each workload cost?",
            "Which workloads share most?",
            "Which files are shared by most, and which ought to be?",
            "What would placing these two together save?",
            "Which hosts have room, counted once?",
        ):
            assert answer(connection, question), question
