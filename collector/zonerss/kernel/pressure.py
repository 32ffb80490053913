"""Pressure stall information: how long tasks waited for memory.

Source: Documentation/accounting/psi.rst; kernel/sched/psi.c psi_show(). Linux 4.20 with CONFIG_PSI, and not with psi=0
on its command line. Cgroups of version 2 have it, those of version 1 do not.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from zonerss.errors import KernelFormatError
from zonerss.kernel.roots import Roots

_LINE = re.compile(rb"^(some|full) avg10=(\d{1,3}\.\d{1,9}) ", re.MULTILINE)


class Pressure(NamedTuple):
    """Percent of the last ten seconds, a running average; None: the kernel does not tell."""

    some: float | None
    """In which at least one task waited for memory."""
    full: float | None
    """In which all tasks that were not idle did."""


UNKNOWN = Pressure(None, None)


def parse_pressure(text: bytes, path: str = "memory.pressure") -> Pressure:
    """
    The averages over ten seconds; nothing is unknown.

    :raises KernelFormatError: there is text that is not of the form that we know; gives path and text
    """
    found = {name: float(avg10) for name, avg10 in _LINE.findall(text)}
    if text and not found:
        raise KernelFormatError(f"{path}: no line of the form 'some avg10=0.00 ...': {text!r}")
    return Pressure(found.get(b"some"), found.get(b"full"))


def read_pressure(roots: Roots) -> Pressure:
    """The whole machine's, from /proc/pressure/memory; unknown where there is none."""
    path = roots.proc / "pressure" / "memory"
    try:
        return parse_pressure(path.read_bytes(), str(path))
    except OSError:
        return UNKNOWN
