"""What `explain --pid` shows: one process's RSS three ways."""

from __future__ import annotations

from typing import Any

from zonerss.answers.explain.process import ThreeWays
from zonerss.records.machine import Machine
from zonerss.views.columns import sizes
from zonerss.views.document import machine_fields
from zonerss.views.table import render_rows

_SAYS = {
    "counter_lag": "not yet added up by each processor",
    "changed_meanwhile": "changed between the readings",
    "zero_page": "entries that map the zero page",
    "device": "entries that map device memory or kernel memory",
    "hugetlb": "hugetlb pages, which smaps does not count in Rss",
}


def render(ways: ThreeWays, in_bytes: bool = False) -> list[str]:
    """The sum, one line a step; steps of nothing are left out but for the lag."""
    size = sizes(in_bytes)
    rows = [["", size(ways.statm_bytes), "by the kernel's counters (statm): what ps prints"]]
    for step in ways.steps:
        if step.bytes or step.name == "counter_lag":
            rows.append(["+" if step.bytes >= 0 else "-", size(abs(step.bytes)), _SAYS[step.name]])
        if step.name == "counter_lag":
            rows.append(["=", size(ways.smaps_bytes), "by smaps: the sum of Rss"])
    rows.append(
        [
            "=",
            size(ways.translations_bytes),
            "by page table entries: every entry that pagemap shows (rm_asrss)",
        ]
    )
    table = render_rows(["", "BYTES" if in_bytes else "SIZE", "WHAT"], rows, [True, False, True], prose=True)
    lines = [f"process {ways.pid}", "", *table]
    if ways.pfnmap_bytes:
        lines += [
            "",
            "Not in it: device or kernel memory that is mapped by frame number (VM_PFNMAP), "
            f"{size(ways.pfnmap_bytes)} at most; pagemap does not show it.",
        ]
    return lines


def document(ways: ThreeWays, machine: Machine | None) -> dict[str, Any]:
    """``zonerss.explain-process/1``: statm_bytes + all steps = translations_bytes; machine: where the process is."""
    return {
        "schema": "zonerss.explain-process/1",
        "pid": ways.pid,
        "machine": machine_fields(machine),
        "statm_bytes": ways.statm_bytes,
        "smaps_bytes": ways.smaps_bytes,
        "translations_bytes": ways.translations_bytes,
        "pfnmap_bytes": ways.pfnmap_bytes,
        "steps": [{"step": step.name, "bytes": step.bytes} for step in ways.steps],
    }
