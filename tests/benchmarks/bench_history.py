"""The store of recordings: bytes a snapshot, and what adding and reading one costs.

    .venv/bin/python -m tests.benchmarks.bench_history [ZONES ...]

Hosts of so many zones (10, 100 and 1,000) with four processes each, which share five parts a zone. In a quiet one 2 %
of the figures change from snapshot to snapshot, in a busy one every figure does. Every snapshot is whole: files,
payers, bills and processes. Then other ways of keeping the same tables. Figures are made, no kernel is asked. Times are
processor time. Nothing is asserted.
"""

from __future__ import annotations

import json
import lzma
import os
import statistics
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.unit.history.moments import Host
from zonerss.history.content import sections_of
from zonerss.history.figures import Table, pack
from zonerss.history.identities import Given
from zonerss.history.keeper import SEGMENT_SNAPSHOTS, Keeper
from zonerss.history.recording import Recording
from zonerss.history.schema import SECTIONS

PARTS_A_ZONE = 5
QUIET = 0.02
SNAPSHOTS = {10: SEGMENT_SNAPSHOTS, 100: SEGMENT_SNAPSHOTS, 1000: 8}
"""How many are added; of the largest only so many, and its key weighs the more."""


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of processor time."""
    began = time.process_time()
    call()
    return 1000 * (time.process_time() - began)


def sizes(path: Path) -> tuple[int, float]:
    """Bytes of the key's blobs, and of a difference's."""
    length = "length(other) + " + " + ".join(f"length({name})" for name in SECTIONS)
    with Recording(path) as recording:
        rows = recording._rows(f"SELECT id = segment, {length} FROM snapshots")
    return rows[0][1], statistics.mean(size for is_key, size in rows if not is_key)


def measure(zones: int, changing: float) -> str:
    """A line of the table."""
    host, added, read = Host(zones, PARTS_A_ZONE * zones), [], []
    with tempfile.TemporaryDirectory(dir=os.environ.get("ZONERSS_BENCH_DIR")) as directory:
        path = Path(directory) / "a.zrec"
        count = SNAPSHOTS.get(zones, 8)
        with Keeper(path) as keeper:
            for number in range(count):
                moment = host.moment(10 * number)
                added.append(timed(lambda: keeper.add(moment)))  # noqa: B023
                host.drift(changing)
        key, difference = sizes(path)
        with Recording(path) as recording:
            times = recording.times()
            cold = timed(lambda: recording.at(times[-1]))
            read += [timed(lambda: recording.at(when)) for when in times[1:6]]  # noqa: B023
        whole = os.stat(path).st_size / count
    return (
        f"{zones:6} {'quiet' if changing < 1 else 'busy':6} {key:9,} {difference:9,.0f} {whole:9,.0f}"
        f" {statistics.median(added):8.1f} {cold:8.1f} {statistics.median(read):8.1f}"
    )


def fixed(tables: Sequence[Table], base: Sequence[Table] | None) -> bytes:
    """Differences of eight bytes each, column by column."""
    out = bytearray()
    for number, table in enumerate(tables):
        before = dict(base[number].rows()) if base else {}
        for position in range(len(table.columns)):
            for key, row in table.rows():
                old = before[key][position] if key in before else 0
                out += struct.pack("<Q", ((row[position] or 0) - (old or 0)) % (1 << 64))
    return bytes(out)


def alternatives(zones: int) -> None:
    """Bytes of one snapshot's tables, every figure changed, by other ways of keeping them."""
    host = Host(zones, PARTS_A_ZONE * zones)
    with tempfile.TemporaryDirectory() as directory, Keeper(Path(directory) / "a.zrec") as keeper:
        given = Given(keeper._connection)
        given.load()
        tables = []
        for number in range(3):
            sections = sections_of(host.moment(10 * number), given)
            tables.append([table for name in SECTIONS for table in sections[name] or ()])
            host.drift()
    key, before, last = tables
    raw = json.dumps([[list(row) for row in table.rows()] for table in last]).encode()
    numbers = zlib.decompress(pack(last, key))
    for name, call in {
        "JSON, deflated": lambda: zlib.compress(raw, 6),
        "figures, deflated, no difference": lambda: pack(last),
        "differences of 8 bytes, deflated": lambda: zlib.compress(fixed(last, key), 6),
        "differences of 8 bytes, xz": lambda: lzma.compress(fixed(last, key)),
        "differences as varints": lambda: numbers,
        "differences as varints, deflated": lambda: pack(last, key),
        "the same, to the snapshot before": lambda: pack(last, before),
        "differences as varints, xz": lambda: lzma.compress(numbers),
    }.items():
        print(f"  {name:36} {len(call()):9,} bytes {timed(call):8.1f} ms")


def main() -> None:
    """Print both tables."""
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    print(" zones            key difference file/snap   add ms  at cold  at warm")
    for zones in map(int, sys.argv[1:] or ("10", "100", "1000")):
        for changing in (QUIET, 1.0):
            print(measure(zones, changing), flush=True)
    print("\n100 zones, every figure changed:")
    alternatives(100)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
