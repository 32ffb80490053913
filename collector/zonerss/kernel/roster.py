"""Who is there, snapshot after snapshot: all of /proc, or what the kernel's events have told since the last time.

A process is read anew for each snapshot (its cgroup, its size, its name may be others by now). What is saved is to
look for new ones: kernel threads, and all that /proc holds that is no process with memory of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from zonerss.errors import CannotServe
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.proc import TaskList, pids, read_tasks, with_memory
from zonerss.kernel.roots import Roots

if TYPE_CHECKING:
    from zonerss.kernel.events import ProcEvents


class Roster:
    """The processes of one host."""

    def __init__(self, roots: Roots, follow: bool = False) -> None:
        """:param follow: listen to the kernel's events where they can be had"""
        self._roots = roots
        self._events: ProcEvents | None = None
        self._known: frozenset[int] | None = None
        self._seen: frozenset[int] = frozenset()
        self.full_listings = 0
        """How often all of /proc was listed."""
        if follow:
            self.follow()

    def follow(self) -> None:
        """Listen to the kernel's events where they can be had: what is read after the next time is by them."""
        if self._events:
            return
        from zonerss.kernel.events import ProcEvents

        with suppress(CannotServe):  # listing serves as well, it only costs more
            self._events, self._known = ProcEvents(), None

    @property
    def follows(self) -> bool:
        """Whether the kernel's events are heard."""
        return self._events is not None

    def close(self) -> None:
        """Stop listening."""
        if self._events:
            self._events.close()

    def read(self, hierarchy: MemoryHierarchy, want_users: bool = False) -> TaskList:
        """
        All processes with memory of their own; see :func:`zonerss.kernel.proc.read_tasks`.

        :raises CannotServe: there is no /proc
        """
        among = self._candidates()
        if among is None:
            self.full_listings += 1
            self._seen = pids(self._roots)
        listed = read_tasks(self._roots, hierarchy, want_users, among)
        # One that could not be read may be there nevertheless.
        found = frozenset(task.pid for task in listed.tasks) | frozenset(gap.pid for gap in listed.gaps)
        if among is not None:
            self._seen = among
        self._known = found if self._events else None
        self._seen |= found
        return listed

    def appeared(self) -> Iterator[int]:
        """Processes that have begun since :meth:`read` began to look and are not in what it found."""
        heard = self._heard()
        new = (pids(self._roots) if heard is None else heard) - self._seen
        return with_memory(self._roots, new)

    def _candidates(self) -> frozenset[int] | None:
        heard = self._heard()
        return None if heard is None or self._known is None else self._known | heard

    def _heard(self) -> frozenset[int] | None:
        """What the events told since the last time; None: nothing can be said."""
        if not self._events:
            return None
        changes = self._events.drain()
        if changes.overrun:
            self._known = None
            return None
        if self._known is not None:
            self._known |= changes.began
        return changes.began
