"""A walk of the core that a test can look into while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from zonerss._core import ffi, lib
from zonerss.census.census import Census
from zonerss.kernel.proc import TaskList
from zonerss.walk.host import Host

Begin = Callable[[Any, Any], int]
Told = tuple[tuple[int, int], int]
"""Step and cause of a job's gap, and its pages."""


class Walk:
    """Job n is the task n of those listed, for owner n."""

    def __init__(self, handle: Any, census: Census) -> None:
        self._handle, self._census = handle, census

    def wait(self) -> int:
        return lib.walk_wait(self._handle, 10)

    def leave(self, job: int) -> bool:
        """Leave a job behind. False: it does not wait in the kernel."""
        return bool(lib.walk_abandon(self._handle, job))

    def told(self, job: int) -> Told:
        row = lib.walk_jobs(self._handle)[job]
        return (row.step, row.error), row.rss_pages

    def marked(self) -> dict[tuple[int, ...], int]:
        """Pages of the census, by set of owners."""
        pages = {part.owners: sum(part.pages) for part in self._census.parts()}
        return {owners: count for owners, count in pages.items() if count}


@contextmanager
def walking(begin: Begin, listed: TaskList, host: Host) -> Iterator[Walk]:
    """A walk of all that is listed, which ends with the context."""
    count = len(listed.tasks)
    census, ret = Census(count), ffi.new("struct walk **")
    jobs = ffi.new("struct walk_job[]", count)
    for number, task in enumerate(listed.tasks):
        job = jobs[number]
        job.pid, job.leader, job.owner = task.walk_tid, task.pid, number
        job.cgroup, job.start_ticks, job.expected_pages = task.cgroup_text, task.start_ticks, count - number
    request = ffi.new("struct walk_request *")
    request.census, request.jobs, request.count, request.threads = census.handle, jobs, count, host.threads
    request.tasks = listed.handle
    with host.opened() as opened:
        request.host = opened
        assert begin(request, ret) == 0
        try:
            yield Walk(ret[0], census)
        finally:
            lib.walk_end(ret[0])
