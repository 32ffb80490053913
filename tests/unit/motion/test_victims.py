"""Victims as the BPF program writes them, and what is read of a ring of them."""

from __future__ import annotations

import struct
from typing import Any

from zonerss.motion.victims import MOST_VICTIMS, Victim, VictimTracer, decode_victim


def raw(at_ns: int, pid: int, command: bytes = b"worker", known: int = 1) -> bytes:
    return struct.pack("=Q2I16s", at_ns, pid, known, command)


def test_a_victim() -> None:
    assert decode_victim(raw(7, 42)) == Victim(7, 42, "worker")
    assert decode_victim(raw(7, 42, b"caf\xe9\0junk")) == Victim(7, 42, "caf\udce9")
    assert decode_victim(raw(7, 42, b"", 0)) == Victim(7, 42, None)


class Maps:
    """The two maps of the program."""

    def __init__(self) -> None:
        self.count = 0
        self.unwritten: set[int] = set()

    def lookup(self, table: int, key: bytes, size: int) -> bytes:
        if table == 1:
            return struct.pack("=Q", self.count)
        index = int.from_bytes(key, "little")
        last = (self.count - 1 - index) // MOST_VICTIMS * MOST_VICTIMS + index
        return raw(0, 0) if last in self.unwritten else raw(last + 1, last)


def test_each_is_read_once_and_what_was_overwritten_is_counted() -> None:
    tracer: Any = object.__new__(VictimTracer)
    tracer._seen, tracer._files, tracer._libbpf = 0, {"counts": 1, "victims": 2}, (maps := Maps())
    assert tracer.read() == ([], 0)
    maps.count = 3
    assert [victim.pid for victim in tracer.read()[0]] == [0, 1, 2]
    maps.count = 5
    found, lost = tracer.read()
    assert ([victim.pid for victim in found], lost) == ([3, 4], 0)
    maps.count += MOST_VICTIMS + 7
    found, lost = tracer.read()
    assert (len(found), lost) == (MOST_VICTIMS, 7)
    assert [found[0].pid, found[-1].pid] == [12, maps.count - 1]
    assert tracer.read() == ([], 0)


def test_one_that_is_counted_and_not_yet_written_is_read_the_next_time() -> None:
    tracer: Any = object.__new__(VictimTracer)
    tracer._seen, tracer._files, tracer._libbpf = 0, {"counts": 1, "victims": 2}, (maps := Maps())
    maps.count, maps.unwritten = 3, {1}
    assert [victim.pid for victim in tracer.read()[0]] == [0]
    maps.unwritten = set()
    assert [victim.pid for victim in tracer.read()[0]] == [1, 2]
    assert tracer.read() == ([], 0)
