"""The chain to memory.current of cgroup version 2, step by step, and its formulas in everyone's numbers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.cgroups import stopped
from tests.live.measure import Zone
from tests.oracle import PAGE
from zonerss.answers.explain.account import FLUSH_SECONDS, explain_zone, pay_matrix
from zonerss.answers.explain.records import Account
from zonerss.snapshot import Session

PROJECT = Path(__file__).parents[2]


def explain(zone: Zone) -> Account:
    """The account of a zone that stands still, after memory.stat was brought up to date."""
    with stopped([zone.path]), Session() as session:
        time.sleep(FLUSH_SECONDS)
        return explain_zone(session, zone.name, "cgroup")


def steps_of(account: Account) -> dict[str, int]:
    return {step.name: step.bytes for step in account.chain.steps}


def test_the_chain_closes_to_memory_current(zone, mem):
    mem.map("anon 1009")
    mem.map("memfd 211")
    where = mem.map("memfd 307")
    mem.unmap(where, 0, 101)
    account = explain(zone)
    assert account.bill.version == 2
    assert account.chain.holds, account.chain
    assert account.chain.charged_bytes == account.bill.charged_bytes
    steps = steps_of(account)
    assert steps["cache_not_mapped"] >= 101 * PAGE
    assert steps["anon_not_seen"] == 0
    assert steps["page_tables"] > 0
    assert "other_kernel" in steps


def test_its_own_mapped_frames_are_memory_stat_to_the_page(zone, mem):
    mem.map("anon 1013")
    mem.map("memfd 223")
    account = explain(zone)
    assert account.shares.own_anon_bytes == account.bill.stat["anon"] > 1013 * PAGE
    assert account.shares.own_file_bytes == account.bill.stat["file_mapped"] >= 223 * PAGE


def test_everyones_formula(zone, mem):
    mem.map("anon 509")
    with stopped([zone.path]):
        command = [
            sys.executable,
            "-m",
            "zonerss",
            "explain",
            zone.name,
            "--by",
            "cgroup",
            "--numbers",
            "--json",
        ]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
        stat = dict(line.split() for line in (zone.path / "memory.stat").read_text().splitlines())
        current = int((zone.path / "memory.current").read_text())
    numbers = {row["name"]: row["bytes"] for row in json.loads(done.stdout)["numbers"]}
    assert numbers["memory.current"] == numbers["systemd-cgtop"] == pytest.approx(current, abs=64 * PAGE)
    idle = int(stat["inactive_file"])
    for name in ("docker stats", "podman stats", "kubelet"):
        assert numbers[name] == pytest.approx(current - idle, abs=64 * PAGE)
    assert numbers["podman, before"] == pytest.approx(int(stat["anon"]), abs=16 * PAGE)


def test_the_payer_goes_on_paying_and_when_removed_the_one_above_does(make_zone, cgroups):
    writer, reader = make_zone("writer"), make_zone("reader")
    mem = writer.spawn()
    made = mem.map("memfd 2003")
    reader.spawn().map(f"file {made.path} 2003 shared read")
    assert steps_to(explain(reader), writer.name) == -2003 * PAGE
    mem.end()
    assert steps_to(explain(reader), writer.name) == -2003 * PAGE
    cgroups.remove(writer.path)
    above = str(Path(writer.name).parent)
    for _ in range(50):
        with Session() as session:
            matrix = pay_matrix(session, "cgroup")
        cells = {cell.cgroup: cell.bytes for cell in matrix.payments if cell.zone == reader.name}
        if writer.name not in cells and cells.get(above, 0) >= 2003 * PAGE:
            return
        time.sleep(0.1)
    pytest.fail(f"the charge did not pass to {above}: {cells}")


def steps_to(account: Account, cgroup: str) -> int:
    assert account.chain.holds, account.chain
    return sum(s.bytes for s in account.chain.steps if (s.name, s.cgroup) == ("billed_to_others", cgroup))


@pytest.mark.usefixtures("zram")
def test_the_chain_closes_with_pages_in_swap(zone, mem):
    mem.map("anon 1511")
    # The kernel fails the write when it could not get all of what was asked for.
    subprocess.run(["sh", "-c", f"echo {1200 * PAGE} >{zone.path}/memory.reclaim"], check=False)
    account = explain(zone)
    assert account.chain.holds, account.chain
    assert account.usage.swap_bytes >= 1000 * PAGE
    assert account.bill.swap_bytes >= 1000 * PAGE
