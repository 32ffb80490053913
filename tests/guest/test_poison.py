"""A frame that has failed is taken out of a process, and out of its figures; only in the guest, for it stays lost."""

from __future__ import annotations

import zonerss
from tests.live import needs
from tests.live.cgroups import stopped
from tests.oracle import PAGE
from tests.workloads.mem import MemError


def test_poisoned_pages_are_nobodys_memory(zone, mem, source):
    where = mem.map("anon 64")

    def anon_pages() -> int:
        with stopped([zone.path]):
            snapshot = zonerss.take_snapshot(by=("cgroup",), source=source, zone=zone.name)
        return snapshot.zones[0].anon_bytes // PAGE

    before = anon_pages()
    try:
        mem.advise(where, 7, 3, "poison")
    except MemError as error:
        needs.skip("needs_poison", str(error))
    assert anon_pages() == before - 3
