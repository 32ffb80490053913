"""Facts from recorded trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from zonerss.kernel.roots import Roots
from zonerss.records.facts import Fact, Probe
from zonerss.walk import probe
from zonerss.walk.pagetable import NotLoaded, PageTableSource
from zonerss.walk.probe import probe_cgroups, probe_pagetable, probe_tracing


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


@pytest.mark.parametrize(
    ("machine", "kprobes", "holds", "word"),
    [
        ("x86_64", False, True, "tracepoints"),
        ("aarch64", True, True, "can be probed"),
        ("aarch64", False, False, "cannot be probed"),
        ("riscv64", True, False, "on x86_64 and aarch64 only, not on riscv64"),
    ],
)
def test_how_page_faults_are_seen(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, machine: str, kprobes: bool, holds: bool, word: str
) -> None:
    monkeypatch.setattr(probe.platform, "machine", lambda: machine)
    if kprobes:
        place = roots.sys / "bus/event_source/devices/kprobe"
        place.mkdir(parents=True)
        (place / "type").write_text("8\n")
    (fact,) = (fact for fact in probe_tracing(roots).facts if fact.name == "page_faults")
    assert fact.holds is holds
    assert word in fact.text
