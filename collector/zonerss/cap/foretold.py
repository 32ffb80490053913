"""What could be had of zones if they were under a cap, by one walk that touches nothing: for the page of a zone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from zonerss.cap.forecast import forecast, why_not_reclaim
from zonerss.cap.look import look
from zonerss.cap.records import Cap, Machine
from zonerss.cap.status import ZoneForecast, laid_flat
from zonerss.errors import CannotServe
from zonerss.kernel.meminfo import read_machine
from zonerss.kernel.roots import HOST, Roots
from zonerss.snapshot import Session


def foretell(
    session: Session, by: str, zones: Sequence[str], cap_bytes: int, roots: Roots = HOST
) -> dict[str, ZoneForecast]:
    """
    The forecast of each zone; those that have no process any more are missing. What is cold is not measured.

    :raises CannotServe: this host does not tell what is locked or mapped once
    """
    found = read_machine(roots)
    if found is None:
        raise CannotServe("there is no /proc/meminfo: is /proc mounted?")
    available = found.free_bytes if found.available_bytes is None else found.available_bytes
    machine = Machine(
        at_ns=time.monotonic_ns(),
        memory_bytes=found.memory_bytes,
        used_bytes=max(found.memory_bytes - available, 0),
        swap_bytes=found.swap_bytes,
        swap_free_bytes=found.swap_free_bytes,
        reclaiming=False,
    )
    looks = look(session, roots, by, zones, {}, 0).looks
    cap = Cap("", cap_bytes)
    return {
        zone: laid_flat(forecast(cap, seen, machine), why_not_reclaim(cap, seen, machine))
        for zone, seen in looks.items()
    }
