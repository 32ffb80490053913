"""What was found by trying what a kernel and our privileges allow: records."""

from __future__ import annotations

from zonerss.plain import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was tried."""

    name: str
    """For programs: stays the same from release to release."""
    holds: bool | None
    """None: could not be tried, because something before it failed."""
    text: str
    """What was found, as a sentence without its end."""
    fix: str = ""
    """What to do about it, where it does not hold."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The facts of one part of zonerss."""

    name: str
    serves: bool
    facts: tuple[Fact, ...]

    @property
    def why_not(self) -> Fact | None:
        """The first fact that keeps it from serving."""
        return None if self.serves else next((fact for fact in self.facts if fact.holds is False), None)
