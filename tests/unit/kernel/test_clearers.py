"""Who else clears accessed bits, from recorded files."""

from __future__ import annotations

from pathlib import Path

import pytest

from zonerss.kernel.clearers import caveats, note_clearing, others_cleared, running_damon, scanned_pages
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
    (tmp_path / "run").mkdir()
    return Roots(proc=tmp_path / "proc", sys=tmp_path / "sys", host=tmp_path)


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


def test_others_who_clear_bits_are_told_from_ourselves(roots: Roots) -> None:
    before = note_clearing(roots)
    assert before == 0
    assert note_clearing(roots) == 1
    assert not others_cleared(roots, before, own=2)
    assert note_clearing(roots) == 2
    assert others_cleared(roots, before, own=2)
    assert (roots.host / "run" / "zonerss.cleared").stat().st_mode & 0o777 == 0o600


def test_notes_are_begun_anew_once_there_are_many(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonerss.kernel.clearers._MOST_NOTES", 3)
    before = [note_clearing(roots) for _ in range(5)]
    assert before == [0, 1, 2, 0, 1]
    assert others_cleared(roots, 2, own=1)  # whose notes are gone
    assert not others_cleared(roots, 0, own=2)


def test_what_cannot_be_noted_is_not_known(roots: Roots, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    notes = tmp_path / "run" / "zonerss.cleared"
    notes.symlink_to(elsewhere)
    assert note_clearing(roots) is None
    assert elsewhere.read_text() == "theirs"
    notes.unlink()
    (tmp_path / "run").rmdir()
    assert note_clearing(roots) is None
    assert not others_cleared(roots, None, own=0)


def test_only_what_happened_is_said() -> None:
    assert caveats((), None) == caveats((), 0) == ()
    others, damon, reclaim = caveats(("kdamond 0",), 23, others=True)
    assert (others.name, damon.name, reclaim.name) == ("clearing", "damon", "reclaim")
    assert "Another zonerss" in others.text
    assert "kdamond 0" in damon.text
    assert "23 pages" in reclaim.text
