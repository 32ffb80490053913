"""zonerss report: what it reads of recordings, with which status it ends, and what it says of files that are none."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.history.moments import Host, half_overwritten
from tests.unit.views.html.pages import Page

from zonerss.answers.files import files_usage
from zonerss.census.usage import zone_names
from zonerss.commands import main, report
from zonerss.history.keeper import Keeper
from zonerss.history.recording import Recording, Timed
from zonerss.history.replay import PastSession
from zonerss.plain import replace

NAMES = ["leaking", "other", "still"]
LOOKS = 24
SPIKE, SPIKE_PAGES = 11, 20_000
VISITS = (14, 15)


def record(path: Path, pages: int, seconds: int = 10) -> None:
    """Three zones, of which the first one grows by so many pages a look."""
    host = Host(3, 2, names=NAMES, processes=2)
    with Keeper(path) as keeper:
        for number in range(LOOKS):
            keeper.add(host.moment(seconds * number))
            host.grow(0, pages)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "a.zrec"
    record(path, 256)
    return path


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "b.zrec"
    record(path, 0)
    return path


def told(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert main(["report", "--no-config", "--json", *map(str, words)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    status = main(["report", "--no-config", *map(str, words)])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return status, err


def test_each_zone_has_its_verdict(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, made)
    words = {zone["zone"]: zone["verdict"] for zone in found["zones"]}
    assert words == {"leaking": "grows", "other": "steady", "still": "steady"}
    leaking = found["zones"][0]
    assert leaking["growth_bytes_per_second"] == pytest.approx(256 * 4096 / 10, rel=0.01)
    assert leaking["last_bytes"] - leaking["first_bytes"] == (LOOKS - 1) * 256 * 4096
    assert leaking["peak_time"] == found["ended"]
    assert (found["snapshots"], found["snapshots_read"]) == (LOOKS, LOOKS)
    assert len(found["processes"]) == 6


def test_text_and_markdown_say_the_same(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ((), ("--markdown",)):
        assert main(["report", "--no-config", str(made), *option]) == 0
        text = capsys.readouterr().out
        assert "leaking" in text
        assert "grows" in text
        assert "6.0M/min" in text


def test_a_range_and_a_grouping(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(
        capsys, made, "--since", "2026-11-22T12:01:00Z", "--until", "2026-11-22T12:02:30Z", "--by", "cgroup"
    )
    assert (found["snapshots"], found["by"]) == (9, "cgroup")
    assert found["began"] == "2026-11-22T12:01:00.000250Z"
    assert [zone["verdict"] for zone in found["zones"]] == ["grows", "steady", "steady"]


def test_a_long_range_is_thinned(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_LOOKS", 10)
    found, all_of_it = told(capsys, made), LOOKS
    assert (found["snapshots"], found["snapshots_read"]) == (all_of_it, 10)
    assert found["ended"] == "2026-11-22T12:03:50.000250Z"
    assert found["zones"][0]["verdict"] == "grows"


@pytest.fixture(scope="module")
def spiky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three zones the first one is large for a moment, and a fourth one is there for two of 24."""
    path = tmp_path_factory.mktemp("report") / "c.zrec"
    three, four = Host(3, 2, names=NAMES, processes=2), Host(4, 2, names=[*NAMES, "visitor"], processes=2)
    with Keeper(path) as keeper:
        for number in range(LOOKS):
            if number == SPIKE:
                three.grow(0, SPIKE_PAGES)
                three.eat(100, SPIKE_PAGES)
            keeper.add((four if number in VISITS else three).moment(10 * number))
            if number == SPIKE:
                three.grow(0, -SPIKE_PAGES)
                three.eat(100, -SPIKE_PAGES)
            if number == VISITS[0]:
                four.grow(3, 7)
    return path


@pytest.mark.parametrize("by", ["zone", "cgroup"])
def test_a_peak_in_a_snapshot_that_is_not_looked_at_counts(
    spiky: Path, by: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = told(capsys, spiky, "--by", by)
    monkeypatch.setattr(report, "MOST_LOOKS", 8)
    monkeypatch.setattr(report, "MOST_MORE", 1)
    found = told(capsys, spiky, "--by", by)
    assert (found["snapshots"], found["snapshots_read"], found["peak_snapshots"]) == (LOOKS, 9, LOOKS)

    def peaks(document: dict[str, Any], which: str, name: str) -> dict[str, tuple[int, str]]:
        return {one[name]: (one["peak_bytes"], one["peak_time"]) for one in document[which]}

    assert peaks(found, "zones", "zone") == peaks(whole, "zones", "zone")
    pids = peaks(found, "processes", "pid")
    assert pids == {pid: peak for pid, peak in peaks(whole, "processes", "pid").items() if pid in pids}
    spike = "2026-11-22T12:01:50.000250Z"
    assert pids[100][1] == spike
    assert spike in {when for _, when in peaks(found, "zones", "zone").values()}
    size = max(peak for peak, _ in peaks(whole, "zones", "zone").values()) - 1
    assert main(["report", "--no-config", str(spiky), "--by", by, "--fail-on", f"rss(*)>{size}"]) == 3


def test_a_grouping_that_has_to_be_derived_has_the_peaks_of_what_is_looked_at(
    spiky: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_LOOKS", 8)
    found = told(capsys, spiky, "--by", "depth=1")
    assert (found["snapshots_read"], found["peak_snapshots"]) == (8, 8)
    assert main(["report", "--no-config", str(spiky), "--by", "depth=1"]) == 0
    assert "looked at, at even distances; peaks are of 8." in capsys.readouterr().out


def test_more_visitors_than_are_looked_at_are_said(
    spiky: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_LOOKS", 8)
    monkeypatch.setattr(report, "MOST_MORE", 0)
    found = told(capsys, spiky)
    assert "visitor" not in {zone["zone"] for zone in found["zones"]}
    assert found["damaged"] == ["1 zone that came and went between the snapshots looked at"]


def test_of_damaged_snapshots_among_many_the_others_count(
    spiky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_LOOKS", 8)
    path = tmp_path / "a.zrec"
    shutil.copy(spiky, path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE snapshots SET processes = x'00' WHERE id = ?", (SPIKE + 1,))
        connection.execute("UPDATE snapshots SET zones = x'00' WHERE id = ?", (SPIKE + 2,))
    connection.close()
    found = told(capsys, path)
    assert len(found["damaged"]) == 2
    assert found["peak_snapshots"] == LOOKS - 1
    assert "2026-11-22T12:01:50.000250Z" in {zone["peak_time"] for zone in found["zones"]}


def timed(number: int, seconds: float) -> Timed:
    began = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=seconds)
    return Timed(number, began, round(seconds * 1e9), False)


def test_looks_that_are_close_together_are_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MOST_LOOKS", 11)
    seconds = sorted([*range(0, 1001, 50), *(500 + n / 10 for n in range(1, 100))])
    chosen = report._thinned([timed(n, at) for n, at in enumerate(seconds)])
    assert [seconds[n] for n in chosen] == list(range(0, 1001, 100))


def test_after_a_gap_snapshots_are_as_far_apart_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MOST_LOOKS", 11)
    seconds = [0, *range(800, 1001)]
    chosen = report._thinned([timed(n, at) for n, at in enumerate(seconds)])
    assert [seconds[n] for n in chosen] == [0, 800, 875, 1000]


@pytest.mark.parametrize("hours", [-2, 24, 5 * 365 * 24])
def test_a_clock_that_is_set_changes_no_verdict(
    hours: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said; first and last are by a clock that nobody sets, times by that of then."""
    host = Host(3, 2, names=NAMES, processes=2)
    with Keeper(tmp_path / "a.zrec") as keeper:
        for number in range(LOOKS):
            moment, step = host.moment(10 * number), timedelta(hours=hours if number > LOOKS // 2 else 0)
            shown = replace(
                moment.snapshot, began=moment.snapshot.began + step, ended=moment.snapshot.ended + step
            )
            keeper.add(replace(moment, snapshot=shown))
            host.grow(0, 256)
    found = told(capsys, tmp_path / "a.zrec")
    words = {zone["zone"]: zone["verdict"] for zone in found["zones"]}
    assert words == {"leaking": "grows", "other": "steady", "still": "steady"}
    leaking = found["zones"][0]
    assert leaking["growth_bytes_per_second"] == pytest.approx(256 * 4096 / 10, rel=0.01)
    assert leaking["last_bytes"] - leaking["first_bytes"] == (LOOKS - 1) * 256 * 4096
    assert leaking["peak_time"] == leaking["last_time"] == found["ended"]
    assert main(["report", "--no-config", str(tmp_path / "a.zrec")]) == 0
    assert "(3 m 50 s).\n" in (out := capsys.readouterr().out)
    assert "The clock was set 1 time meanwhile" in out


def test_two_are_compared(made: Path, still: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, still, made)
    assert (found["compared_with"], found["file"]) == (str(still), str(made))
    first = found["compared"][0]
    assert (first["zone"], first["before"]["verdict"], first["after"]["verdict"]) == (
        "leaking",
        "steady",
        "grows",
    )
    assert first["growth_change_bytes_per_second"] == pytest.approx(256 * 4096 / 10, rel=0.01)
    for option in ((), ("--markdown",)):
        assert main(["report", "--no-config", str(still), str(made), *option]) == 0
        assert "leaking" in capsys.readouterr().out.splitlines()[2 if option else 1]


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("growth(leaking)>5M/min", 3),
        ("growth(leaking)>7M/min", 0),
        ("verdict(*)=grows", 3),
        ("verdict(*)=bill-only", 0),
        ("rss(still)>1", 3),
    ],
)
def test_a_condition_that_holds_is_status_3(
    made: Path, capsys: pytest.CaptureFixture[str], condition: str, status: int
) -> None:
    assert main(["report", "--no-config", str(made), "--fail-on", condition]) == status
    assert ("holds of" in capsys.readouterr().err) == (status == 3)


def test_one_of_several_conditions_is_enough(made: Path) -> None:
    words = ["--fail-on", "rss(still)>9P", "--fail-on", "rss(still)>9P, verdict(leaking)=grows"]
    assert main(["report", "--no-config", str(made), *words]) == 3


def test_what_cannot_be_told_is_status_1(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, made, "--fail-on", "rss(none)>1") == (
        1,
        f"zonerss: --fail-on rss(none)>1: there is no zone 'none' in {made}\n",
    )
    status, said = refused(
        capsys, made, "--until", "2026-11-22T12:00:20Z", "--fail-on", "growth(still)>1M/min"
    )
    assert (status, "cannot be told of still: 2 snapshots are too few to tell" in said) == (1, True)


def test_a_pattern_that_no_zone_fits_is_status_1(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, made, "--fail-on", "rss(nothing-*)>1") == (
        1,
        f"zonerss: --fail-on rss(nothing-*)>1: there is no zone like 'nothing-*' in {made}\n",
    )


@pytest.mark.parametrize("other", ["growth(still)>1/s", "rss(none)>1", "rss(none-*)>1"])
def test_what_holds_counts_also_where_others_cannot_be_told(made: Path, other: str) -> None:
    words = ["--until", "2026-11-22T12:00:20Z", "--fail-on", other, "--fail-on", "rss(still)>1"]
    assert main(["report", "--no-config", str(made), *words]) == 3


def test_a_pattern_passes_over_zones_of_which_it_cannot_be_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And names them: the third one was there for three looks only."""
    path, host = tmp_path / "a.zrec", Host(2, 2, names=NAMES[:2], processes=2)
    late = Host(3, 2, names=NAMES, processes=2)
    with Keeper(path) as keeper:
        for number in range(LOOKS):
            keeper.add((host if number < LOOKS - 3 else late).moment(10 * number))
    assert main(["report", "--no-config", str(path), "--fail-on", "growth(*)>1G/s"]) == 0
    assert capsys.readouterr().err == "zonerss: --fail-on growth(*)>1G/s cannot be told of still\n"
    assert main(["report", "--no-config", str(path), "--fail-on", "growth(st*)>1G/s"]) == 1


def test_a_wrong_condition_is_status_2_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    status, said = refused(capsys, "/nonexistent", "--fail-on", "growth(web)>1M")
    assert (status, "at character 15 there must be /" in said) == (2, True)


def test_a_range_without_snapshots(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = refused(capsys, made, "--since", "2026-11-23")
    assert status == 1
    assert (
        "has no snapshot in this range: it goes from 2026-11-22 12:00:00 to 2026-11-22 12:03:50 UTC" in said
    )
    assert refused(capsys, made, "--since", "2026-11-23", "--until", "2026-11-22")[0] == 2


def test_since_before_the_first_is_all_of_it(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, made, "--since", "2001-01-01") == told(capsys, made)
    status, said = refused(capsys, made, "--until", "2001-01-01")
    assert (status, "has no snapshot in this range" in said) == (1, True)


def test_three_files_are_too_many(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, made, made, made)[0] == 2


def test_files_that_are_no_recording(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no" in refused(capsys, tmp_path / "none")[1]
    (tmp_path / "text").write_text("no database\n" * 99)
    assert "is no recording of zonerss" in refused(capsys, tmp_path / "text")[1]
    newer = tmp_path / "newer.zrec"
    shutil.copy(made, newer)
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    status, said = refused(capsys, newer)
    assert (status, "recorded by a newer zonerss" in said) == (1, True)


def test_half_of_it_overwritten(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, or what is whole: never a traceback, and never a figure of what was overwritten."""
    whole = told(capsys, made)
    for path in half_overwritten(made, tmp_path):
        status = main(["report", "--no-config", "--json", str(path)])
        out, err = capsys.readouterr()
        assert status in (0, 1)
        if status:
            assert err.startswith("zonerss: ")
            assert err.count("\n") == 1
        else:
            found = json.loads(out)
            assert found["damaged"] or found["zones"] == whole["zones"]


def test_damaged_snapshots_are_left_out_and_said(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.zrec"
    shutil.copy(made, path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE snapshots SET zones = x'00' WHERE id IN (5, 6)")
    connection.close()
    found = told(capsys, path)
    assert len(found["damaged"]) == 2
    assert found["snapshots_read"] == LOOKS - 2
    assert found["zones"][0]["verdict"] == "grows"


def test_the_recording_of_this_host_is_the_default(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "own_file", lambda: str(made))
    assert told(capsys)["file"] == str(made)


# ---- the page --------------------------------------------------------------------------------------------


def put(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["report", "--no-config", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_a_page_is_written(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "out.html"
    said = put(capsys, made, "--html", place)
    assert said.startswith(f"{place}: 3 zones, {LOOKS} snapshots, ")
    found = Page(place.read_text("utf-8"))
    assert list(found.dangers()) == []
    assert [words.split()[0] for words in found.words("summary") if "grows" in words] == ["leaking"]
    assert "sum of process RSS (2 processes)" in found.text
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_a_page_to_standard_output(made: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", "--no-config", str(made), "--html", "-"]) == 0
    assert Page(capfdbinary.readouterr().out.decode()).words("h1") == ["zonerss report vm"]


def test_a_page_of_two_recordings(
    made: Path, still: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "out.html"
    words = ["report", "--no-config", still, made, "--html", place, "--fail-on", "verdict(leaking)=grows"]
    assert main([*map(str, words)]) == report.HOLDS
    found = Page(place.read_text("utf-8"))
    assert found.words("h2")[:3] == ["Conditions", "Compared", "Verdicts"]
    assert "holds of leaking" in capsys.readouterr().err


def test_a_file_that_is_there_is_replaced_and_keeps_its_mode(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, new = tmp_path / "out.html", tmp_path / "new.html"
    place.write_text("old")
    place.chmod(0o640)
    before = place.stat().st_ino
    put(capsys, made, "--html", place)
    put(capsys, made, "--html", new)
    assert place.read_text("utf-8") == new.read_text("utf-8")
    assert (place.stat().st_mode & 0o777, new.stat().st_mode & 0o777) == (0o640, 0o666 & ~umask())
    assert place.stat().st_ino != before


def umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


def test_nothing_is_written_over_what_is_no_regular_file(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim, pipe, link = tmp_path / "victim", tmp_path / "pipe", tmp_path / "link"
    victim.write_text("kept")
    link.symlink_to(victim)
    os.mkfifo(pipe)
    for place in (link, pipe, tmp_path):
        status, said = refused(capsys, made, "--html", place)
        assert status == 1
        assert f"{place} is no regular file" in said
    assert refused(capsys, made, "--html", tmp_path / "none" / "x.html")[0] == 1
    assert victim.read_text() == "kept"
    assert link.is_symlink()


def test_what_cannot_be_written_whole_leaves_what_was_there(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "out.html"
    place.write_text("old")

    def full(fd: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("zonerss.kernel.outputs.os.write", full)
    status, said = refused(capsys, made, "--html", place)
    monkeypatch.undo()
    assert (status, place.read_text()) == (1, "old")
    assert said == f"zonerss: cannot write the page: No space left on device: {place}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_a_page_never_replaces_its_recording(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = made.read_bytes()
    status, said = refused(capsys, made, "--html", made)
    assert status == 2
    assert "is a recording that the page is to be made from" in said
    assert made.read_bytes() == before


def test_the_files_of_each_zone_are_those_of_files(tmp_path: Path) -> None:
    """What parts hold is looked up once, whatever zones are asked about."""
    with Keeper(tmp_path / "a.zrec") as keeper:
        keeper.add(Host(5, 4).moment(0))
    with Recording(tmp_path / "a.zrec") as recording:
        snapshot = PastSession(recording).take("zone")
    held = report._Held(snapshot)
    (holdings, _), names = snapshot.ask().holdings(), zone_names(snapshot.members)
    assert holdings
    for usage in snapshot.zones:
        wanted = files_usage(snapshot.parts, names, holdings, usage.zone)
        assert wanted
        assert [(one.file, one.bytes, one.exclusive_bytes) for one in held.files(usage.zone)] == [
            (one.file, one.bytes, one.exclusive_bytes) for one in wanted
        ]
    assert held.files("nobody") == []
