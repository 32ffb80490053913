"""Waits, but not for ever, until the changes of page tables that are under way have been counted."""

from __future__ import annotations

from threading import Thread

from zonerss.kernel import processors
from zonerss.kernel.roots import Roots

VISIT_SECONDS = 0.1
"""How long to wait for one thread to run on every processor that it may run on."""
GRACE_SECONDS = 1.0
"""How long to wait for the kernel's grace period, about 20 ms, where that was not enough."""


class Settler:
    """
    Waits until every change of a page table that has begun has been counted, and the other way round.

    The kernel changes an entry and its counter under one spinlock, on one processor. Once a thread of ours has run on
    that processor, or an RCU grace period has passed, it has done both. The threads that wait are left behind where a
    deadline passes: at most one for each way, and they end when they can.
    """

    def __init__(self, roots: Roots, must_visit: bool = False) -> None:
        """:param must_visit: the threads of other processes must stop running, too; a grace period makes none"""
        self._roots = roots
        self._must_visit = must_visit
        self._visitor = self._waiter = Thread()

    def settle(self) -> int:
        """Wait; on how many processors a change may still be under way."""
        left = processors.online(self._roots) - self._visit()
        if left and self._wait_grace_period() and not self._must_visit:
            return 0
        return len(left)

    def _visit(self) -> set[int]:
        visited: set[int] = set()
        wanted = sorted(processors.to_visit(self._roots))
        if wanted and not self._visitor.is_alive():
            self._visitor = Thread(target=processors.visit, args=(wanted, visited), daemon=True)
            self._visitor.start()
            self._visitor.join(VISIT_SECONDS)
        return set(visited)

    def _wait_grace_period(self) -> bool:
        if self._waiter.is_alive():
            return False
        passed: list[bool] = []
        self._waiter = Thread(target=lambda: passed.append(processors.wait_grace_period()), daemon=True)
        self._waiter.start()
        self._waiter.join(GRACE_SECONDS)
        return passed == [True]
