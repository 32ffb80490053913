"""Processes that the kernel, or a program in its place, killed for want of memory: records."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from zonerss.plain import dataclass


class ToldBy(StrEnum):
    """Who told of a kill."""

    TRACEPOINT = "oom:mark_victim"
    """Traced by bcc; where the kernel's log had it, too, what it said is with it."""
    LOG = "kmsg"
    """The kernel's log only."""
    COUNTER = "counter"
    """A cgroup's count of kills rose between two looks: which process it was is not told."""
    EARLYOOM = "earlyoom"
    """earlyoom, by the journal: it has sent a signal to a process. That the process ended by it is a guess."""
    OOMD = "systemd-oomd"
    """systemd-oomd, by the journal: it ends all processes of a cgroup. Which these were is not told."""


PROGRAMS = (ToldBy.EARLYOOM, ToldBy.OOMD)
"""That are programs, and not the kernel."""


MEMCG = "CONSTRAINT_MEMCG"
"""The kernel's word for a cgroup's limit."""


@dataclass(slots=True)
class BoxTally:
    """What a black box has done so far."""

    span_seconds: float
    """How old a look in it may be."""
    interval_seconds: float
    """From one look to the next, as it was asked for."""
    looks: int = 0
    processor_seconds: float = 0.0
    """That they took."""
    ring_bytes: int = 0
    """Memory that it holds, full or not."""
    used_bytes: int = 0
    """Of it: what the looks take that are in it."""
    kills: int = 0
    """Kept in the recording."""
    kills_lost: int = 0
    """That were too many, or for which there was no room."""
    looks_kept: int = 0
    """In the recording because of kills."""
    keeping_seconds: float = 0.0
    """Processor time that keeping kills, and the looks before them, took."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill. What was not told is None."""

    time: datetime
    """UTC. By a counter: when it was noticed."""
    pid: int | None
    command: str | None
    zone: str | None
    """Of the victim, as the last look before had it."""
    cgroup: str | None
    """The victim's, in the hierarchy that carries the memory controller."""
    limit_cgroup: str | None
    """Whose limit was hit; None: that of none, or it was not told."""
    limit_bytes: int | None
    """That limit."""
    constraint: str | None
    """In the kernel's words: CONSTRAINT_MEMCG, a cgroup's limit; CONSTRAINT_NONE, all memory of the machine;
    CONSTRAINT_CPUSET and CONSTRAINT_MEMORY_POLICY, that of some nodes."""
    told_by: ToldBy
    words: str = ""
    """What the kernel's log said of it, line by line."""

    @property
    def is_of_machine(self) -> bool:
        """Whether memory of the whole machine or of its nodes was wanting, as far as that was told."""
        return self.constraint is not None and self.constraint != MEMCG
