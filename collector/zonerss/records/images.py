"""Images of containers: records."""

from __future__ import annotations

from zonerss.plain import dataclass


@dataclass(frozen=True, slots=True)
class Image:
    """What a container was made of. At least one of the two is known."""

    id: str | None
    """64 hexadecimal digits; None: the engine's state has only the name."""
    name: str | None
    """What people call it, as in registry.example/web:1; None: it has no name any more."""

    @property
    def key(self) -> str:
        """What tells images apart: an id, where there is one, for names move from image to image."""
        return self.id or self.name or ""
