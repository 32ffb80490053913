"""--from and --at, for every verb that has them: a recording of a machine made by hand."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cap.test_status import FORECAST, STATUS, ZONE
from tests.unit.fake_machine import PAGE, Frame, Machine, Process

from zonerss.answers.growth import LOOKS
from zonerss.cap.status import dumps
from zonerss.census.kinds import Kind
from zonerss.commands import main
from zonerss.commands.top import PastCamera
from zonerss.errors import CannotServe, Damaged
from zonerss.history.moment import Moment, take_moment
from zonerss.plain import replace
from zonerss.records import Names
from zonerss.records.bills import Bill
from zonerss.records.files import FileKind, MappedFile, OpenFile
from zonerss.views.player import Player
from zonerss.views.top import Mode

LIBC = MappedFile("/lib/libc.so.6", FileKind.FILE, True, 9 * PAGE, (8, 1), 77)
BEGAN = datetime(2020, 5, 31, 12, 0, 0, 250, tzinfo=UTC)
"""Past on every host's clock."""
POOL = MappedFile("/memfd:pool", FileKind.MEMFD, False, PAGE, (0, 1), 5)
MIB_PAGES = 256
DAMAGED = "damaged"
"""The boot of moments that cannot be read."""
WEB = "/system.slice/web.service"


def machine(pages: int = 5) -> Machine:
    """web has so many pages of its own, some of a memfd, and libc with the database."""
    own = [Frame(Kind.ANON, None, WEB)] * pages
    frames = [*[Frame(Kind.FILE, LIBC, WEB)] * 3, Frame(Kind.SHMEM, POOL, WEB), *own]
    stat = {"cache": 40 << 20, "rss": pages * PAGE, "mapped_file": 4 * PAGE, "shmem": 0}
    bills = {WEB: Bill(1, 64 << 20, stat, dict(stat), PAGE, 0, None)}
    return Machine(
        frames,
        [
            Process(11, WEB, frozenset(range(len(frames)))),
            Process(12, "/system.slice/db.service", frozenset({0, 1, 2}), uid=7),
        ],
        bills,
        Names(users={0: "root", 7: "ann"}),
    )


def moment_at(seconds: float, pages: int, lean: bool = False, boot: str = "a") -> Moment:
    moment = take_moment(machine(pages), lean=lean)
    began = BEGAN + timedelta(seconds=seconds)
    snapshot = replace(moment.snapshot, began=began, ended=began + timedelta(milliseconds=9))
    return replace(moment, snapshot=snapshot, boot_id=boot)


def nine() -> list[Moment]:
    return [moment_at(10 * n, 5 + MIB_PAGES * n) for n in range(1, 10)]


class FakeRecording:
    """Five looks, ten seconds apart; web grows by a MiB in each."""

    kept: Sequence[Moment] = ()

    def __init__(self, path: str) -> None:
        if not path.endswith(".zrec"):
            raise CannotServe(f"there is no {path}")

    def __enter__(self) -> FakeRecording:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass

    def times(self) -> list[datetime]:
        return [moment.snapshot.began for moment in self.kept]

    def latest(self) -> datetime:
        return self.times()[-1]

    def before(self, when: datetime, count: int) -> list[int]:
        return [n for n, time in enumerate(self.times()) if time <= when][:-1][-count:]

    def numbered(self, number: int, lean: bool = False) -> Moment:
        return self._whole(self.kept[number])

    def _whole(self, moment: Moment) -> Moment:
        if moment.boot_id == DAMAGED:
            raise Damaged(f"the snapshot of {moment.snapshot.began} in f.zrec cannot be read: \x1b")
        return moment

    def at(self, when: datetime) -> Moment:
        found = [moment for moment in self.kept if moment.snapshot.began <= when]
        if not found:
            raise CannotServe(f"f.zrec has nothing of {when}")
        return self._whole(found[-1])


@pytest.fixture(autouse=True)
def recording(monkeypatch: pytest.MonkeyPatch) -> type[FakeRecording]:
    moments = [moment_at(10 * n, n * MIB_PAGES) for n in range(1, 6)]
    monkeypatch.setattr(FakeRecording, "kept", moments)
    monkeypatch.setattr("zonerss.commands.past.Recording", FakeRecording)
    monkeypatch.setattr("zonerss.history.recording.Recording", FakeRecording)
    monkeypatch.setattr("zonerss.commands.watching.Session", lambda *_, **__: pytest.fail("it looks at now"))
    return FakeRecording


VERBS = (
    ["show"],
    ["show", "--tree"],
    ["show", "-a"],
    ["show", "--by", "slice"],
    ["show", "--by", "depth=1", "--by", "cgroup"],
    ["show", "web", "-o", "zone,rss"],
    ["web"],
    ["ps"],
    ["ps", "12", "--args"],
    ["share"],
    ["share", "web"],
    ["share", "--by-image"],
    ["files"],
    ["files", "db"],
    ["whatif", "web"],
    ["explain", "web"],
    ["explain", "web", "--numbers"],
    ["explain", "web", "--since", "-10s"],
    ["explain", "--payers"],
)


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_each_verb_says_of_when_it_speaks(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--from", "f.zrec"]) == 0
    lines = capsys.readouterr().out.splitlines()
    began = (BEGAN + timedelta(seconds=50)).astimezone()
    assert lines.count(f"As of {began:%Y-%m-%d %H:%M:%S %z}, recorded on vm.") == 1
    assert main([*words, "--from", "f.zrec", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["began"].startswith("2020-05-31T12:00:50.000250")


@pytest.mark.parametrize(
    ("seconds", "rss", "says"),
    [
        (30, "3.0M", "."),
        (42, "4.0M", "; 2 s before the time asked for."),
        (230, "5.0M", "; 3 min before"),
        (7850, "5.0M", "; 2 h before"),
        (864_050, "5.0M", "; 10 days before"),
    ],
)
def test_the_last_look_that_began_by_then(
    seconds: float, rss: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at = (BEGAN + timedelta(seconds=seconds)).isoformat()
    assert main(["show", "web", "-o", "rss", "--from", "f.zrec", "--at", at]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].strip() == rss
    assert f"recorded on vm{says}" in out


def test_a_time_may_begin_with_a_minus(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--from", "f.zrec", "--at", "-1m"]) == 0
    assert "before the time asked for" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["show", "--from", "f.zrec", "--source", "pagemap"], 2, "--from takes no --source"),
        (["show", "--from", "f.zrec", "--rules", "x.toml"], 2, "the names under which they were recorded"),
        (["show", "--from", "f.zrec", "--watch", "1"], 2, "`zonerss top --from FILE` plays it"),
        (["show", "--from", "f.zrec", "--uncertainty"], 2, "where it was recorded with it"),
        (["show", "--from", "f.zrec", "--alone", "web"], 2, "--from takes no --alone"),
        (["show", "--from", "f.zrec", "--basis", "incore"], 2, "--from takes no --basis"),
        (["show", "--from", "f.zrec", "--patience", "3"], 2, "--from takes no --patience"),
        (["show", "--from", "f.zrec", "-t"], 2, "cannot be grouped by user"),
        (["show", "--from", "f.zrec", "--at", "2020-05-31T12:00:00Z"], 1, "has nothing of"),
        (["show", "--from", "f.zrec", "--at", "2999-11-22T12:00:00Z"], 2, "is still to come"),
        (["show", "--from", "f.zrec", "--at", "soon"], 2, "'soon' is no time"),
        (["show", "--from", "none"], 1, "there is no none"),
        (["show", "--at", "20:55"], 2, "--at needs --from FILE"),
        (["zone", "wbe", "--from", "f.zrec"], 1, "no process of vm was in a zone 'wbe'; did you mean web"),
        (["zone", "qqq", "--from", "f.zrec"], 1, "'qqq'; zonerss show, with the same --from and --at, lists"),
        (["ps", "99", "--from", "f.zrec"], 1, "process 99 is not among those"),
        (["ps", "--mapcounts", "--from", "f.zrec"], 2, "how often pages are mapped"),
        (["explain", "--from", "f.zrec"], 2, "explain --from needs a ZONE"),
        (["explain", "--tmpfs", "--from", "f.zrec"], 2, "--from takes no --tmpfs: a recording does not keep"),
        (["explain", "web", "--tmpfs", "--from", "f.zrec"], 2, "--from takes no --tmpfs: a recording does"),
        (["explain", "--private-shared", "--from", "f.zrec"], 2, "--from takes no --private-shared: a rec"),
        (["explain", "web", "--private-shared", "--from", "f.zrec"], 2, "how much address space"),
        (["explain", "--pid", "11", "--from", "f.zrec"], 2, "the page tables of each process"),
    ],
    ids=str,
)
def test_what_makes_no_sense(
    words: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert sentence in err


def test_users_are_not_kept_and_a_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = "Users: a recording keeps what the processes of each zone and cgroup map together"
    assert main(["show", "-a", "--from", "f.zrec"]) == 0
    assert said in capsys.readouterr().out
    assert main(["show", "-a", "-Z", "--from", "f.zrec"]) == 0  # in which nobody asked for users
    assert said not in capsys.readouterr().out


def test_images_are_not_known_of_what_an_older_zonerss_recorded(
    recording: type[FakeRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    recording.kept = [replace(moment_at(0, 5), images=None)]
    assert main(["share", "--by-image", "--from", "f.zrec"]) == 1
    assert "did not keep of which image a container was" in capsys.readouterr().err


def test_what_is_configured_for_now_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "zonerss.toml"
    file.write_text('source = "pagemap"\npatience = "3s"\n')
    assert main(["show", "--config", str(file), "--from", "f.zrec"]) == 0


@pytest.mark.parametrize(("looks", "grows"), [(3, False), (9, True)])
def test_growth_is_that_of_the_looks_before(
    looks: int, grows: bool, recording: type[FakeRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    recording.kept = nine()
    at = (BEGAN + timedelta(seconds=10 * looks + 1)).isoformat()
    assert main(["show", "--from", "f.zrec", "--at", at]) == 0
    out = capsys.readouterr().out
    assert ("+6.0M/min" in out, "GROWS" in out) == (grows, grows)
    assert main(["web", "--from", "f.zrec", "--at", at, "--json"]) == 0
    (page,) = json.loads(capsys.readouterr().out)["zones"]
    assert page["growth_bytes_per_minute"] == (6 << 20 if grows else None)
    assert page["verdict"]["verdict"] == ("grows" if grows else None)


def test_growth_is_not_told_across_a_boot(
    recording: type[FakeRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    recording.kept = [replace(m, boot_id="b") if n < 3 else m for n, m in enumerate(nine())]
    assert main(["show", "--from", "f.zrec"]) == 0
    assert "GROWS" not in capsys.readouterr().out


def test_damaged_looks_before_are_left_out_of_the_growth(
    recording: type[FakeRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    recording.kept = nine()
    damage(recording, 1)
    assert main(["show", "--from", "f.zrec"]) == 0
    assert "+6.0M/min" in capsys.readouterr().out
    player = Player(FakeRecording("f.zrec").times(), 8)
    camera = PastCamera(lambda: FakeRecording("f.zrec"), player, "zone", "f.zrec")  # type: ignore[arg-type,return-value]
    for _ in range(2):
        assert camera.take(Mode.ZONES, None).rows[0].growth_bytes == 6 << 20


def test_top_leaves_out_what_is_damaged_and_names_it(
    recording: type[FakeRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(recording, 1)
    assert main(["top", "--from", "f.zrec", "--batch", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["began"][14:19] for line in out.splitlines()] == [
        "00:10",
        "00:30",
        "00:40",
        "00:50",
    ]
    assert err.startswith(
        "zonerss: left out: the snapshot of 2020-05-31 12:00:20.000250+00:00 in f.zrec cannot be"
    )
    assert "\x1b" not in err
    damage(recording, *range(5))
    assert main(["top", "--from", "f.zrec", "--batch"]) == 1
    assert capsys.readouterr().err.count("left out: ") == 5


def test_the_hint_to_another_time(recording: type[FakeRecording], capsys: pytest.CaptureFixture[str]) -> None:
    damage(recording, 4)
    assert main(["--from", "f.zrec"]) == 1
    assert "cannot be read: \\x1b; name another time by --at" in capsys.readouterr().err


def damage(recording: type[FakeRecording], *numbers: int) -> None:
    recording.kept = [
        replace(moment, boot_id=DAMAGED) if number in numbers else moment
        for number, moment in enumerate(recording.kept)
    ]


@pytest.mark.parametrize("file", ["f.zrec", "my recordings/it's.zrec"])
def test_a_proposed_command_asks_about_the_same_moment(
    file: str, recording: type[FakeRecording], capsys: pytest.CaptureFixture[str]
) -> None:
    at = (BEGAN + timedelta(seconds=29)).isoformat()
    assert main(["show", "--from", file, "--at", at]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "zonerss explain" in line]
    verb, *words = shlex.split(line[line.index("zonerss ") :])[1:]
    assert main([verb, *words, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (document["zone"], document["began"]) == ("web.service", "2020-05-31T12:00:20.000250Z")


def test_without_files(recording: type[FakeRecording], capsys: pytest.CaptureFixture[str]) -> None:
    recording.kept = [moment_at(0, MIB_PAGES, lean=True)]
    assert main(["web", "--from", "f.zrec"]) == 0
    assert "Files: not recorded." in capsys.readouterr().out
    assert main(["web", "--from", "f.zrec", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["zones"][0]["largest_files"] is None
    for words in (["share"], ["share", "web"], ["explain", "web"]):
        assert main([*words, "--from", "f.zrec"]) == 0
        out = capsys.readouterr().out
        assert "kernel does not tell" not in out
        assert ("It was not recorded which cgroup a frame is charged to (record --lean)" in out) == (
            words[0] == "explain"
        )
    for words in (["files"], ["whatif", "web"], ["explain", "--payers"]):
        assert main([*words, "--from", "f.zrec"]) == 1
        assert "record --lean" in capsys.readouterr().err


def test_top_prints_a_table_for_each_look(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--from", "f.zrec", "--batch"]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line.startswith("web")]
    assert [row[3] for row in rows] == ["1.0M", "2.0M", "3.0M", "4.0M", "5.0M"]
    assert "±" not in out  # nobody recorded it
    assert "As of" in out
    at = (BEGAN + timedelta(seconds=31)).isoformat()
    assert main(["top", "--from", "f.zrec", "--at", at, "--json"]) == 0
    began = [json.loads(line)["began"] for line in capsys.readouterr().out.splitlines()]
    assert [time[14:19] for time in began] == ["00:30", "00:40", "00:50"]
    assert main(["top", "--from", "f.zrec", "-n", "2", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--from", "f.zrec", "-i", "1"], "+ and - play a recording"),
        (["--from", "f.zrec", "--source", "pagemap"], "--from takes no --source"),
        (["--at", "20:55"], "--at needs --from"),
    ],
)
def test_top_refuses_what_is_of_now(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_top_shows_the_moment_that_the_player_is_at_with_the_growth_until_then(
    recording: type[FakeRecording],
) -> None:
    recording.kept = nine()
    player = Player(FakeRecording("f.zrec").times(), 8)
    camera = PastCamera(lambda: FakeRecording("f.zrec"), player, "zone", "f.zrec")  # type: ignore[arg-type,return-value]
    for at, grows in ((8, 6 << 20), (8, 6 << 20), (1, None), (7, 6 << 20)):
        player.at = at
        look = camera.take(Mode.ZONES, None)
        assert look.snapshot.began == player.time
        assert look.rows[0].growth_bytes == grows
    for mode in (Mode.ZONE, Mode.PROCESSES, Mode.SHARING, Mode.EXPLAIN, Mode.TREE):
        page = camera.take(mode, "web.service").page
        assert page is not None
        assert len(page(80)) > 2
        assert any("Is it a leak? grows: +7.0M" in line for line in page(80)) == (mode is Mode.ZONE)
    for at in (8, 3, 8):  # on by one, back, and far on
        player.at = at
        page = camera.take(Mode.ZONE, "web.service").page
        assert page is not None
        assert any("Is it a leak? grows: +8.0M" in line for line in page(80)) == (at == 8)
    camera.close()


def test_the_page_of_a_zone_is_the_same_however_one_got_there(recording: type[FakeRecording]) -> None:
    """By all looks from the beginning, or at once; also where another one is shown before the camera is done."""
    recording.kept = [moment_at(10 * n, 5 + MIB_PAGES * n) for n in range(1, LOOKS + 8)]
    times = FakeRecording("f.zrec").times()
    last = len(times) - 1

    def page_after(*places: int) -> list[str]:
        player = Player(times, 0)
        camera = PastCamera(lambda: FakeRecording("f.zrec"), player, "zone", "f.zrec")  # type: ignore[arg-type,return-value]
        for player.at in places:
            page = camera.take(Mode.ZONE, "web.service").page
        assert page is not None
        return list(page(200))

    found = page_after(*range(last - 10, last + 1))
    assert found == page_after(last) == page_after(last - 1, 3, last)
    assert any(f"Is it a leak? grows: +{LOOKS - 1}M" in line for line in found)


# ---- caps ------------------------------------------------------------------------------------------------


@pytest.fixture
def capped(recording: type[FakeRecording], monkeypatch: pytest.MonkeyPatch) -> None:
    """A capper that held web ran in the last look but one; none runs now."""
    status = replace(STATUS, zones=(replace(ZONE, zone="web.service", cap_bytes=3 << 20, nover=77),))
    kept = recording.kept
    recording.kept = [*kept[:-2], replace(kept[-2], capper=dumps(status)), kept[-1]]
    monkeypatch.setattr("zonerss.cap.status.read_said", lambda *_: pytest.fail("it asks the capper of now"))


@pytest.mark.usefixtures("capped")
def test_top_shows_caps_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--from", "f.zrec", "--batch", "-o", "zone,cap,nover"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "web.service" in line]
    assert [row[1:] for row in rows] == [["–", "–"]] * 3 + [["3.0M", "77"]] + [["–", "–"]]


@pytest.mark.usefixtures("capped")
@pytest.mark.parametrize(("at", "cap_bytes"), [("2020-05-31T12:00:41Z", FORECAST.cap_bytes), ("", None)])
def test_a_zones_page_has_the_forecast_of_then(
    at: str, cap_bytes: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["web", "--from", "f.zrec", "--json", *(["--at", at] if at else [])]) == 0
    forecast = json.loads(capsys.readouterr().out)["zones"][0]["forecast"]
    assert (forecast and forecast["cap_bytes"]) == cap_bytes


# ---- explain --since -------------------------------------------------------------------------------------


def since(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["explain", "web", "--from", "f.zrec", "--json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("words", "mib"),
    [
        (["--since", "-10s"], 1),
        (["--since", "-35s"], 4),  # before the one of 10 s is 35 s
        (["--since", "2020-05-31T12:00:21Z"], 3),
        (["--since", "2020-05-31T12:00:21Z", "--at", "2020-05-31T12:00:41Z"], 2),
        (["--since", "-20s", "--at", "2020-05-31T12:00:41Z"], 2),
    ],
)
def test_since_compares_two_moments(words: list[str], mib: int, capsys: pytest.CaptureFixture[str]) -> None:
    found = since(capsys, *words)
    assert (found["seconds"], found["rss_bytes"]) == (10 * mib, mib << 20)
    assert (
        found["process_rss_bytes"] + sum(step["bytes"] for step in found["steps"]) + found["residual_bytes"]
        == (found["charged_bytes"])
    )
    assert [(one["pid"], one["after_bytes"] - one["before_bytes"]) for one in found["processes"]] == [
        (11, mib << 20)
    ]


def test_since_says_it_in_a_sentence(
    capsys: pytest.CaptureFixture[str], recording: type[FakeRecording]
) -> None:
    grown = moment_at(60, 5 * MIB_PAGES)
    bill = grown.bills[WEB]
    stat = dict(bill.stat) | {"cache": 240 << 20}
    grown = replace(
        grown, bills={WEB: replace(bill, charged_bytes=(bill.charged_bytes or 0) + (200 << 20), stat=stat)}
    )
    recording.kept = [*recording.kept, replace(grown, open_files=None)]
    assert main(["explain", "web", "--from", "f.zrec", "--since", "-10s"]) == 0
    out = capsys.readouterr().out
    assert (
        "+200M billed, 0 mapped: page cache that no process maps (the recording does not tell of which file); "
        in (" ".join(out.split()))
    )
    assert "it goes when memory is needed." in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--since", "2020-05-31T11:00:00Z"], 1, "has nothing of 2020-05-31 11:00:00"),
        (["--since", "-1h"], 1, "has nothing of 2020-05-31 11:00:50"),
        (["--since", "2020-05-31T12:01:00Z"], 2, "is later than the snapshot of 2020-05-31 12:00:50 UTC"),
        (["--since", "-3s"], 1, "has nothing"),
        (["--since", "-0s"], 1, "has no other snapshot from"),
    ],
)
def test_since_before_the_first_and_after_the_last(
    words: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if words[1] == "-3s":
        words += ["--at", "2020-05-31T12:00:11Z"]
    assert main(["explain", "web", "--from", "f.zrec", *words]) == status
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert sentence in err


def test_a_zone_that_was_not_there_then(
    capsys: pytest.CaptureFixture[str], recording: type[FakeRecording]
) -> None:
    first = take_moment(Machine([], [], {}, Names()))
    first = replace(first, snapshot=replace(first.snapshot, began=BEGAN, ended=BEGAN))
    recording.kept = [first, *recording.kept]
    assert main(["explain", "web", "--from", "f.zrec", "--since", "2020-05-31T12:00:01Z"]) == 1
    assert "at 2020-05-31 12:00:00 UTC no process of vm was in a zone 'web'" in capsys.readouterr().err


def test_since_names_the_file_where_both_moments_have_it(
    capsys: pytest.CaptureFixture[str], recording: type[FakeRecording]
) -> None:
    before, after = moment_at(60, 5 * MIB_PAGES), moment_at(70, 5 * MIB_PAGES)
    bill = after.bills[WEB]
    stat = dict(bill.stat) | {"cache": 240 << 20}
    grown = replace(bill, charged_bytes=(bill.charged_bytes or 0) + (200 << 20), stat=stat)
    log, others = (OpenFile(f"/log/{pid}", (8, 1), pid, pid, 1 << 20, 7 << 20) for pid in (11, 12))
    recording.kept = [
        replace(before, open_files=(log, others)),
        replace(after, bills={WEB: grown}, open_files=(replace(log, cached_bytes=207 << 20), others)),
    ]
    assert main(["explain", "web", "--from", "f.zrec", "--since", "-10s"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "+200M billed, 0 mapped: page cache of /log/11 (open by pid 11" in out
    assert "/log/12" not in out


@pytest.mark.parametrize(
    ("cached_mib", "kept", "told"),
    [
        (0, 0, "page cache of /log/11 (open by pid 11"),  # nobody looked, as there was next to nothing
        (
            40,
            2,
            "page cache of /log/11 (open by pid 11",
        ),  # it was none of those of which a mebibyte was cached
        (40, 0, "the recording does not tell of which file"),  # there may have been no time to look
        (900, 5, "the recording does not tell of which file"),  # five larger ones were kept
    ],
)
def test_since_names_a_file_that_was_opened_meanwhile(
    cached_mib: int,
    kept: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
    recording: type[FakeRecording],
) -> None:
    def of(moment: Moment, cache_mib: int, files: Sequence[OpenFile]) -> Moment:
        zones = tuple(replace(usage, cache_unmapped_bytes=cache_mib << 20) for usage in moment.snapshot.zones)
        bill = moment.bills[WEB]
        more = {WEB: replace(bill, stat=dict(bill.stat) | {"cache": (40 + cache_mib) << 20})}
        shown = replace(moment.snapshot, zones=zones)
        return replace(moment, snapshot=shown, bills=more, open_files=tuple(files))

    before, after = moment_at(60, 5 * MIB_PAGES), moment_at(70, 5 * MIB_PAGES)
    large = [OpenFile(f"/large/{n}", (8, 1), 100 + n, 11, 1 << 30, 250 << 20) for n in range(kept)]
    log = OpenFile("/log/11", (8, 1), 11, 11, 1 << 30, 200 << 20)
    after = of(after, cached_mib + 200, [log, *large[:4]])
    bill = after.bills[WEB]
    after = replace(after, bills={WEB: replace(bill, charged_bytes=(bill.charged_bytes or 0) + (200 << 20))})
    recording.kept = [of(before, cached_mib, large), after]
    assert main(["explain", "web", "--from", "f.zrec", "--since", "-10s"]) == 0
    assert told in " ".join(capsys.readouterr().out.split())
