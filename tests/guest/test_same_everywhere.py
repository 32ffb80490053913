"""The workload of vm/same-everywhere, in the guest: what it says is kept where ZONERSS_ANSWERS names a directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.guest.known_zones import measured, write
from tests.live.conftest import SOURCES


def test_the_known_zones_are_the_same_by_every_source(make_zone: Callable) -> None:
    zones = {name: make_zone(name) for name in "abc"}
    for zone in zones.values():
        zone.spawn()
    answer = measured(zones)
    assert tuple(answer) == SOURCES
    assert answer["pagemap"] == answer["pagetable"]
    if directory := os.environ.get("ZONERSS_ANSWERS"):
        series = ".".join(os.uname().release.split(".")[:2])
        with Path(directory, f"guest-{series}").open("w") as file:
            write(answer, file)
