"""What ``zonerss check`` says: facts from recorded trees, sentences from facts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from zonerss.commands import check
from zonerss.commands.check import document, render, sentence
from zonerss.kernel import probe
from zonerss.kernel.probe import Fact, Probe, probe_cgroups, probe_pagetable
from zonerss.kernel.roots import Roots
from zonerss.walk.pagetable import NotLoaded, PageTableSource

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


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "sys/kernel/security").mkdir(parents=True)
    return Roots(proc=tmp_path / "proc", sys=tmp_path / "sys", host=tmp_path)


def refuse(stage: str, text: str = "it is so: do this"):
    def load(roots: Roots) -> PageTableSource:
        raise NotLoaded(stage, text)

    return load


def facts(found: Probe) -> dict[str, Fact]:
    return {fact.name: fact for fact in found.facts}


def test_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "kernel_release", lambda: "Linux 6.1 x86_64")
    assert render(PROBES) == [
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


def test_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "kernel_release", lambda: "Linux 6.1 x86_64")
    told = document(PROBES)
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


@pytest.mark.parametrize("serves", [True, False])
def test_status_says_whether_frames_can_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], serves: bool
) -> None:
    probes = (Probe("pagemap", serves, ()), Probe("pagetable", False, ()), Probe("cgroups", True, ()))
    monkeypatch.setattr(check, "probe_host", lambda: probes)
    assert check.run(argparse.Namespace(json=True, unpin=False)) == (0 if serves else 1)
    assert json.loads(capsys.readouterr().out)["schema"] == "zonerss.check/1"


def test_unpin_has_nothing_to_remove(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.run(argparse.Namespace(json=False, unpin=True)) == 0
    assert capsys.readouterr().out == "Nothing is pinned in bpffs.\n"
    assert check.run(argparse.Namespace(json=True, unpin=True)) == 0
    assert json.loads(capsys.readouterr().out)["unpinned"] == []


def test_the_stage_that_failed_and_what_comes_after_it(roots: Roots) -> None:
    found = probe_pagetable(roots, refuse("bpf"))
    assert not found.serves
    assert found.why_not == Fact("pagetable_bpf", False, "it is so", "do this")
    told = facts(found)
    assert told["pagetable_ram"].holds is True
    assert told["pagetable_base"].holds is None


def test_no_btf_in_sys_is_told(roots: Roots) -> None:
    assert facts(probe_pagetable(roots, refuse("bpf")))["btf"].holds is False
    (roots.sys / "kernel/btf").mkdir()
    (roots.sys / "kernel/btf/vmlinux").write_bytes(b"")
    assert facts(probe_pagetable(roots, refuse("bpf")))["btf"].holds is True


@pytest.mark.parametrize(
    ("text", "holds", "word"),
    [
        ("[none] integrity confidentiality\n", True, "none"),
        ("none [integrity] confidentiality\n", True, "integrity"),
        ("none integrity [confidentiality]\n", False, "confidentiality"),
        ("what is this\n", True, "unknown"),
    ],
)
def test_lockdown(roots: Roots, text: str, holds: bool, word: str) -> None:
    (roots.sys / "kernel/security/lockdown").write_text(text)
    fact = facts(probe_pagetable(roots, refuse("bpf")))["lockdown"]
    assert fact.holds is holds
    assert word in fact.text


@pytest.mark.parametrize(
    ("effective", "bpf", "perfmon"),
    [
        ("0000000000000000", False, False),
        (f"{1 << 39:016x}", True, False),
        (f"{1 << 38:016x}", False, True),
        (f"{1 << 21:016x}", True, True),
        ("no number", False, False),
    ],
)
def test_capabilities(roots: Roots, effective: str, bpf: bool, perfmon: bool) -> None:
    (roots.proc / "self/status").write_text(f"Name:\tx\nCapEff:\t{effective}\nSeccomp:\t0\n")
    told = facts(probe_pagetable(roots, refuse("bpf")))
    assert (told["cap_bpf"].holds, told["cap_perfmon"].holds) == (bpf, perfmon)


def test_a_seccomp_filter_is_told(roots: Roots) -> None:
    (roots.proc / "self/status").write_text("Seccomp:\t2\n")
    assert facts(probe_pagetable(roots, refuse("bpf")))["seccomp"].holds is None


def test_no_cgroups(roots: Roots) -> None:
    (roots.proc / "self/mountinfo").write_text("")
    assert not probe_cgroups(roots).serves


def test_no_files_of_proc(roots: Roots) -> None:
    told = facts(probe.probe_pagemap(roots))
    assert told["frame_numbers"].holds is False
    assert told["kpagecgroup"].fix == "the kernel needs CONFIG_MEMCG"
