"""What ``zonerss check`` says: sentences from facts."""

from __future__ import annotations

import json

from zonerss.records.facts import Fact, Probe
from zonerss.views.check import document, render, sentence

PROBES = (
    Probe(
        "pagemap",
        True,
        (Fact("root", True, "we are root"), Fact("scan", False, "no scan", "Linux 6.7 has it")),
    ),
    Probe(
        "pagetable",
        False,
        (Fact("bpf", False, "the kernel refuses", "grant it"), Fact("base", None, "not tried")),
    ),
)


def test_text() -> None:
    assert render("Linux 6.1 x86_64", PROBES) == [
        "Linux 6.1 x86_64",
        "",
        "Frames by /proc/PID/pagemap: serves",
        "  yes  we are root",
        "  no   no scan: Linux 6.7 has it",
        "",
        "Frames from page tables, by BPF: cannot serve",
        "  no   the kernel refuses: grant it",
        "  -    not tried",
    ]


def test_json() -> None:
    told = document("Linux 6.1 x86_64", PROBES)
    assert told["schema"] == "zonerss.check/1"
    assert told["kernel"] == "Linux 6.1 x86_64"
    assert [(part["part"], part["serves"], part["why_not"]) for part in told["parts"]] == [
        ("pagemap", True, None),
        ("pagetable", False, "the kernel refuses: grant it"),
    ]
    assert told["parts"][1]["facts"][1] == {"name": "base", "holds": None, "text": "not tried", "fix": None}
    json.dumps(told)


def test_a_yes_needs_no_fix() -> None:
    assert sentence(Fact("x", True, "all is well", "do this")) == "all is well"
