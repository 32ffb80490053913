"""Bills of cgroups: one less others, and which bill a cgroup is on. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from zonerss.records.bills import Bill
from zonerss.zones.paths import ancestors


def less(bill: Bill, inner: Iterable[Bill]) -> Bill:
    """A bill less those of cgroups below it, which are zones of their own."""
    for other in inner:
        bill = Bill(
            version=bill.version,
            charged_bytes=_minus(bill.charged_bytes, other.charged_bytes),
            stat={name: value - other.stat.get(name, 0) for name, value in bill.stat.items()},
            own=bill.own,
            kernel_bytes=_minus(bill.kernel_bytes, other.kernel_bytes),
            swap_bytes=_minus(bill.swap_bytes, other.swap_bytes),
            dying=_minus(bill.dying, other.dying),
        )
    return bill


def _minus(value: int | None, other: int | None) -> int | None:
    return None if value is None else value - (other or 0)


def pays(path: str, cgroup: str, without: Iterable[str]) -> bool:
    """Whether what a cgroup is charged for is on the bill of a zone: of its cgroup, less the zones below it."""
    line = ancestors(path)
    return cgroup in line and not any(inner in line for inner in without)
