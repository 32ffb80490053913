"""Caps: what words and files of caps say, and that whatever is wrong is refused with its place and the reason."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.cap.records import MAY
from zonerss.cap.rules import Caps, Spelling, caps_of_words, parse_caps, read_caps, share
from zonerss.commands.quantities import duration, size
from zonerss.errors import UnknownZone, UsageError
from zonerss.records import Zone
from zonerss.zones.labels import label

MIB = 1 << 20
SPELLING = Spelling(size, duration)
ME = os.geteuid()
ZONES = ("web.service", "web-2.service", "db.service", "/jobs/night", "odd[1].service")


def parsed(text: str) -> Caps:
    return parse_caps(text, "c.toml", SPELLING)


# ---- what they say -----------------------------------------------------------------------------------------


def test_everything_of_a_file() -> None:
    caps = parsed(
        """
        threshold = "80%"
        cold = "5s"

        [[cap]]
        zone = "db.service"
        never = true

        [[cap]]
        zone = "web*.service"
        cap = "400M"
        floor = "100M"
        may = ["anon", "file"]
        command = ["/bin/tell", "me"]

        [[cap]]
        zone = "*"
        cap = 1048576
        optional = true
        """
    )
    assert (caps.threshold, caps.cold_seconds) == (0.8, 5.0)
    found = caps.of(ZONES, must_match=True)
    assert set(found) == {"web.service", "web-2.service", "/jobs/night", "odd[1].service"}
    web = found["web-2.service"]
    assert (web.zone, web.cap_bytes, web.floor_bytes) == ("web-2.service", 400 * MIB, 100 * MIB)
    assert (web.may, web.command) == (frozenset({"anon", "file"}), ("/bin/tell", "me"))
    assert web.origin == "c.toml:9:1"
    other = found["/jobs/night"]
    assert (other.cap_bytes, other.floor_bytes, other.may, other.command) == (MIB, 0, MAY, ())


def test_nothing_is_said() -> None:
    assert parsed("# nothing yet\n") == Caps(())
    assert parsed("cap = []\n").of(ZONES, must_match=True) == {}


@pytest.mark.parametrize(
    ("pattern", "zones"),
    [
        ("web.service", {"web.service"}),
        ("web", {"web.service"}),
        ("night", {"/jobs/night"}),
        ("*night", {"/jobs/night"}),
        ("odd[1].service", {"odd[1].service"}),
        ("web?2.service", {"web-2.service"}),
        ("Web*", set()),
    ],
)
def test_whom_a_pattern_is_for(pattern: str, zones: set[str]) -> None:
    caps = parsed(f"[[cap]]\nzone = '{pattern}'\ncap = '1M'\noptional = true\n")
    assert set(caps.of(ZONES, must_match=True)) == zones


def test_the_command_line_comes_before_the_file() -> None:
    words = caps_of_words(["db=1G", "web*=10M"], size)
    file = parsed(
        "threshold = '50%'\n[[cap]]\nzone = 'db.service'\ncap = '2M'\n[[cap]]\nzone='*'\ncap='3M'\n"
    )
    found = file.below(words).of(ZONES, must_match=True)
    assert found["db.service"].cap_bytes == 1 << 30
    assert found["web-2.service"].cap_bytes == 10 * MIB
    assert found["/jobs/night"].cap_bytes == 3 * MIB
    assert file.below(words).threshold == 0.5


@pytest.mark.parametrize(
    ("text", "value"), [("80%", 0.8), ("80", 0.8), ("0%", 0.0), ("12.5%", 0.125), ("0.8%", 0.008), ("0", 0.0)]
)
def test_a_share(text: str, value: float) -> None:
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "percent"), [("0.8", "80%"), ("1", "100%"), ("0.125", "12.5%")])
def test_a_share_that_could_be_a_fraction_is_refused(text: str, percent: str) -> None:
    with pytest.raises(
        argparse.ArgumentTypeError, match=re.escape(f"can be {percent} or {text}%: say {percent}")
    ):
        share(text)
    with pytest.raises(UsageError, match=r"c\.toml:1:\d+: threshold: "):
        parse_caps(f"threshold = {text}\n", "c.toml", SPELLING)


# ---- what is refused ---------------------------------------------------------------------------------------

HEAD = "[[cap]]\nzone = 'web.service'\n"


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("zone = 'x'\n", "1:1", "unknown key 'zone'"),
        (f"{HEAD}cap = '1M'\nflor = '1M'\n", "4:1", "unknown key 'flor'; did you mean floor?"),
        (f"{HEAD}cap = '-5M'\n", "3:7", "cap: '-5M' is no size"),
        (f"{HEAD}cap = -5\n", "3:7", "cap: '-5' is no size"),
        (f"{HEAD}cap = '0'\n", "3:7", "cannot be held"),
        (f"{HEAD}cap = '5 parsecs'\n", "3:7", "cap: '5 parsecs' is no size"),
        (f"{HEAD}cap = true\n", "3:7", "a text or a number is wanted, not True"),
        (f"{HEAD}cap = '1M'\nfloor = '2M'\n", "4:9", r"floor \(2M\) is above cap \(1M\)"),
        (f"{HEAD}cap = '1M'\nmay = ['anno']\n", "4:7", "may has 'anno'; did you mean anon?"),
        (f"{HEAD}cap = '1M'\nmay = 'anon'\n", "4:7", "must be a list of texts"),
        (f"{HEAD}cap = '1M'\ncommand = 'tell me'\n", "4:11", "must be a list of texts"),
        (f"{HEAD}cap = '1M'\ncommand = ['tell']\n", "4:11", "whole path"),
        (f"{HEAD}cap = '1M'\ncommand = []\n", "4:11", "whole path"),
        (f'{HEAD}cap = "1M"\ncommand = ["/bin/x", "a\\u0000"]\n', "4:11", "no program can be given"),
        (f"{HEAD}cap = '1M'\nnever = true\n", "4:9", "take cap out, or never"),
        (f"{HEAD}never = 'yes'\n", "3:9", "never is true or false"),
        (HEAD, "1:1", "this cap has no cap"),
        ("[[cap]]\ncap = '1M'\n", "1:1", "this cap has no zone"),
        ("[[cap]]\nzone = ''\ncap = '1M'\n", "2:8", "not empty"),
        (f"{HEAD}cap = '1M'\n\n{HEAD}cap = '2M'\n", "6:8", "has a cap already, at c.toml:1:1"),
        ("[cap]\nzone = 'x'\n", "1:2", "two brackets"),
        ("threshold = '180%'\n", "1:1", "threshold: '180%' is no share"),
        ("threshold = '-1%'\n", "1:1", "threshold: '-1%' is no share"),
        ("cold = 'long'\n", "1:1", "cold: 'long' is no duration"),
        ("cold = true\n", "1:1", "cold: a text or a number"),
        ("[[cap]\n", "1:6", "no valid TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(text: str, where: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"^c.toml:{where}: .*{why}"):
        parsed(text)


def test_the_second_of_two_tables_is_the_one_that_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"^c.toml:6:7: cap: 'x' is no size"):
        parsed(f"{HEAD}cap = '1M'\n[[cap]]\nzone = 'db'\ncap = 'x'\n")


def test_a_pattern_that_matches_nothing() -> None:
    for pattern in ("wob.service", "wob*"):
        caps = parsed(f"{HEAD}cap = '1M'\n[[cap]]\nzone = '{pattern}'\ncap = '1M'\n")
        assert set(caps.of(ZONES)) == {"web.service"}
        with pytest.raises(UsageError, match=r"^c.toml:4:1: no zone is called 'wob.*optional = true"):
            caps.of(ZONES, must_match=True)


def test_a_short_name_of_several_zones() -> None:
    with pytest.raises(UsageError, match=r"^c.toml:1:1: 'a' can mean /x/a or /y/a"):
        parsed("[[cap]]\nzone = 'a'\ncap = '1M'\n").of(["/x/a", "/y/a"])


# ---- names that are a stranger's choice ----------------------------------------------------------------------


def test_a_zone_that_is_called_like_a_pattern_takes_nobody_out_of_it() -> None:
    caps = parsed(
        "[[cap]]\nzone = 'shop-*.service'\nnever = true\n[[cap]]\nzone = 'w?b.service'\ncap = '2M'\n"
        "[[cap]]\nzone = '*'\ncap = '1M'\n"
    )
    known = ("shop-1.service", "shop-*.service", "web.service", "w?b.service", "other")
    found = caps.of(known, must_match=True)
    assert {zone: cap.cap_bytes for zone, cap in found.items()} == {
        "web.service": 2 * MIB,
        "w?b.service": 2 * MIB,
        "other": MIB,
    }


def test_another_zone_of_the_same_name_takes_nobody_out_of_a_never() -> None:
    zones = [Zone("my-db", f"/{letter}", letter * 64, "docker") for letter in "ab"]
    known = [zone.name for zone in label(zones)]
    assert "my-db" not in known
    for never in ("*-db", "my-db", "my?db"):
        caps = parsed(f"[[cap]]\nzone = '{never}'\nnever = true\n[[cap]]\nzone = '*'\ncap = '1M'\n")
        assert set(caps.judge([*known, "other"])[0]) == {"other"}


AMBIGUOUS = (
    "[[cap]]\nzone = 'db'\nnever = true\n[[cap]]\nzone = 'web'\ncap = '2M'\n"
    "[[cap]]\nzone = 'gone'\ncap = '2M'\n[[cap]]\nzone = '*'\ncap = '1M'\n"
)


def test_an_ambiguous_name_touches_no_other_rule() -> None:
    known = ("db.service", "user@7.service/db", "web.service", "user@7.service/web", "other")
    found, problems = parsed(AMBIGUOUS).judge(known)
    assert {zone: cap.cap_bytes for zone, cap in found.items()} == {"other": MIB}
    assert [problem.partition(" ")[0] for problem in problems] == [
        "c.toml:1:1:",
        "c.toml:4:1:",
        "c.toml:7:1:",
    ]
    assert "'db' can mean db.service or user@7.service/db" in problems[0]
    assert problems[0].endswith("; until then they are left alone")
    assert "no zone is called 'gone'" in problems[2]


def test_judged_as_it_is_where_all_is_right() -> None:
    caps = parsed(AMBIGUOUS)
    known = ("db.service", "web.service", "gone", "other")
    assert caps.judge(known) == (caps.of(known, must_match=True), ())


def test_only_a_rule_of_the_command_line_has_to_be_for_a_zone_at_the_start() -> None:
    known = ("db.service", "user@7.service/db", "web.service")
    file = parsed(AMBIGUOUS)
    file.below(caps_of_words(["web=1M"], size)).demand_arguments(known)
    for word, kind, said in (
        ("wob=1M", UnknownZone, "no zone is called 'wob'"),
        ("nosuch=1M", UnknownZone, "no zone is called 'nosuch'; zonerss show lists the zones"),
        ("db=1M", UsageError, "'db' can mean"),
    ):
        with pytest.raises(kind, match=said):
            file.below(caps_of_words([word], size)).demand_arguments(known)


@pytest.mark.parametrize(
    "words", [["web"], ["=1M"], ["web="], ["web=x"], ["web=-1M"], ["web=0"], ["a=1M", "a=2M"]]
)
def test_words_that_are_no_caps(words: list[str]) -> None:
    with pytest.raises(UsageError, match="cap"):
        caps_of_words(words, size)


@given(st.text())
def test_a_file_is_caps_or_refused_with_its_place(text: str) -> None:
    wrong = None
    try:
        parsed(text)
    except UsageError as err:
        wrong = str(err)
    assert wrong is None or wrong.startswith("c.toml:")


# ---- whose file it is --------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "caps.toml"
    path.write_text(f"{HEAD}cap = '1M'\n")
    path.chmod(0o644)
    return path


def test_a_file_of_ours(file: Path) -> None:
    caps = read_caps(str(file), SPELLING, (0, ME))
    assert caps is not None
    assert caps.rules[0].origin == f"{file}:1:1"
    file.unlink()
    assert read_caps(str(file), SPELLING, (0, ME)) is None


def refused(file: Path, why: str) -> None:
    with pytest.raises(UsageError, match=f"^{file} is not to be used: .*{why}.*root's to set"):
        read_caps(str(file), SPELLING, (0, ME))


@pytest.mark.parametrize(("mode", "who"), [(0o664, "its group"), (0o646, "everybody")])
def test_others_can_write_to_it(file: Path, mode: int, who: str) -> None:
    file.chmod(mode)
    refused(file, f"can be written to by {who}")


def test_it_is_a_link(file: Path) -> None:
    file.rename(file.with_name("other"))
    file.symlink_to("other")
    refused(file, "symbolic link")


def test_somebody_can_put_another_in_its_place(file: Path) -> None:
    file.parent.chmod(0o777)
    refused(file, "can be written to by everybody")
    file.parent.chmod(0o1777)  # sticky, as /tmp is: nobody else can
    assert read_caps(str(file), SPELLING, (0, ME)) is not None


@pytest.mark.skipif(ME != 0, reason="needs root: gives a file away")
def test_it_is_a_strangers(file: Path) -> None:
    os.chown(file, 4242, 4242)
    refused(file, "belongs to the user 4242")
    os.chown(file, 0, 0)
    os.chown(file.parent, 4242, 4242)
    refused(file, "belongs to the user 4242")


def test_it_is_no_file_that_ends(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)
    refused(file, "no regular file")
    file.unlink()
    with file.open("wb") as long:
        long.truncate(2 << 20)
    file.chmod(0o600)
    refused(file, "longer than")


def test_no_text(file: Path) -> None:
    file.write_bytes(b"# a\n# \xff\n")
    with pytest.raises(UsageError, match=f"^{file}:2: no UTF-8"):
        read_caps(str(file), SPELLING, (0, ME))
