"""Who is there, snapshot after snapshot: by the kernel's iterator over tasks where that can be had and is worth loading
(:mod:`zonerss.kernel.task_iterator`), or all of /proc, or what the kernel's events have told since the last time.

A process is read anew for each snapshot (its cgroup, its size, its name may be others by now). What events save is to
look for new ones: kernel threads, and all that /proc holds that is no process with memory of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from zonerss.errors import CannotServe
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.proc import TaskList, moved_since, pids, read_tasks, with_memory
from zonerss.kernel.roots import Roots
from zonerss.records import Cause, Gap

if TYPE_CHECKING:
    from zonerss.kernel.events import ProcEvents
    from zonerss.kernel.task_iterator import TaskIterator

T = TypeVar("T")

WORTH_ITERATING = 500
"""From so many processes on, kernel threads included, loading the iterator for a single listing is worth it."""


class Roster:
    """The processes of one host."""

    def __init__(
        self, roots: Roots, follow: bool = False, iterate_from: int | None = None, lasting: bool = False
    ) -> None:
        """
        :param follow: listen to the kernel's events where they can be had and are of use
        :param iterate_from: how many processes there must be for the iterator to be loaded for the first listing; None:
            it is not to be used
        :param lasting: for the second listing it is loaded however few there are: others will follow
        """
        self._roots, self._iterate_from, self._lasting = roots, iterate_from, lasting
        self._iterator: TaskIterator | None = None
        self._events: ProcEvents | None = None
        self._known: frozenset[int] | None = None
        self._seen: frozenset[int] = frozenset()
        self.full_listings = 0
        """How often all of /proc was listed."""
        if follow:
            self.follow()

    def follow(self) -> None:
        """
        Many listings will follow: load the iterator where it may be used. Else listen to the kernel's events where they
        can be had: what is read after the next time is by them.
        """
        self._load_iterator(None)
        if self._events or self._iterator:
            return
        from zonerss.kernel.events import ProcEvents

        with suppress(CannotServe):  # listing serves as well, it only costs more
            self._events, self._known = ProcEvents(), None

    @property
    def follows(self) -> bool:
        """Whether the kernel's events are heard."""
        return self._events is not None

    @property
    def iterates(self) -> bool:
        """Whether the kernel's iterator lists."""
        return self._iterator is not None

    def close(self) -> None:
        """Stop listening, and unload the iterator."""
        if self._events:
            self._events.close()
        if self._iterator:
            self._iterator.close()
            self._iterator = None

    def read(self, hierarchy: MemoryHierarchy, want_users: bool = False) -> TaskList:
        """
        All processes with memory of their own; see :func:`zonerss.kernel.proc.read_tasks`.

        :raises CannotServe: there is no /proc
        """
        if self._seen and self._lasting:
            self._load_iterator(None)
        if listed := self._iterated(hierarchy, want_users):
            return listed
        among = self._candidates()
        if among is None:
            self._seen = pids(self._roots)
            self._load_iterator(len(self._seen))
            if listed := self._iterated(hierarchy, want_users):
                return listed
            self.full_listings += 1
        listed = read_tasks(self._roots, hierarchy, want_users, among)
        # One that could not be read may be there nevertheless.
        found = frozenset(task.pid for task in listed.tasks) | frozenset(gap.pid for gap in listed.gaps)
        if among is not None:
            self._seen = among
        self._known = found if self._events else None
        self._seen |= found
        return listed

    def again(self, hierarchy: MemoryHierarchy, want_users: bool = False) -> TaskList:
        """
        All processes as they are now. What :meth:`changed` tells stays since :meth:`read`.

        :raises CannotServe: there is no /proc
        """
        listed = self._told(hierarchy, lambda iterator: iterator.again(hierarchy, want_users))
        return listed or read_tasks(self._roots, hierarchy, want_users)

    def changed(self, hierarchy: MemoryHierarchy, listed: TaskList, walked: Collection[int]) -> list[Gap]:
        """
        What is otherwise than it was listed: processes that have begun since; and those that have moved, where the walk
        has not looked for them itself.

        :param listed: what :meth:`read` gave the last time
        :param walked: pids of it
        """
        moved: Iterable[int] = ()
        began: Iterable[int] | None = None
        if not listed.handle:
            later = self._told(hierarchy, lambda iterator: iterator.later(hierarchy, listed, walked))
            if later:
                moved, began = sorted(later.moved), later.began
            else:
                before = [task for task in listed.tasks if task.pid in walked]
                moved = moved_since(before, read_tasks(self._roots, hierarchy, among=walked).tasks)
        return [
            *(Gap(pid, "cgroup", Cause.MOVED) for pid in moved),
            *(Gap(pid, "list", Cause.BEGAN) for pid in (self.appeared() if began is None else began)),
        ]

    def appeared(self) -> Iterator[int]:
        """Processes that have begun since :meth:`read` began to look and are not in what it found."""
        heard = self._heard()
        new = (pids(self._roots) if heard is None else heard) - self._seen
        return with_memory(self._roots, new)

    def _load_iterator(self, processes: int | None) -> None:
        """Where it may be used and is worth it for so many processes; None: it is."""
        if self._iterate_from is None or self._iterator:
            return
        if processes is not None and processes < self._iterate_from:
            return
        from zonerss.kernel.task_iterator import TaskIterator

        try:
            self._iterator = TaskIterator(self._roots)
        except CannotServe:
            self._iterate_from = None  # `zonerss check` tells why; not tried again at each snapshot

    def _told(self, hierarchy: MemoryHierarchy, ask: Callable[[TaskIterator], T]) -> T | None:
        """What the iterator tells; None: there is none, or it cannot, and will not be asked again."""
        if self._iterator is None:
            return None
        if self._iterator.serves(hierarchy):
            with suppress(OSError):
                return ask(self._iterator)
        self._iterator.close()
        self._iterator = self._iterate_from = None
        return None

    def _iterated(self, hierarchy: MemoryHierarchy, want_users: bool) -> TaskList | None:
        listed = self._told(hierarchy, lambda iterator: iterator.read(hierarchy, want_users))
        if listed and self._iterator:
            self._seen = self._iterator.known
        return listed

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
