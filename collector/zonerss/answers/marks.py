"""What stands out in a snapshot, and so gets a mark and a last line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from zonerss.census.kinds import Kind, rss_of
from zonerss.records import Usage, Wanted
from zonerss.records.machine import Machine
from zonerss.snapshot import Snapshot
from zonerss.units import pages_to_bytes

LEAST_BYTES = 16 << 20
"""What is smaller gets no mark: a figure of a few MiB is twice another one for many reasons that are none."""
_NEARLY_FULL = 0.9
_UNACCOUNTED = 0.05


NEEDS = ("limit_bytes", "oom_kills", "cache_unmapped_bytes", "dead_cgroups_bytes")
"""The fields of a zone that marks are made of, beside its charge."""


def wanted(fields: Iterable[str] = ()) -> Wanted:
    """What has to be read of cgroups for marks, and for the fields that are shown or sorted by."""
    shown = frozenset(fields)
    return Wanted(shown.union(NEEDS), 0 if "cache_unmapped_bytes" in shown else LEAST_BYTES)


class Why(StrEnum):
    """Why something is marked."""

    LIMIT = "limit"
    """Its charge is above nine tenths of its limit."""
    KILLS = "kills"
    """Processes of it were killed because it was at its limit, or the machine was full."""
    CACHE = "cache"
    """Its charge is more than twice its rss, and page cache that nobody maps is most of the difference."""
    PAYS = "pays"
    """Its charge is more than twice its rss, and memory that only other zones map is most of the difference."""
    BILL = "bill"
    """Its charge is more than twice its rss, for another reason or for one that was not looked for."""
    DEAD = "dead"
    """It is charged for what removed cgroups below it have left."""
    UNACCOUNTED = "unaccounted"
    """Memory of the machine that is in no zone and in no figure of the kernel's."""


ALARMS = (Why.LIMIT, Why.KILLS)
"""What is urgent; it comes first."""


class Mark(NamedTuple):
    """Something that stands out."""

    why: Why
    zone: str | None
    """None: it is of the whole machine."""
    amount: int
    """Bytes, or processes where why is kills."""


def marks_of(snapshot: Snapshot, paid_for_others: Mapping[str, int] | None = None) -> tuple[Mark, ...]:
    """
    What stands out, alarms first, then most first.

    :param paid_for_others: of zones for which it was looked up
        (:func:`zonerss.answers.explain.account.paid_for_others`), which takes as long as another walk: without it a
        mark is BILL where with it it might be PAYS
    """
    paid = paid_for_others or {}
    found = [mark for usage in snapshot.zones for mark in _of_a_zone(usage, paid.get(usage.zone, 0))]
    left = unaccounted_bytes(snapshot)
    memory = snapshot.machine.memory_bytes if snapshot.machine else 0
    if left is not None and left >= max(_UNACCOUNTED * memory, LEAST_BYTES):
        found.append(Mark(Why.UNACCOUNTED, None, left))
    return tuple(sorted(found, key=lambda mark: (mark.why not in ALARMS, -mark.amount, mark.zone or "")))


def _of_a_zone(usage: Usage, paid_for_others: int) -> Iterable[Mark]:
    charged, limit = usage.charged_bytes, usage.limit_bytes
    if charged is not None and limit and charged > _NEARLY_FULL * limit:
        yield Mark(Why.LIMIT, usage.zone, charged)
    if usage.oom_kills:
        yield Mark(Why.KILLS, usage.zone, usage.oom_kills)
    if charged is not None and charged > 2 * usage.rss_bytes and charged - usage.rss_bytes >= LEAST_BYTES:
        most = (charged - usage.rss_bytes) / 2
        if (usage.cache_unmapped_bytes or 0) > most:
            yield Mark(Why.CACHE, usage.zone, usage.cache_unmapped_bytes or 0)
        elif paid_for_others > most:
            yield Mark(Why.PAYS, usage.zone, paid_for_others)
        else:
            yield Mark(Why.BILL, usage.zone, charged)
    if (usage.dead_cgroups_bytes or 0) >= LEAST_BYTES:
        yield Mark(Why.DEAD, usage.zone, usage.dead_cgroups_bytes or 0)


class Split(NamedTuple):
    """The machine's memory, each byte in one field as far as is known. In bytes."""

    memory: int
    zones: int
    """What processes map, each page once."""
    page_cache: int
    """Files that no process maps."""
    tmpfs: int
    """tmpfs, memfds and the like that no process maps."""
    kernel: int
    hugetlb: int
    free: int


def split_of(snapshot: Snapshot) -> Split | None:
    """
    Where the machine's memory is; None where not all processes were walked, or the machine is unknown.

    The machine's figures are read after the walk and by other counters, so this is an estimate: ``zonerss explain``
    without a zone has the chain that adds up.
    """
    machine: Machine | None = snapshot.machine
    if machine is None or snapshot.total.exclusive_bytes is None:
        return None
    pages = snapshot.parts.total()
    return Split(
        memory=machine.memory_bytes,
        zones=pages_to_bytes(rss_of(pages)),
        page_cache=max(machine.page_cache_bytes - pages_to_bytes(pages[Kind.FILE]), 0),
        tmpfs=max(machine.shmem_bytes - pages_to_bytes(pages[Kind.SHMEM]), 0),
        kernel=machine.kernel_bytes,
        hugetlb=machine.hugetlb_bytes,
        free=machine.free_bytes,
    )


def unaccounted_bytes(snapshot: Snapshot) -> int | None:
    """What is in none of these; None where that is unknown. Below 0: some memory is in two of them."""
    split = split_of(snapshot)
    if split is None:
        return None
    known = split.zones + split.page_cache + split.tmpfs + split.kernel + split.hugetlb + split.free
    return split.memory - known
