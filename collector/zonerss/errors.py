"""The failures that zonerss names. Each is one sentence for the person who reads it: what, where, what to do.

A race (a process left) is no failure but a :class:`zonerss.records.Gap`. A missing ability is a
:class:`CannotServe`. Bytes that we do not understand are a :class:`KernelFormatError`: never guessed around.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from itertools import islice

EXHAUSTED = {
    errno.EMFILE: "no more files may be opened: raise the limit, as with `ulimit -n 1024`",
    errno.ENFILE: "no more files can be opened on this machine: raise the sysctl fs.file-max",
    errno.ENOMEM: "there is not enough memory: raise the limit of its memory cgroup or of `ulimit -v`",
}
"""What zonerss itself lacks, by errno: no answer about whatever was being read."""

NO_THREAD = (
    "no thread can be started, because there is not enough memory or the number of threads is limited: raise "
    "`ulimit -v`, `ulimit -u`, or pids.max and the limit of its cgroup"
)
"""What EAGAIN of pthread_create(3) means."""


class ZonerssError(Exception):
    """Could not do what was asked. The text is the sentence to print; the command exits with 1."""

    exit_status = 1


class UsageError(ZonerssError):
    """What was asked makes no sense: an unknown --by, an unknown column. The command exits with 2."""

    exit_status = 2


class CannotServe(ZonerssError):
    """This host or this privilege does not allow it (not root, no such file in /proc, no BTF)."""


class NoThread(CannotServe):
    """Nobody can walk: no thread can be started, or all of a source wait in the kernel for stuck processes."""


class NotKept(CannotServe):
    """It was asked about a moment of the past, and is not in the recording."""


class Damaged(CannotServe):
    """A snapshot of a recording cannot be read; others may be whole."""


class FramesHidden(CannotServe):
    """Pages are present but every frame number reads as 0: the reader lacks CAP_SYS_ADMIN.

    Source: admin-guide/mm/pagemap.rst; since Linux 4.2 frame numbers are zeroed rather than refused.
    """


class StoreFull(CannotServe):
    """There is no room for what was to be recorded: the disk is full, or the file may not be larger.

    What was kept before is whole, and the next may fit again.
    """


class StoreTooLarge(StoreFull):
    """The same because this snapshot is larger than any may be: a smaller one has room."""


class TooManyKills(StoreFull):
    """The same because so many kills of its time are kept already."""


class UnknownZone(ZonerssError):
    """A zone was named that no process of this host belongs to, or a process that is not there."""

    def __init__(self, sentence: str, zone: str, close: Sequence[str] = ()) -> None:
        """
        :param zone: as it was spelled
        :param close: names of zones that are spelled nearly so
        """
        super().__init__(sentence)
        self.zone = zone
        self.close = tuple(close)


class AmbiguousZone(UnknownZone):
    """A short name was given that several zones could be meant by. The command exits with 2."""

    exit_status = 2


class KernelFormatError(ZonerssError):
    """A kernel file said something that we do not understand; the text carries path and raw content."""


_MOST_COMPARED = 2000
_MOST_CHARACTERS = 80


def nearest(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """
    Those of the known words that are spelled most like a mistyped one, the nearest first; none where none is near.

    Only the first 2,000 are compared, and of each its first 80 characters: names may be a stranger's.
    """
    import difflib

    cut: dict[str, str] = {}
    for name in islice(known, _MOST_COMPARED):
        cut.setdefault(name[:_MOST_CHARACTERS], name)
    found = difflib.get_close_matches(word[:_MOST_CHARACTERS], cut, n=most, cutoff=0.65)
    return [cut[name] for name in found]


def did_you_mean(close: Sequence[str]) -> str | None:
    """The question that ends a complaint about a mistyped word; None where no word is near."""
    return f"did you mean {' or '.join(close)}?" if close else None
