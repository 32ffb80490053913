"""What could be had of zones if they were under a cap, by one walk that touches nothing: for the page of a zone."""

from __future__ import annotations

from collections.abc import Sequence

from zonerss.cap.forecast import forecast, why_not_reclaim
from zonerss.cap.look import look, machine_of
from zonerss.cap.records import Cap
from zonerss.cap.status import ZoneForecast, laid_flat
from zonerss.kernel.roots import HOST, Roots
from zonerss.snapshot import Session


def foretell(
    session: Session, by: str, zones: Sequence[str], cap_bytes: int, roots: Roots = HOST
) -> dict[str, ZoneForecast]:
    """
    The forecast of each zone; those that have no process any more are missing. What is cold is not measured.

    :raises CannotServe: this host does not tell what is locked or mapped once
    """
    machine = machine_of(roots)
    looks = look(session, roots, by, zones, {}, 0).looks
    cap = Cap("", cap_bytes)
    return {
        zone: laid_flat(forecast(cap, seen, machine), why_not_reclaim(cap, seen, machine))
        for zone, seen in looks.items()
    }
