"""One workload of known sizes, measured by every source of this place: prints what each zone grew by, as JSON.

vm/same-everywhere runs it on the host, in the container and in the guest, and the answers must be the same to the page.
In a guest whose tests are run test_same_everywhere.py runs it.
Three zones: a with private memory, a forked child and a memfd; b and c that map parts of that memfd.

With arguments it measures nothing itself: they are a command that is zonerss in some other place, say the container
without most privileges. Is what it says of the three zones what the oracle finds here?
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TextIO

from tests import oracle
from tests.live.cgroups import TestCgroups, stopped
from tests.live.conftest import SOURCES, cannot_serve
from tests.live.measure import Zone, grown, measure_zones, true_pages
from tests.oracle import PAGE

Answer = dict[str, dict[str, dict[str, int | str]]]
"""By source, zone and figure: pages."""


@contextmanager
def huge_pages_on_request() -> Iterator[None]:
    """Else the kernel gives 512 pages to who touches one, where it is set to do so always."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    before = setting.read_text().partition("[")[2].partition("]")[0]
    setting.write_text("madvise")
    try:
        yield
    finally:
        setting.write_text(before)


def grow(zones: dict[str, Zone]) -> None:
    (a,), (b,), (c,) = (zone.mems for zone in zones.values())
    private = a.map("anon 1009")
    child = a.fork()
    a.write(private, 100, 211, child)
    memfd = a.map("memfd 503")
    b.map(f"file {memfd.path} 307 shared read")
    c.map(f"file {memfd.path} 101 shared read")
    b.map("sharedanon 401")
    c.map("thp 2")
    c.map("zero 601")
    c.map("twice 29")
    hole = c.map("reserve 16")
    c.write(hole, 1_000_003, 1)


def measure_from(command: list[str], source: str, zones: dict[str, Zone]) -> None:
    """Let another zonerss measure the zones while they are stopped, and hold it against the oracle."""
    with stopped([zone.path for zone in zones.values()]):
        told = subprocess.run(
            [*command, "--by", "cgroup", "--source", source, "--json"], stdout=subprocess.PIPE, check=True
        )
        truth = oracle.read_system(oracle.memory_cgroup_of)
    found = {usage["cgroup"]: usage for usage in json.loads(told.stdout)["zones"]}
    for zone in zones.values():
        true = true_pages(truth, zone.name, {other.name for other in zones.values()})
        for figure in (
            "rss",
            "anon",
            "file",
            "shmem",
            "hugetlb",
            "swap",
            "exclusive",
            "shared",
            "process_rss",
        ):
            seen = found[zone.name][f"{figure}_bytes"]
            assert seen == getattr(true, figure) * PAGE, (
                f"{zone.name}: {figure} is {seen} from there, {true} here"
            )
        assert found[zone.name]["processes"] == true.processes
        assert found[zone.name]["charged_bytes"] is not None
    print(f"{source}: the same zones, to the page")


def plain(number: int | Fraction) -> int | str:
    return number if isinstance(number, int) else str(number)


def measured(zones: dict[str, Zone]) -> Answer:
    """By how many pages each figure of each zone grows, by each source that serves here."""
    sources = [source for source in SOURCES if not cannot_serve(source)]
    before = {source: measure_zones(list(zones.values()), source) for source in sources}
    with huge_pages_on_request():
        grow(zones)
    after = {source: measure_zones(list(zones.values()), source) for source in sources}
    return {
        source: {
            name: {
                figure: plain(pages) for figure, pages in grown(before[source], after[source], zone).items()
            }
            for name, zone in zones.items()
        }
        for source in sources
    }


def write(answer: Answer, file: TextIO) -> None:
    json.dump(answer, file, indent=1, sort_keys=True)
    file.write("\n")


def main(command: list[str]) -> int:
    cgroups = TestCgroups()
    zones: dict[str, Zone] = {}
    cgroups.open()
    try:
        for name in "abc":
            zones[name] = Zone(cgroups, cgroups.make(name))
            zones[name].spawn()
        if not command:
            write(measured(zones), sys.stdout)
            return 0
        with huge_pages_on_request():
            grow(zones)
        for source in SOURCES:
            if not cannot_serve(source):
                measure_from(command, source, zones)
    finally:
        for zone in zones.values():
            zone.end()
        cgroups.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
