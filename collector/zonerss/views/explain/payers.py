"""Which cgroup is charged for what each zone maps: a table, or a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zonerss.answers.explain.chain import Payment
from zonerss.answers.explain.records import Matrix, Payer
from zonerss.views.columns import sizes
from zonerss.views.document import gap_list, header
from zonerss.views.footer import remarks
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable

LARGE_BYTES = 1 << 20
"""Cells of the matrix from here on get a hint."""


def hint(payment: Payment, payers: Sequence[Payer], in_bytes: bool = False) -> str:
    """Why this cgroup pays for what that zone maps, and what follows, in a few words."""
    if payment.cgroup is None:
        return "in no bill: touched before there was one, or since freed"
    payer = next((payer for payer in payers if payer.cgroup == payment.cgroup), None)
    if payer is None or payer.zone == payment.zone:
        return "its own" if not (payer and payer.removed_bytes) else _outlives(payer, in_bytes)
    if payer.cgroup == "/":
        return "the root cgroup: on no limit"
    if payer.removed_bytes:
        return _outlives(payer, in_bytes)
    if not payer.processes:
        return "no process is left in it: the charge outlives them"
    if payer.zone is not None:
        return f"{printable(payer.zone)} touched these first, and pays"
    return "touched first by processes of that cgroup"


def _outlives(payer: Payer, in_bytes: bool) -> str:
    size = sizes(in_bytes)(payer.removed_bytes)
    return f"{size} of all that it pays for was charged by removed cgroups below: charges outlive them"


def render(matrix: Matrix, zone: str | None, in_bytes: bool = False) -> list[str]:
    """Zones, who pays for what they map, and why."""
    size = sizes(in_bytes)
    rows = [
        [
            printable(payment.zone),
            size(payment.bytes),
            size(payment.exclusive_bytes),
            "–" if payment.cgroup is None else printable(payment.cgroup),
            hint(payment, matrix.payers, in_bytes) if payment.bytes >= LARGE_BYTES else "",
        ]
        for payment in matrix.payments
        if zone in (None, payment.zone)
    ]
    lines = render_rows(
        ["ZONE", "MAPS", "EXCL", "PAYER", "WHY"], rows, [True, False, False, True, True], prose=True
    )
    said = remarks(matrix.snapshot)
    return [*lines, "", *said] if said else lines


def document(matrix: Matrix, zone: str | None) -> dict[str, Any]:
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
