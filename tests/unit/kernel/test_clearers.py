"""Who else clears accessed bits, from recorded files."""

from __future__ import annotations

from pathlib import Path

import pytest

from zonerss.kernel.clearers import caveats, running_damon, scanned_pages
from zonerss.kernel.roots import Roots

VMSTAT = """nr_free_pages 4343
pgscan_kswapd 100
pgscan_direct 20
pgscan_direct_throttle 7000
pgscan_khugepaged 3
pgscan_anon 60000
pgscan_file 60000
"""


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    (tmp_path / "proc").mkdir()
    return Roots(proc=tmp_path / "proc", sys=tmp_path / "sys")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_host_without_damon(roots: Roots) -> None:
    assert running_damon(roots) == ()


def test_what_is_on_runs(roots: Roots) -> None:
    admin = roots.sys / "kernel" / "mm" / "damon" / "admin" / "kdamonds"
    write(admin / "0" / "state", "on\n")
    write(admin / "1" / "state", "off\n")
    for module, enabled in (("damon_reclaim", "Y\n"), ("damon_lru_sort", "N\n")):
        write(roots.sys / "module" / module / "parameters" / "enabled", enabled)
    assert running_damon(roots) == ("kdamond 0", "damon_reclaim")


def test_pages_that_reclaim_looks_at_count_once(roots: Roots) -> None:
    assert scanned_pages(roots) is None
    write(roots.proc / "vmstat", VMSTAT)
    assert scanned_pages(roots) == 123
    write(roots.proc / "vmstat", "nr_free_pages 4343\n")
    assert scanned_pages(roots) is None


def test_only_what_happened_is_said() -> None:
    assert caveats((), None) == caveats((), 0) == ()
    damon, reclaim = caveats(("kdamond 0",), 23)
    assert (damon.name, reclaim.name) == ("damon", "reclaim")
    assert "kdamond 0" in damon.text
    assert "23 pages" in reclaim.text
