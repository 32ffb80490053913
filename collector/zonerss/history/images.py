"""Of which images containers are, remembered from look to look: what a container was made of does not change."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zonerss.errors import CannotServe
from zonerss.records import Zone
from zonerss.records.images import Image
from zonerss.zones.schemes import is_of_image, user_of

Find = Callable[[str, int | None], Image | None]
"""What :meth:`zonerss.evidence.Evidence.images` returns."""


class KnownImages:
    """The images of the containers of the last look."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int | None], Image | None] = {}

    def of(self, zones: Iterable[Zone], ask: Callable[[], Find]) -> dict[str, Image] | None:
        """
        The images of those zones that are made of one, by full id; None: they cannot be asked for.

        The state of engines is read where a container is new. Those whose image was not found are then looked for once
        more.
        """
        wanted = {
            (zone.id, user_of(zone.cgroup or ""))
            for zone in zones
            if zone.id and is_of_image(zone.kind, zone.id)
        }
        if wanted - self._known.keys():
            try:
                find = ask()
            except CannotServe:
                return None
            self._known = {key: self._known.get(key) or find(*key) for key in wanted}
        return {key[0]: image for key in sorted(wanted, key=str) if (image := self._known[key])}
