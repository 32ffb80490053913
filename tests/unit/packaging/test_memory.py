"""What units and manifests give of memory and processors is held to what was measured: docs/serve.md, what it costs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from zonerss.commands import parse
from zonerss.commands.quantities import size

PROJECT = Path(__file__).resolve().parents[3]
UNITS = ("zonerss-exporter", "zonerss-cap")
MANIFESTS = ("base", "cap")
MIB, GIB = 1 << 20, 1 << 30


def page(name: str) -> str:
    return " ".join((PROJECT / "docs" / name).read_text("utf-8").split())


def measured_bytes() -> int:
    """The most that was seen, besides what the size of the machine adds."""
    (section,) = re.findall(r"## What it costs (.*?) Besides these some 100 MiB", page("serve.md"))
    found = [
        int(number) for told in re.findall(r"([\d, ]+) MiB", section) for number in re.findall(r"\d+", told)
    ]
    assert len(found) >= 8, found
    return max(found) * MIB


def needed_bytes(ram_bytes: int) -> int:
    """On a machine of that size."""
    assert "1 MiB for each GiB of its RAM: a walk marks each page in 4 bytes" in page("serve.md")
    return measured_bytes() + ram_bytes // 4096 * 4


def resources(place: str) -> dict[str, Any]:
    text = (PROJECT / "packaging/kubernetes" / place / "daemonset.yaml").read_text("utf-8")
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container["resources"]
    return found


def memory_bytes(text: str) -> int:
    """As Kubernetes writes it."""
    return size(text.removesuffix("i"))


@pytest.mark.parametrize("place", MANIFESTS)
def test_a_pod_asks_for_what_was_measured(place: str) -> None:
    asked = memory_bytes(resources(place)["requests"]["memory"])
    assert measured_bytes() <= asked < 2 * measured_bytes()


@pytest.mark.parametrize("place", MANIFESTS)
def test_a_pod_asks_for_the_processor_that_walks_may_take(place: str) -> None:
    """And as much again for who asks it."""
    asked = int(re.sub(r"m$", "", resources(place)["requests"]["cpu"]))
    assert asked >= 2 * 1000 * parse("serve", ["--no-config"]).max_cpu


@pytest.mark.parametrize("place", MANIFESTS)
def test_a_pods_limit_is_enough_for_the_nodes_that_are_named(place: str) -> None:
    given = resources(place)
    told = re.search(
        r"Requests are (\w+) and (\w+), the limit of memory is (\w+): .* enough for nodes of some (\d+) GiB",
        page("kubernetes.md"),
    )
    assert told is not None
    assert told.groups()[:3] == (*given["requests"].values(), *given["limits"].values())
    assert memory_bytes(given["limits"]["memory"]) >= needed_bytes(int(told[4]) * GIB)


@pytest.mark.parametrize("name", UNITS)
def test_a_units_limit_is_enough_for_the_machines_that_are_named(name: str) -> None:
    unit = (PROJECT / "packaging/systemd" / f"{name}.service").read_text("utf-8")
    (limit,) = re.findall(r"^MemoryMax=(.+)$", unit, re.MULTILINE)
    (tebibytes,) = re.findall(r"^# About 100 MiB, .*: enough for (\d+) TiB\.$", unit, re.MULTILINE)
    assert size(limit) >= needed_bytes(int(tebibytes) * 1024 * GIB)
    for told in ("deb.md", "cap-hands.md"):
        assert f"{size(limit) // GIB} GiB" in page(told), told
