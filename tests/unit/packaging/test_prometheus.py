"""The rules, alerts and dashboard that come with the project: whole, tested, and of metrics that there are.

promtool is the judge of the files' form; tests/live/test_prometheus.py runs them in a real Prometheus.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from zonerss.serve.metrics import FAMILIES

PROJECT = Path(__file__).resolve().parents[3]
PROMETHEUS = PROJECT / "packaging" / "prometheus"
DASHBOARD = PROJECT / "packaging" / "grafana" / "zonerss.json"
PAGE = PROJECT / "docs" / "prometheus.md"
SUFFIXES = ("_bucket", "_count", "_sum")
MOVING = {"zonerss_walk_age_seconds": "gauge"}
"""What is put behind a look's metrics at each scrape, as far as it is about the look."""


def promtool(*words: object) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: vm/provision test installs it")
    told = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def rules() -> list[dict[str, Any]]:
    files = [PROMETHEUS / f"zonerss.{kind}.yml" for kind in ("rules", "alerts")]
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Of rules and of the dashboard."""
    yield from (rule["expr"] for rule in rules())
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query")


def metrics_of(expression: str) -> set[str]:
    """Names of metrics and of recorded series."""
    without_texts = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"(?<![\w:])(?:[a-z_]+:)?zonerss_[a-z0-9_]+(?::\w+)?(?![\w:])", without_texts))


def test_the_configuration_is_prometheus_own() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("kind", ["rules", "alerts"])
def test_the_rules_are_well_formed(kind: str) -> None:
    assert "SUCCESS" in promtool("check", "rules", PROMETHEUS / f"zonerss.{kind}.yml")


def test_the_rules_do_what_their_tests_say() -> None:
    promtool("test", "rules", PROMETHEUS / "zonerss.test.yml")


def test_each_rule_has_a_result_in_the_tests() -> None:
    tests = yaml.safe_load((PROMETHEUS / "zonerss.test.yml").read_text())["tests"]
    seen = {
        case["expr"].partition("{")[0]
        for test in tests
        for case in test.get("promql_expr_test", ())
        if case["exp_samples"]
    }
    fired, silent = set(), set()
    for test in tests:
        for case in test.get("alert_rule_test", ()):
            (fired if case["exp_alerts"] else silent).add(case["alertname"])
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert recorded <= seen
    assert alerts == fired == silent


def test_each_rule_is_named_once() -> None:
    names = [rule.get("record") or rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)


def test_every_metric_that_is_asked_for_exists() -> None:
    known = {family.name for family in FAMILIES if family.type != "histogram"} | MOVING.keys()
    known |= {family.name + end for family in FAMILIES if family.type == "histogram" for end in SUFFIXES}
    known |= {rule["record"] for rule in rules() if "record" in rule}
    asked = {name for expression in expressions() for name in metrics_of(expression)}
    assert len(asked) > 30
    assert asked <= known


def test_labels_that_are_asked_for_exist() -> None:
    labels = {label for family in FAMILIES for label in family.labels} | {"job", "instance"}
    for expression in expressions():
        inside = re.findall(r"\{([^}]*)\}", expression)
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", ",".join(inside))) <= labels, expression
        for words in re.findall(r"(?:by|without|on|ignoring|group_left) \(([^)]*)\)", expression):
            assert {word for word in re.split(r",\s*", words) if word} <= labels, expression


# ---- the dashboard ---------------------------------------------------------------------------------------


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_panels_say_what_they_show_in_which_unit() -> None:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references)


# ---- the page of the docs --------------------------------------------------------------------------------


def test_the_page_lists_every_metric_with_its_type_and_labels() -> None:
    rows = re.findall(
        r"^\| `(zonerss_\w+)(?:\{([^}]*)\})?` \| (\w+) \| .+ \|$", PAGE.read_text(), re.MULTILINE
    )
    told = {name: (type, tuple(filter(None, labels.split(", ")))) for name, labels, type in rows}
    ours = {
        family.name: (family.type, () if family.type == "histogram" else family.labels) for family in FAMILIES
    }
    assert told == ours | {name: (type, ()) for name, type in MOVING.items()}


def test_the_page_lists_every_rule() -> None:
    text = PAGE.read_text()
    for rule in rules():
        assert f"`{rule.get('record') or rule['alert']}`" in text
