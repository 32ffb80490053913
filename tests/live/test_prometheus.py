"""A real Prometheus that scrapes a real serve: what arrives there, the rules, and every expression of the dashboard.

The test's own Prometheus and zonerss, on ports that are free; docs/prometheus.md.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live import needs
from tests.live.cgroups import TestCgroups, move
from tests.workloads.build import build_mem
from tests.workloads.mem import Mem
from tests.workloads.prometheus import Prometheus, is_installed, until
from zonerss.serve.labels import spelled
from zonerss.views.text import encodable

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.same_in_container]

DASHBOARD = Path(__file__).resolve().parents[2] / "packaging/grafana/zonerss.json"
HOSTILE = os.fsdecode(b"\r\x1b[31m\xff\xfe\t\"\\'\x7f{}=,#\xe2\x80\xae")
LIMIT = 64 << 20
SCRAPES = 4
LAST_RULE = "fleet_zone:zonerss_rss_bytes:deriv1h"
"""It has a result once all that it is made of has one."""
VARIABLES = {"job": ".*", "instance": ".*", "zone": ".*", "__rate_interval": "1m"}


class Served(NamedTuple):
    address: str
    cgroups: TestCgroups
    zones: tuple[str, ...]
    """Paths of cgroups."""


@pytest.fixture(scope="module")
def served(cgroups: TestCgroups) -> Iterator[Served]:
    """serve, and zones of a hostile name, with a limit, with a long name, and two whose names are printed alike."""
    if not is_installed():
        needs.skip("needs_prometheus")
    byte = os.fsdecode(b"a\xff")
    made = [cgroups.make(name) for name in (HOSTILE, "limited", "x" * 240, byte, "a\\xff")]
    mems: list[Mem] = []
    process = None
    try:
        set_limit(cgroups, made[1])
        for path in made:
            mems.append(Mem(before_exec=lambda path=path: move(os.getpid(), path), program=build_mem()))
            mems[-1].map("anon 23")
        options = "--by cgroup --listen 127.0.0.1:0 --interval 0.5s --max-cpu 10000% --no-config"
        process = subprocess.Popen(
            [sys.executable, "-m", "zonerss", "serve", *options.split()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr
        line = process.stderr.readline()
        match = re.search(r"http://(\S+)", line)
        assert match, line
        serving = Served(match[1], cgroups, tuple(map(cgroups.hierarchy.name_of, made)))
        until(lambda: is_ready(serving), "serve has walked")
        yield serving
    finally:
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        for mem in mems:
            mem.end()
        for path in made:
            cgroups.remove(path)


def set_limit(cgroups: TestCgroups, path: Path) -> None:
    name = "memory.limit_in_bytes" if cgroups.hierarchy.version == 1 else "memory.max"
    (path / name).write_text(str(LIMIT))


def is_ready(served: Served) -> bool:
    try:
        return bool(fetch(served, "/-/ready"))
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise
        return False


def fetch(served: Served, path: str, accept: str = "*/*") -> bytes:
    request = urllib.request.Request(f"http://{served.address}{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body: bytes = answer.read()
        return body


@pytest.fixture(scope="module")
def prometheus(served: Served) -> Iterator[Prometheus]:
    """
    It has scraped several times, and evaluated the rules since.

    All queries are about one such moment: on a busy machine later scrapes may come too late, and their series go.
    """
    with Prometheus([(served.address, "/metrics")], interval="1s") as server:

        def is_full() -> bool:
            server.time = time.time()
            wanted = ("up == 1", f"count_over_time(zonerss_walk_seconds[1h]) >= {SCRAPES}", LAST_RULE)
            return all(map(server.query, ("zonerss_walk_seconds", *wanted)))

        until(is_full, "it has scraped and evaluated its rules", 120)
        yield server


# ---- what is served --------------------------------------------------------------------------------------


def test_promtool_takes_the_metrics(served: Served) -> None:
    text = fetch(served, "/metrics")
    label = spelled(served.zones)
    assert f'zone="{escaped(label[served.zones[0]])}"'.encode() in text
    told = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")


def escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


ZONE_FIELDS = {
    f"zonerss_zone_{name}": name
    for name in (
        *(
            "exclusive_bytes",
            "shared_bytes",
            "proportional_bytes",
            "hugetlb_bytes",
            "swap_bytes",
            "charged_bytes",
        ),
        *("limit_bytes", "process_rss_bytes", "uncertainty_bytes", "processes", "cache_unmapped_bytes"),
        *("dead_cgroups_bytes", "dying_cgroups"),
    )
} | {"zonerss_zone_oom_kills_total": "oom_kills"}


def test_each_series_is_a_figure_of_the_json_of_the_same_walk(served: Served) -> None:
    def both() -> tuple[dict[str, Any], dict[tuple[str, ...], float]] | None:
        document = json.loads(fetch(served, "/snapshot.json"))
        text = fetch(served, "/metrics").decode()
        same = document["ended"] == json.loads(fetch(served, "/snapshot.json"))["ended"]
        return (document, read(text)) if same else None

    document, series = until(both, "all is asked between two walks")
    assert series["zonerss_walk_timestamp_seconds",] == pytest.approx(
        float(subprocess.check_output(["date", "-d", document["ended"], "+%s.%N"])), abs=1e-5
    )
    by_json = {encodable(zone): zone for zone in served.zones}
    names = [zone["zone"] for zone in document["zones"]]
    label = spelled({*served.zones, *(by_json.get(name, name) for name in names)})
    # JSON has one name for two of our zones; which is which it does not say.
    alike = {label[zone] for zone in served.zones if names.count(encodable(zone)) > 1}
    assert len(alike) == 2
    series = {key: value for key, value in series.items() if alike.isdisjoint(key)}
    expected: dict[tuple[str, ...], float] = {}
    for zone in document["zones"]:
        name = label[by_json.get(zone["zone"], zone["zone"])]
        if name in alike:
            continue
        for metric, field in ZONE_FIELDS.items():
            expected[metric, name] = zone[field]
        for kind in ("anon", "file", "shmem"):
            expected["zonerss_zone_rss_bytes", name, kind] = zone[f"{kind}_bytes"]
        pressure = zone["pressure_some"]
        expected["zonerss_zone_pressure_ratio", name] = pressure and pressure / 100
    for kind in ("anon", "file", "shmem"):
        expected["zonerss_system_rss_bytes", kind] = document["total"][f"{kind}_bytes"]
    for field, value in document["machine"].items():
        if field.endswith("_bytes"):
            expected[f"zonerss_machine_{field}",] = value
    known = {key: value for key, value in expected.items() if value is not None}
    unknown = expected.keys() - known.keys()
    assert {key: series.get(key) for key in known} == pytest.approx(known)
    assert not unknown & series.keys()
    names = {key[0] for key in expected}
    assert {key for key in series if key[0] in names} == known.keys()


def read(text: str) -> dict[tuple[str, ...], float]:
    """By name, and the values of the labels that tell its series apart."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = [sample.labels[name] for name in ("zone", "kind") if name in sample.labels]
            if sample.name != "zonerss_zone_info":
                found[(sample.name, *labels)] = sample.value
    return found


# ---- what Prometheus makes of it -------------------------------------------------------------------------


def test_it_scrapes_without_an_error(prometheus: Prometheus) -> None:
    assert [value for _, value in prometheus.query("up")] == [1]


def test_no_series_is_lost_on_the_way(prometheus: Prometheus, served: Served) -> None:
    """Two zones of one label would be one series there."""
    ((_, kept),) = prometheus.query("scrape_samples_post_metric_relabeling")
    ((_, scraped),) = prometheus.query("scrape_samples_scraped")
    assert kept == scraped
    label = spelled(served.zones)
    found = {labels["zone"] for labels, _ in prometheus.query("zonerss_zone_processes")}
    assert {label[zone] for zone in served.zones} <= found


def test_every_recording_rule_has_a_result_or_may_have_none(prometheus: Prometheus) -> None:
    rules = prometheus.rules()
    assert {rule["health"] for rule in rules} == {"ok"}, [rule.get("lastError") for rule in rules]
    missing = {
        rule["name"] for rule in rules if rule["type"] == "recording" and not prometheus.query(rule["name"])
    }
    if "zone:zonerss_rss_bytes:predict1d" in missing:
        assert not prometheus.query("zone:zonerss_rss_bytes:sum offset 1h")
        missing.remove("zone:zonerss_rss_bytes:predict1d")
    if "namespace:zonerss_allocation_bytes:sum" in missing:
        assert not prometheus.query('zonerss_zone_info{namespace!=""}')
        missing.remove("namespace:zonerss_allocation_bytes:sum")
    assert not missing


def test_allocation_adds_up_to_the_machine(prometheus: Prometheus) -> None:
    query = "sum without (zone) (zone:zonerss_allocation_bytes:product) / zonerss_machine_memory_bytes"
    ((_, ratio),) = prometheus.query(query)
    assert ratio == pytest.approx(1)
    ((_, residual),) = prometheus.query("instance:zonerss_proportional_residual_bytes:sum")
    ((_, zones),) = prometheus.query("instance:zonerss_zones:count")
    assert abs(residual) <= zones


def test_the_limit_is_there(prometheus: Prometheus, served: Served) -> None:
    found = {labels["zone"]: value for labels, value in prometheus.query("zone:zonerss_limit_needed:ratio")}
    assert 0 < found[spelled(served.zones)[served.zones[1]]] < 1


def test_no_alert_is_about_a_healthy_machine(prometheus: Prometheus) -> None:
    """Alerts of our own walk and sums; what is near its limit is the machine's."""
    firing = {labels["alertname"] for labels, _ in prometheus.query('ALERTS{alertstate="firing"}')}
    assert not firing & {"ZonerssWalkTooOld", "ZonerssDown", "ZonerssDoesNotAddUp"}


def expressions() -> list[str]:
    """Every expression of the dashboard, for all machines and zones."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert len(found) > 30
    return [re.sub(r"\$(\w+)", lambda name: VARIABLES[name[1]], expression) for expression in found]


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_of_the_dashboard_has_a_result(
    prometheus: Prometheus, served: Served, expression: str
) -> None:
    if prometheus.query(expression):
        return
    if expression != (without := expression.replace(" > 0", "")):
        assert prometheus.query(without), "it has no result even where it may be 0"
        return
    version = {1: "zonerss_zone_pressure_ratio", 2: "zonerss_zone_dead_cgroups_bytes"}
    unknown = version[served.cgroups.hierarchy.version]
    assert unknown in expression
    assert not prometheus.query(unknown)


def test_the_variables_of_the_dashboard_have_values(prometheus: Prometheus) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    queries = {one["name"]: one["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"}
    assert set(queries) == {"job", "instance", "zone"}
    for name, query in queries.items():
        metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query["query"]).groups()
        metric = re.sub(r"\$(\w+)", lambda word: VARIABLES[word[1]], metric)
        values = {labels.get(label) for labels, _ in prometheus.query(metric)}
        assert values
        assert None not in values, name
