"""What `explain` shows: the chain, everyone's numbers, the matrix of payers, one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zonerss.answers.explain.account import Account, Matrix, Payer
from zonerss.answers.explain.chain import Chain, Payment, Step
from zonerss.answers.explain.numbers import Number
from zonerss.units import format_size
from zonerss.views.document import gap_list, header
from zonerss.views.gaps import gap_sentence
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable

_SAYS = {
    "counted_again": "counted again: frames that several processes of the zone map",
    "billed_to_others": "billed to {cgroup}",
    "billed_to_nobody": "billed to nobody",
    "cache_not_mapped": "page cache of this cgroup that no process maps",
    "anon_not_seen": "anonymous memory of this cgroup that no process walked maps",
    "anon_not_mapped": "anonymous memory that nobody maps: swap cache, rests of huge pages",
    "mapped_by_others": "billed here, mapped by {zones} only",
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
    """A step in words."""
    text = _SAYS.get(step.name, step.name)
    return text.format(cgroup=printable(step.cgroup or ""), zones=" and ".join(map(printable, step.zones)))


def render_chain(account: Account, in_bytes: bool = False) -> list[str]:
    """The chain as a sum that one can follow with a finger, and what is to be said about it."""
    chain, size = account.chain, _sizes(in_bytes)
    rows = [["", size(chain.process_rss_bytes), f"sum of process RSS ({chain.processes} processes)"]]
    for step in chain.steps:
        if step.bytes or step.name == "counted_again":
            rows.append(["+" if step.bytes >= 0 else "-", size(abs(step.bytes)), say(step)])
        if step.name == "counted_again":
            rows.append(["=", size(chain.rss_bytes), "RSS of the zone: every frame once"])
    if chain.residual_bytes is not None:
        rows.append(
            ["+" if chain.residual_bytes >= 0 else "-", size(abs(chain.residual_bytes)), _residual(chain)]
        )
    if chain.charged_bytes is not None:
        name = "memory.current" if account.bill and account.bill.version == 2 else "memory.usage_in_bytes"
        rows.append(["=", size(chain.charged_bytes), f"charged to {printable(chain.cgroup or '')} ({name})"])
    table = render_rows(["", "BYTES" if in_bytes else "SIZE", "WHAT"], rows, [True, False, True])
    return [f"zone {printable(chain.zone)}", "", *table, "", *_remarks(account)]


def _sizes(in_bytes: bool) -> Callable[[int | None], str]:
    def size(value: int | None) -> str:
        return format_size(value) if value is None or not in_bytes else str(value)

    return size


def _residual(chain: Chain) -> str:
    bound = format_size(chain.residual_bound_bytes)
    holds = "holds" if chain.holds else "DOES NOT HOLD"
    return f"residual; bound ±{bound} (64 pages a cpu): {holds}"


def _remarks(account: Account) -> list[str]:
    lines = []
    if account.bill is None:
        lines.append("The kernel bills this zone to no cgroup of its own, so the chain ends at its RSS.")
    if account.shares is None:
        lines.append(
            "The kernel does not say who pays for a frame (no /proc/kpagecgroup), so no step can tell."
        )
    drift = account.drift
    if drift is not None and (drift.processes_changed or drift.charged_bytes):
        lines.append(
            f"Drift while it was measured: {len(drift.came)} processes came, {len(drift.left)} left, "
            f"the bill changed by {drift.charged_bytes:+,} bytes; taken {account.attempts} times."
        )
    missing = gap_sentence(account.snapshot.gaps)
    return [*lines, missing] if missing else lines


def explain_document(account: Account, extra: dict[str, Any] | None = None) -> dict[str, Any]:
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
            "steps": [_step_fields(step) for step in chain.steps],
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


def _step_fields(step: Step) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "step": step.name,
        "bytes": step.bytes,
        "cgroup": None if step.cgroup is None else encodable(step.cgroup),
    }
    return fields | ({"zones": [encodable(zone) for zone in step.zones]} if step.zones else {})


def render_numbers(zone: str, numbers: Sequence[Number], in_bytes: bool = False) -> list[str]:
    """One table: who says what, by which formula, in answer to which question."""
    size = _sizes(in_bytes)
    rows = [[number.name, size(number.bytes), number.formula, number.answers] for number in numbers]
    table = render_rows(
        ["WHO", "BYTES" if in_bytes else "SIZE", "FORMULA", "ANSWERS"], rows, [True, False, True, True]
    )
    return [f"zone {printable(zone)}", "", *table]


def number_list(numbers: Sequence[Number]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [
        {"name": number.name, "bytes": number.bytes, "formula": number.formula, "answers": number.answers}
        for number in numbers
    ]


LARGE_BYTES = 1 << 20
"""Cells of the matrix from here on get a hint."""


def hint(payment: Payment, payers: Sequence[Payer]) -> str:
    """Why this cgroup pays for what that zone maps, and what follows, in a few words."""
    if payment.cgroup is None:
        return "in no bill: touched before there was one, or since freed"
    payer = next((payer for payer in payers if payer.cgroup == payment.cgroup), None)
    if payer is None or payer.zone == payment.zone:
        return "its own" if not (payer and payer.removed_bytes) else _outlives(payer)
    if payer.cgroup == "/":
        return "the root cgroup: on no limit"
    if payer.removed_bytes:
        return _outlives(payer)
    if not payer.processes:
        return "no process is left in it: the charge outlives them"
    if payer.zone is not None:
        return f"{printable(payer.zone)} touched these first, and pays"
    return "touched first by processes of that cgroup"


def _outlives(payer: Payer) -> str:
    return f"{format_size(payer.removed_bytes)} of it by removed cgroups below: charges outlive them"


def render_matrix(matrix: Matrix, zone: str | None, in_bytes: bool = False) -> list[str]:
    """Zones, who pays for what they map, and why."""
    size = _sizes(in_bytes)
    rows = [
        [
            printable(payment.zone),
            size(payment.bytes),
            size(payment.exclusive_bytes),
            "–" if payment.cgroup is None else printable(payment.cgroup),
            hint(payment, matrix.payers) if payment.bytes >= LARGE_BYTES else "",
        ]
        for payment in matrix.payments
        if zone in (None, payment.zone)
    ]
    lines = render_rows(["ZONE", "MAPS", "EXCL", "PAYER", "WHY"], rows, [True, False, False, True, True])
    missing = gap_sentence(matrix.snapshot.gaps)
    return [*lines, "", missing] if missing else lines


def matrix_document(matrix: Matrix, zone: str | None) -> dict[str, Any]:
    """``zonerss.payers/1``: who pays for what each zone maps."""
    return header("zonerss.payers/1", matrix.snapshot) | {
        "payments": [
            {
                "zone": encodable(payment.zone),
                "cgroup": None if payment.cgroup is None else encodable(payment.cgroup),
                "bytes": payment.bytes,
                "exclusive_bytes": payment.exclusive_bytes,
                "hint": encodable(hint(payment, matrix.payers)),
            }
            for payment in matrix.payments
            if zone in (None, payment.zone)
        ],
        "payers": [
            {
                "cgroup": None if payer.cgroup is None else encodable(payer.cgroup),
                "zone": None if payer.zone is None else encodable(payer.zone),
                "bytes": payer.bytes,
                "removed_bytes": payer.removed_bytes,
                "processes": payer.processes,
            }
            for payer in matrix.payers
        ],
        "gaps": gap_list(matrix.snapshot.gaps),
    }
