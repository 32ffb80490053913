"""The chain of a zone, from the sum of its processes' RSS to what the kernel charges: a sum, or a document."""

from __future__ import annotations

from typing import Any

from zonerss.answers.explain.chain import Chain, Step
from zonerss.answers.explain.records import Account, Drift
from zonerss.units import counted
from zonerss.views.columns import sizes
from zonerss.views.document import gap_list, header
from zonerss.views.footer import remarks
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable

_SAYS = {
    "counted_again": "counted again: frames that several processes of the zone map",
    "billed_to_others": "charged to {cgroup}",
    "billed_to_nobody": "charged to no cgroup",
    "cache_not_mapped": "page cache of this cgroup that no process maps",
    "anon_not_seen": "anonymous memory of this cgroup that no process walked maps",
    "anon_not_mapped": "anonymous memory that no page table maps: swap cache, rests of huge pages, pinned pages",
    "mapped_by_others": "charged here, mapped only by {zones}",
    "kernel": "kernel memory: page tables, stacks, slab",
    "page_tables": "page tables",
    "second_level_page_tables": "page tables of virtual machines and devices",
    "kernel_stacks": "kernel stacks",
    "slab": "slab: inodes, dentries and other objects of the kernel",
    "percpu": "per-cpu memory of the kernel",
    "vmalloc": "vmalloc memory of the kernel",
    "zswap": "compressed swap",
    "other_kernel": "other kernel memory",
    "sockets": "socket buffers",
    "hugetlb": "hugetlb pages",
}


def say(step: Step) -> str:
    """A step in words, safe to print."""
    text = _SAYS.get(step.name, step.name)
    return text.format(cgroup=printable(step.cgroup or ""), zones=" and ".join(map(printable, step.zones)))


def render(account: Account, in_bytes: bool = False) -> list[str]:
    """The chain as a column of sums, one line a step, and remarks below it."""
    table = render_rows(
        ["", "BYTES" if in_bytes else "SIZE", "WHAT"],
        sums(account, in_bytes),
        [True, False, True],
        prose=True,
    )
    return [
        f"zone {printable(account.chain.zone)}",
        "",
        *table,
        "",
        *notes(account),
        *remarks(account.snapshot),
    ]


def sums(account: Account, in_bytes: bool = False) -> list[list[str]]:
    """The chain, a row a step: its sign, its size and what it is, safe to print."""
    chain, size = account.chain, sizes(in_bytes)
    rows = [["", size(chain.process_rss_bytes), f"sum of process RSS ({chain.processes} processes)"]]
    for step in chain.steps:
        if step.bytes or step.name == "counted_again":
            rows.append(["+" if step.bytes >= 0 else "-", size(abs(step.bytes)), say(step)])
        if step.name == "counted_again":
            rows.append(["=", size(chain.rss_bytes), "RSS of the zone: every frame once"])
    if chain.residual_bytes is not None:
        rows.append(
            [
                "+" if chain.residual_bytes >= 0 else "-",
                size(abs(chain.residual_bytes)),
                _residual(chain, size(chain.residual_bound_bytes)),
            ]
        )
    if chain.charged_bytes is not None:
        name = "memory.current" if account.bill and account.bill.version == 2 else "memory.usage_in_bytes"
        rows.append(["=", size(chain.charged_bytes), f"charged to {printable(chain.cgroup or '')} ({name})"])
    return rows


def _residual(chain: Chain, bound: str) -> str:
    if chain.holds:
        return f"not explained (within the kernel's own rounding, {bound})"
    return f"NOT EXPLAINED (more than the kernel's own rounding, {bound})"


def notes(account: Account) -> list[str]:
    """What is missing in the chain, and what changed while it was measured: a sentence each."""
    lines = []
    if account.bill is None:
        lines.append("This zone has no cgroup of its own that is charged, so the chain ends at its RSS.")
    if account.shares is None:
        past = account.snapshot.past
        why = (
            "It was not recorded which cgroup a frame is charged to (record --lean)"
            if past is not None and past.is_lean
            else "The kernel does not tell which cgroup a frame is charged to (no /proc/kpagecgroup)"
        )
        lines.append(f"{why}: steps are missing.")
    drift = account.drift
    if drift is not None and (drift.processes_changed or drift.charged_bytes):
        lines.append(
            f"Changed during the measurement: {came_and_left(drift)}, the charge changed by "
            f"{drift.charged_bytes:+,} bytes; measured {counted(account.attempts, 'time')}."
        )
    return lines


def came_and_left(drift: Drift) -> str:
    """How many processes came and left."""
    return f"{counted(len(drift.came), 'process', 'processes')} came, {len(drift.left)} left"


def document(account: Account, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """``zonerss.explain/1``: process_rss_bytes + all steps + residual_bytes = charged_bytes."""
    chain, drift = account.chain, account.drift
    return (
        header("zonerss.explain/1", account.snapshot)
        | {
            "zone": encodable(chain.zone),
            "cgroup": None if chain.cgroup is None else encodable(chain.cgroup),
            "processes": chain.processes,
            "process_rss_bytes": chain.process_rss_bytes,
            "rss_bytes": chain.rss_bytes,
            "charged_bytes": chain.charged_bytes,
            "steps": [step_fields(step) for step in chain.steps],
            "residual_bytes": chain.residual_bytes,
            "residual_bound_bytes": chain.residual_bound_bytes,
            "holds": chain.holds,
            "attempts": account.attempts,
            "drift": None
            if drift is None
            else {"came": drift.came, "left": drift.left, "charged_bytes": drift.charged_bytes},
        }
        | (extra or {})
        | {"gaps": gap_list(account.snapshot.gaps)}
    )


def step_fields(step: Step) -> dict[str, Any]:
    """One step for JSON."""
    fields: dict[str, Any] = {
        "step": step.name,
        "bytes": step.bytes,
        "cgroup": None if step.cgroup is None else encodable(step.cgroup),
    }
    return fields | ({"zones": [encodable(zone) for zone in step.zones]} if step.zones else {})
