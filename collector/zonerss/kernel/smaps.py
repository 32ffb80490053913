"""What /proc/PID/smaps and statm say of one process: the kernel's own account of its memory.

Source: man 5 proc; Documentation/filesystems/proc.rst (VmFlags since Linux 3.8); fs/proc/task_mmu.c show_smap().
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zonerss.errors import EXHAUSTED, CannotServe, KernelFormatError
from zonerss.kernel.numbers import whole_number
from zonerss.kernel.patience import PATIENCE_SECONDS, explained_seconds, patiently
from zonerss.kernel.roots import Roots
from zonerss.records.mappings import SmapsRow
from zonerss.units import PAGE_BYTES, pages_to_bytes

_HEADER = re.compile(
    rb"([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-][ps]) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d{1,20}) *(.*)",
    re.DOTALL,
)
_FIELD = re.compile(rb"([A-Za-z_]+): +(\d{1,17}) kB")
_PLACE_OR_FLAGS = re.compile(rb"^(?:([0-9a-f]{1,16})-([0-9a-f]{1,16}) |VmFlags:([a-z ?]*)$)", re.MULTILINE)
_SHARED_ANON = (b"/dev/zero (deleted)", b"/SYSV", b"/memfd:", b"[anon_shmem:")


def read_smaps(roots: Roots, tid: int) -> list[SmapsRow]:
    """
    The mappings of a process.

    :param tid: the process, or a thread of it that lives where the first one has ended
    :raises CannotServe: there is no such process, it may not be read, or it does not answer in time (Busy)
    :raises KernelFormatError: a line is not of the form that we know
    """
    seconds = _seconds(roots, tid)
    return list(parse_smaps(_read(roots, tid, "smaps", seconds), f"/proc/{tid}/smaps"))


def read_pfnmaps(roots: Roots, tid: int) -> frozenset[tuple[int, int]]:
    """
    The mappings of a process by frame number (VM_PFNMAP): start and end of each.

    They are of device or kernel memory, which belongs to no file. pagemap shows nothing of them, present or not
    (mm/pagewalk.c walk_page_test()).

    :raises CannotServe: as for :func:`read_smaps`
    """
    seconds = _seconds(roots, tid)
    return frozenset(parse_pfnmaps(_read(roots, tid, "smaps", seconds)))


def parse_pfnmaps(text: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the mappings of smaps whose VmFlags have ``pf``. A name cannot make a line of its own."""
    at: tuple[int, int] | None = None
    for start, end, flags in _PLACE_OR_FLAGS.findall(text):
        if start:
            at = int(start, 16), int(end, 16)
        elif at and b"pf" in flags.split():
            yield at


def read_statm_rss(roots: Roots, tid: int) -> int:
    """
    RSS in bytes by the kernel's counters, which may lag by what each processor has not added up yet.

    :raises CannotServe: as for :func:`read_smaps`
    """
    return pages_to_bytes(parse_statm(_read(roots, tid, "statm"), f"/proc/{tid}/statm"))


def parse_statm(text: bytes, path: str = "statm") -> int:
    """
    Its second number: RSS in pages.

    :raises KernelFormatError: it is not seven numbers; gives path and text
    """
    numbers = [whole_number(word) for word in text.split()]
    if len(numbers) != 7 or (rss_pages := numbers[1]) is None:
        raise KernelFormatError(f"{path}: not seven numbers: {text[:200]!r}")
    return rss_pages


def parse_smaps(text: bytes, path: str = "smaps") -> Iterator[SmapsRow]:
    """
    The rows of smaps. Names of files stand as they are but for newlines, which the kernel writes as \\012.

    :raises KernelFormatError: a line that is neither a header nor NAME: VALUE; gives path, number and raw line
    """
    header: re.Match[bytes] | None = None
    sizes: dict[str, int] = {}
    flags: frozenset[str] = frozenset()
    for number, line in enumerate(text.split(b"\n"), start=1):
        if field := _FIELD.fullmatch(line):
            sizes[field[1].decode()] = int(field[2]) * 1024
        elif line.startswith(b"VmFlags:"):
            flags = frozenset(line.decode("ascii", "backslashreplace").split()[1:])
        elif found := _HEADER.fullmatch(line):
            if header:
                yield _row(header, sizes, flags)
            header, sizes, flags = found, {}, frozenset()
        elif line and b":" not in line:
            raise KernelFormatError(f"{path}:{number}: a line that is not understood: {line[:200]!r}")
    if header:
        yield _row(header, sizes, flags)


def _row(header: re.Match[bytes], sizes: dict[str, int], flags: frozenset[str]) -> SmapsRow:
    shared = header[3].endswith(b"s")
    return SmapsRow(
        start=int(header[1], 16),
        end=int(header[2], 16),
        shared=shared,
        offset=int(header[4], 16),
        file=(header[5] + b" " + header[7], int(header[6])),
        is_shared_anon=shared and header[7].startswith(_SHARED_ANON),
        sizes=sizes,
        flags=flags,
    )


def _seconds(roots: Roots, tid: int) -> float:
    """The kernel looks at each entry of the page tables: a microsecond for each is more than it takes."""
    return PATIENCE_SECONDS + explained_seconds(read_statm_rss(roots, tid) // PAGE_BYTES, 1e-6)


def _read(roots: Roots, tid: int, name: str, seconds: float = PATIENCE_SECONDS) -> bytes:
    try:
        text = patiently((roots.proc / str(tid) / name).read_bytes, tid, seconds)
    except (FileNotFoundError, ProcessLookupError) as err:
        raise CannotServe(f"there is no process {tid}") from err
    except OSError as err:
        if err.errno in EXHAUSTED:
            raise
        raise CannotServe(f"cannot read the memory of process {tid}: {err.strerror}") from err
    return text
