"""Paging out what a process of its own has not touched for a while.

process_madvise(2) with MADV_PAGEOUT (Linux 5.10, commits 1a4e58cce84e, ecb8ac8b1f14), through a pidfd, so that a pid
that is used again is not taken for the process; one that has executed another program is not touched. Each call has at
most 2 MiB, with the mmap lock held for reading. Of what the kernel says ("so many bytes advised") nothing can be told:
so /proc/PID/pagemap is read before and after. It says also which pages are mapped once (bit 56, Linux 4.2); no others
are advised. A large folio goes whole or not at all: the kernel would split it, and so unmap all of a file's. Nothing of
this stays in the kernel: who is killed in the midst of it leaves no limit, no stopped process, nothing to be undone.

What it needs: CAP_SYS_NICE (process_madvise of others), CAP_SYS_PTRACE (ptrace(2), PTRACE_MODE_READ, of processes of
other users or that are not dumpable; pagemap needs it, too), CAP_SYS_ADMIN (frame numbers in pagemap), and for the
pages of shared mappings of files CAP_FOWNER or CAP_DAC_OVERRIDE: the kernel evicts only those of files that the caller
could write to (mm/madvise.c can_do_file_pageout()), and says nothing about the others.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zonerss._core import ffi, lib
from zonerss.kernel.patience import Busy, patiently
from zonerss.kernel.pidfds import has_its_memory, opened
from zonerss.kernel.proc import gap_of_errno
from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass
from zonerss.records import Cause, Gap, Task

if TYPE_CHECKING:
    from zonerss._core import _lib as core

STEP = "pageout"
PATIENCE_SECONDS = 5.0
"""How long one call may take: 2 MiB into a slow swap device, or a lock that is not to be had."""
CALL_PAGES = lib.PAGEOUT_PAGES
Run = tuple[int, int]
"""Addresses of pages: from, to."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class PagedOut:
    """What came of one call."""

    slices: int
    """That are done with."""
    cut: int
    """Up to which address the next one is; 0: it is not begun."""
    tried_pages: int
    """That were advised: present, mapped once, as they were found."""
    runs: tuple[Run, ...]
    """Of these: those that left."""
    left_pages: int
    """How many these are."""
    large_pages: int
    """Left alone: they are of large folios of which other pages are in use."""
    longest_ns: int
    """For how long the process may have been held up."""


def page_out(
    roots: Roots,
    task: Task,
    slices: Any,
    count: int,
    cut: int,
    most_pages: int,
    patience: float = PATIENCE_SECONDS,
) -> PagedOut | Gap:
    """
    Page out the first of some ranges of a process: at most 2 MiB, and at most so many pages.

    :param slices: struct slice *, of one kind; they are copied, so that a thread that is left behind reads its own
    :param count: how many
    :param cut: of the call before
    :param patience: seconds that it may take
    :return: what left; or the gap where the process is not the one that was listed, has ended, or did not let us in
        time. What had left until then is not known to be our doing; a thread that is left behind advises nothing more
    :raises CannotServe: no thread can be started to do it
    """
    count = min(count, CALL_PAGES)
    rows, stop = ffi.new("struct slice[]", count), ffi.new("int32_t *")
    ffi.buffer(rows)[:] = ffi.buffer(slices, ffi.sizeof(rows))

    def act(files: core.page_files) -> PagedOut:
        row, runs = ffi.new("struct paged_out *"), ffi.new("struct page_run[]", CALL_PAGES)
        _check(lib.page_out(files, rows, count, cut, most_pages, stop, runs, row))
        left = tuple((runs[at].start, runs[at].end) for at in range(row.runs))
        return PagedOut(
            row.slices, row.cut, row.tried_pages, left, row.left_pages, row.large_pages, row.longest_ns
        )

    try:
        return _with_process(roots, task, act, patience)
    finally:
        stop[0] = 1  # also where a signal has ended the waiting


def pages_present(
    roots: Roots, task: Task, runs: Sequence[Run], patience: float = PATIENCE_SECONDS
) -> int | Gap:
    """
    How many pages of some runs of a process are mapped now.

    :param runs: as of :attr:`PagedOut.runs`
    :return: how many; or the gap, as of :func:`page_out`
    """

    def look(files: core.page_files) -> int:
        found = ffi.new("uint64_t *")
        _check(
            lib.pages_present(files.pagemap_fd, ffi.new("struct page_run[]", list(runs)), len(runs), found)
        )
        return int(found[0])

    return _with_process(roots, task, look, patience)


def _with_process(
    roots: Roots, task: Task, act: Callable[[core.page_files], Found], patience: float
) -> Found | Gap:
    """In a thread: with its pidfd and the files of its pages."""

    def call() -> Found | Gap:
        with ExitStack() as stack:
            files: core.page_files = ffi.new("struct page_files *")
            files.pidfd = stack.enter_context(opened(roots, task))
            files.pagemap_fd = _opened(stack, roots.proc / str(task.pid) / "pagemap")
            files.kpageflags_fd = _opened(stack, roots.proc / "kpageflags")
            # Of the memory from before there is nothing to read by this pagemap, should it be given up from now on.
            if not has_its_memory(roots, task):
                return Gap(task.pid, STEP, Cause.EXECED)
            return act(files)

    try:
        return patiently(call, task.pid, patience)
    except Busy:
        return Gap(task.pid, STEP, Cause.BUSY)
    except OSError as err:
        return gap_of_errno(task.pid, STEP, err.errno or errno.EIO)


def _opened(stack: ExitStack, path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd


def _check(error: int) -> None:
    """:raises OSError: a negative errno"""
    if error:
        raise OSError(-error, os.strerror(-error))
