"""What is mounted where, from /proc/PID/mountinfo.

Source: proc_pid_mountinfo(5); fs/proc_namespace.c show_mountinfo(), which writes space, tab, newline and
backslash (and # in sources) as three octal digits after a backslash. Every other byte stands as it is, so a
line ends at a newline only and a field at one space; an empty source is an empty field.
"""

from __future__ import annotations

import functools
import re

from zonerss.errors import KernelFormatError
from zonerss.kernel.numbers import whole_number
from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass

_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo. Text is UTF-8 with surrogateescape, escapes decoded."""

    mount_id: int
    parent_id: int
    device: str
    """st_dev of its files, as major:minor."""
    root: str
    """The directory of the file system that forms the root of this mount."""
    mount_point: str
    """Where it is mounted, relative to the reader's root directory."""
    options: tuple[str, ...]
    """Options of this mount (ro, nosuid, ...)."""
    tags: tuple[str, ...]
    """Optional fields: shared:N, master:N, propagate_from:N, unbindable."""
    fs_type: str
    source: str
    super_options: tuple[str, ...]
    """Options of the file system: on cgroup version 1 its controllers and name=NAME."""


@functools.lru_cache(maxsize=2)  # seldom another than the time before, and every snapshot asks
def parse_mountinfo(text: bytes, path: str = "/proc/self/mountinfo") -> tuple[Mount, ...]:
    """
    The mounts, in the kernel's order: of two on one mount point the later one hides the earlier.

    :param path: what to call the file in an error
    :raises KernelFormatError: a line that is not of mountinfo's form; names path, line number and the raw
        line

    Source: proc_pid_mountinfo(5).
    """
    lines = text.split(b"\n")
    if lines[-1] == b"":
        del lines[-1]
    return tuple(_parse_line(line, path, number) for number, line in enumerate(lines, start=1))


def read_mounts(roots: Roots) -> tuple[Mount, ...]:
    """
    The mounts of the reader's own mount namespace.

    :raises OSError: mountinfo cannot be read
    :raises KernelFormatError: as :func:`parse_mountinfo`
    """
    path = roots.proc / "self" / "mountinfo"
    return parse_mountinfo(path.read_bytes(), str(path))


def _parse_line(line: bytes, path: str, number: int) -> Mount:
    fields = line.split(b" ")
    try:
        dash = fields.index(b"-", 6)
        # Whatever follows the source is options: a file system may write a space there unescaped.
        fs_type, source, *super_options = fields[dash + 1 :]
        device = fields[2].decode("ascii")
        major, minor = device.split(":")
        if not (super_options and major.isdigit() and minor.isdigit()):
            raise ValueError(line)
        return Mount(
            mount_id=_number(fields[0]),
            parent_id=_number(fields[1]),
            device=device,
            root=_text(fields[3]),
            mount_point=_text(fields[4]),
            options=tuple(map(_text, fields[5].split(b","))),
            tags=tuple(map(_text, fields[6:dash])),
            fs_type=_text(fs_type),
            source=_text(source),
            super_options=tuple(map(_text, b" ".join(super_options).split(b","))),
        )
    except ValueError as err:
        raise KernelFormatError(f"{path}: line {number} is not of mountinfo's form: {line!r}") from err


def _number(field: bytes) -> int:
    number = whole_number(field)  # a parent may be 0, never negative
    if number is None:
        raise ValueError(field)
    return number


def _text(field: bytes) -> str:
    plain = _OCTAL.sub(lambda match: bytes((int(match[1], 8),)), field)
    return plain.decode("utf-8", "surrogateescape")
