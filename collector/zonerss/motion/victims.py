"""Which processes the kernel kills for want of memory, as its tracepoint oom:mark_victim tells (bpf/victims.c).

Loaded as the tracer of changes is (:mod:`zonerss.motion.tracer`): by bcc, in a process of its own. It runs only when
something is killed, and costs nothing otherwise.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from zonerss.errors import CannotServe
from zonerss.kernel.btf import Libbpf
from zonerss.kernel.compiler import CannotLoad, load
from zonerss.kernel.namespaces import is_first_namespace
from zonerss.kernel.roots import Roots
from zonerss.motion.tracer import SOURCE

MOST_VICTIMS = 256
"""Remembered between two readings."""
_VICTIM = struct.Struct("=Q2I16s")  # struct victim of bpf/victims.c
_COUNT = struct.Struct("=Q")


class Victim(NamedTuple):
    """One that was chosen."""

    at_ns: int
    """CLOCK_MONOTONIC."""
    pid: int
    command: str | None
    """None: the kernel's tracepoint does not tell (before Linux 6.9)."""


class VictimTracer:
    """Remembers whom the kernel kills; use it as a context manager."""

    def __init__(self, roots: Roots) -> None:
        """:raises CannotServe: bcc or the kernel cannot do it here; says why"""
        if is_first_namespace(roots, "pid") is False:
            raise CannotServe("the kernel traces kills by the host's pids: run in its pid namespace")
        self._seen, self._files, self._link = 0, {}, -1
        self._libbpf = Libbpf()
        try:
            with self._libbpf.kernel_types() as btf:
                definitions = [
                    f"-DOFF_TASK_TGID={btf.offset('task_struct', 'tgid')}",
                    f"-DOFF_TASK_COMM={btf.offset('task_struct', 'comm')}",
                    f"-DVICTIMS={MOST_VICTIMS}",
                ]
            try:
                self._files = load(
                    SOURCE, definitions, ("mark_victim",), ("counts", "victims"), (), "victims.c"
                )
            except CannotLoad as err:
                raise CannotServe(str(err)) from None
            self._link = self._libbpf.attach_raw_tracepoint("mark_victim", self._files["mark_victim"])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Detach and unload it."""
        for fd in (*self._files.values(), *((self._link,) if self._link >= 0 else ())):
            os.close(fd)
        self._files, self._link = {}, -1
        self._libbpf.close()

    def read(self) -> tuple[list[Victim], int]:
        """Those since the last time, and how many more there were than could be remembered."""
        raw = self._libbpf.lookup(self._files["counts"], bytes(4), _COUNT.size)
        count = _COUNT.unpack(raw)[0] if raw else 0
        first = max(self._seen, count - MOST_VICTIMS)
        lost, self._seen = first - self._seen, first
        found = []
        for index in range(first, count):
            victim = self._victim(index)
            if victim.at_ns == 0:
                break  # it is counted and not yet written: the next time has it
            found.append(victim)
            self._seen += 1
        return found, lost

    def _victim(self, index: int) -> Victim:
        key = (index % MOST_VICTIMS).to_bytes(4, "little")
        return decode_victim(
            self._libbpf.lookup(self._files["victims"], key, _VICTIM.size) or bytes(_VICTIM.size)
        )


def decode_victim(raw: bytes) -> Victim:
    """One struct victim of bpf/victims.c. Pure."""
    at_ns, pid, known, command = _VICTIM.unpack(raw)
    name = command.partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return Victim(at_ns, pid, name if known else None)
