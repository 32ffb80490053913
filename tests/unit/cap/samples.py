"""Zones, looks and machines for the tests of caps."""

from __future__ import annotations

from typing import Any

from zonerss.cap.records import KINDS, Cap, Classes, Look, Machine

M = 1 << 20
G = 1 << 30
SECOND = 1_000_000_000


def classes(**given: Any) -> Classes:
    """What is not given is 0."""
    each = [f"{whose}_{kind}_bytes" for whose in ("several", "own") for kind in KINDS]
    sizes = dict.fromkeys(["shared_bytes", "locked_bytes", *each], 0)
    return Classes(**({"shared_with": ()} | sizes | given))


CLASSES = classes(
    shared_bytes=100 * M, shared_with=(("db", 100 * M),), own_anon_bytes=400 * M, own_file_bytes=100 * M
)
ARMED = classes(
    shared_bytes=100 * M,
    shared_with=(("db", 100 * M),),
    own_anon_bytes=400 * M,
    own_file_bytes=100 * M,
    cold_anon_bytes=200 * M,
    cold_file_bytes=50 * M,
    cold_shmem_bytes=0,
    unknown_bytes=0,
    cold_seconds=3.0,
)


def cap(cap_bytes: int, **given: Any) -> Cap:
    return Cap("web", cap_bytes, **given)


def look(found: Classes, **given: Any) -> Look:
    return Look(
        **(
            {
                "zone": "web",
                "cgroup": "/web",
                "at_ns": 0,
                "took_ns": 10_000_000,
                "classes": found,
                "charged_bytes": None,
                "swap_bytes": 0,
                "billed_here_mapped_elsewhere_bytes": 0,
                "reclaimable": True,
            }
            | given
        )
    )


def machine(**given: Any) -> Machine:
    return Machine(
        **(
            {
                "at_ns": 0,
                "memory_bytes": 8 * G,
                "used_bytes": 4 * G,
                "swap_bytes": 2 * G,
                "swap_free_bytes": 2 * G,
                "reclaiming": False,
            }
            | given
        )
    )
