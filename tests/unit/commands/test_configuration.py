"""The configuration: what is read, what is refused and why, and that the command line wins."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zonerss.commands import VERBS, configuration_file, main, parse
from zonerss.commands.configuration import COMMON, probe, read_configuration
from zonerss.commands.options import RuleFiles, read_rules
from zonerss.commands.parser import verb_parser
from zonerss.commands.serve import _settings
from zonerss.commands.watching import turns
from zonerss.errors import CannotServe, UsageError
from zonerss.kernel.roots import Roots

RULE = "[[rule]]\nmatch = '/a'\nname = 'A'\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that the environment names."""
    path = tmp_path / "zonerss.toml"
    monkeypatch.setenv("ZONERSS_CONFIG", str(path))
    return path


def told(verb: str, *words: str) -> dict[str, Any]:
    return vars(parse(verb, words))


# ---- which file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "variable", "found"),
    [
        ([], "/x", ("/x", True)),
        ([], "", None),
        (["--config", "/y"], "/x", ("/y", True)),
        (["--config=/y"], "", ("/y", True)),
        (["--config", "/y", "--no-config"], "/x", None),
        (["--", "--config", "/y"], "/x", ("/x", True)),
    ],
)
def test_which_file(
    words: list[str], variable: str, found: tuple[str, bool] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZONERSS_CONFIG", variable)
    assert configuration_file(words) == found


def test_the_system_has_one_where_its_directory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZONERSS_CONFIG")
    monkeypatch.setattr("zonerss.commands.CONFIGURATION", str(tmp_path / "etc" / "zonerss.toml"))
    assert configuration_file([]) is None
    (tmp_path / "etc").mkdir()
    assert configuration_file([]) == (str(tmp_path / "etc" / "zonerss.toml"), False)


# ---- what it does ----------------------------------------------------------------------------------------


def test_a_table_for_the_verb_and_common_options(file: Path) -> None:
    file.write_text(
        "by = ['zone', 'user']\npatience = 5\nbytes = true\njson = false\n"
        "[ps]\nsort = '-pid'\nargs = true\nby = 'user'\ncolumns = ['pid', 'rss']\n[top]\ninterval = 3\n"
    )
    show, ps, top = told("show"), told("ps"), told("top")
    assert (show["by"], show["patience"], show["bytes"], show["json"]) == (["zone", "user"], 5.0, True, False)
    assert (ps["by"], ps["sort"], ps["args"], ps["columns"]) == (["user"], "-pid", True, "pid,rss")
    assert top["every"] == 3.0
    assert set(show["configured"]) == {"by", "patience", "bytes"}


def test_the_command_line_wins(file: Path) -> None:
    file.write_text("by = 'user'\npatience = 5\nbytes = true\n[show]\nsort = 'swap'\nzone = 'db'\n")
    show = told("show", "--by", "slice", "--patience", "2", "--sort", "rss", "--bytes", "web")
    assert (show["by"], show["patience"], show["sort"], show["zone"]) == (["slice"], 2.0, "rss", ["web"])
    assert show["configured"] == {}
    assert told("show", "-t")["by"] == ["user"]
    assert told("show", "--no-config")["by"] is None
    assert told("show")["zone"] == ["db"]


def test_options_of_a_configuration_do_not_forbid_those_of_the_command_line(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("[show]\ncolumns = 'rss'\n")
    taken: list[Any] = []
    monkeypatch.setattr("zonerss.commands.show.snapshots", lambda *args, **options: taken.append(options))
    assert main(["--tree"]) == 0
    assert len(taken) == 1


@pytest.mark.parametrize(
    ("text", "words", "json", "other"),
    [
        ("json = true\n", ["show", "--tsv"], False, ("tsv", True)),
        ("json = true\n", ["ps", "--tsv"], False, ("tsv", True)),
        ("json = true\n", ["report", "--markdown"], False, ("markdown", True)),
        ("json = true\n", ["report", "--html", "x"], False, ("html", "x")),
        ("[show]\ntsv = true\n", ["show", "--json"], True, ("tsv", False)),
        ("json = true\n[show]\ntsv = true\n", ["show"], False, ("tsv", True)),
        ("json = true\n[show]\ntsv = true\njson = false\n", ["show"], False, ("tsv", True)),
        ("json = true\n", ["report"], True, ("markdown", False)),
    ],
)
def test_of_options_that_exclude_each_other_the_nearest_holds(
    file: Path, text: str, words: list[str], json: bool, other: tuple[str, object]
) -> None:
    file.write_text(text)
    found = told(*words)
    assert (found["json"], found[other[0]]) == (json, other[1])
    assert ("json" in found["configured"]) == (json and "--json" not in words)


@pytest.mark.parametrize(
    ("text", "words", "by", "basis"),
    [
        ("by = 'user'\n", ["show", "--tree"], ("cgroup",), "mapped"),
        ("[show]\nzone = 'db'\n", ["show", "--tree"], ("cgroup",), "mapped"),
        ("by = ['zone', 'user']\n", ["show", "--tsv"], ("zone",), "mapped"),
        ("by = 'user'\n", ["show", "--tsv"], ("user",), "mapped"),
        ("by = 'user'\nbasis = 'incore'\n", ["show", "--from", "R"], ("zone",), "mapped"),
        ("by = 'depth=2'\n", ["show", "--from", "R"], ("depth=2",), "mapped"),
        ("basis = 'incore'\n", ["show"], ("zone",), "incore"),
        ("[show]\ncount = 3\nat = '-1m'\n", ["show"], ("zone",), "mapped"),
    ],
)
def test_what_does_not_go_with_the_command_line_is_left_out(
    file: Path,
    text: str,
    words: list[str],
    by: tuple[str, ...],
    basis: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def snapshots(args: argparse.Namespace, ways: Sequence[str], show: object, **_: object) -> None:
        asked.append((tuple(ways), args.basis, list(args.zone or ())))
        list(turns(args))

    asked: list[object] = []
    file.write_text(text)
    monkeypatch.setattr("zonerss.commands.show.snapshots", snapshots)
    monkeypatch.setattr("zonerss.commands.show.growth_of", lambda args, way: None)
    assert main(words) == 0
    assert asked == [(by, basis, [])]


@pytest.mark.parametrize(
    "words",
    [
        ["share"],
        ["share", "--by-image"],
        ["files"],
        ["wss"],
        ["explain"],
        ["explain", "--tmpfs"],
        ["whatif", "web"],
        ["web"],
    ],
)
def test_common_options_make_no_verb_unusable(
    file: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one of them takes only one of, or not at all."""
    asked: list[str] = []
    file.write_text("by = ['user', 'slice']\nbasis = 'incore'\n")
    verb = words[0] if words[0] in VERBS else "zone"
    monkeypatch.setattr(
        f"zonerss.commands.{verb}.rounds", lambda args, *_: asked.append(args.basis), raising=True
    )
    assert main(words) == 0
    assert asked == ["mapped"]


@pytest.mark.parametrize(
    ("where", "what", "words"),
    [("report", "read", ["report", "R"]), ("cap_past", "replay", ["cap", "a=1G", "--from", "R"])],
)
@pytest.mark.parametrize("ways", ["'user'", "['zone', 'slice']"])
def test_recordings_are_grouped_as_they_can_be(
    file: Path,
    where: str,
    what: str,
    words: list[str],
    ways: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def read(one: object, other: object, *by: object) -> None:
        raise CannotServe(f"by {by[0] if by[0] == 'zone' else other}")

    recording = SimpleNamespace(moments=lambda *_: ())
    file.write_text(f"by = {ways}\nbasis = 'incore'\n")
    monkeypatch.setattr("zonerss.commands.cap_past.Recording", lambda file: nullcontext(recording))
    monkeypatch.setattr(f"zonerss.commands.{where}.{what}", read)
    assert main(words) == 1
    assert capsys.readouterr().err == "zonerss: by zone\n"


def test_what_is_recorded_is_what_zones_map(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("by = 'user'\nbasis = 'incore'\n")
    settings = _settings(parse("serve", ["--record", "R"]))
    assert (settings.way, settings.basis) == ("zone", "mapped")
    settings = _settings(parse("serve", []))
    assert (settings.way, settings.basis) == ("user", "incore")
    monkeypatch.setattr("zonerss.commands.record.run_command", lambda args, keeper: 0)
    assert main(["record", "--", "true"]) == 0


def test_what_was_typed_is_refused_all_the_same(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("by = 'user'\nbasis = 'incore'\n")
    for words, sentence in (
        (["show", "--tree", "--by", "user"], "--tree shows all cgroups"),
        (["share", "--by-image", "--by", "user"], "no --by but zone"),
        (["explain", "--basis", "incore"], "it takes no --basis"),
        (["show", "--from", "R", "--basis", "incore"], "--from takes no --basis"),
        (["show", "--count", "3"], "--count needs --watch"),
    ):
        assert main(words) == 2
        err = capsys.readouterr().err
        assert sentence in err
        assert str(file) not in err


def test_rules_beside_it_come_after_those_that_are_named(file: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d" / "20.toml").write_text(RULE.replace("A", "20"))
    (tmp_path / "rules.d" / "10.toml").write_text(RULE.replace("A", "10"))
    (tmp_path / "rules.d" / "10.toml~").write_text("not a file of rules")
    (tmp_path / "named").write_text(RULE)
    file.write_text("")
    found = told("show", "--rules", str(tmp_path / "named"))["rules"]
    assert isinstance(found, RuleFiles)
    assert [rule.name for rule in read_rules(found)] == ["A", "10", "20"]
    file.write_text(f"rules = '{tmp_path / 'named'}'\n")
    assert [rule.name for rule in read_rules(told("top")["rules"])] == ["A", "10", "20"]


def test_the_document_names_each_common_option() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "configuration.md").read_text("utf-8")
    listed = text.partition("Before the first table there may be ")[2].partition(":")[0]
    assert tuple(re.findall("`(.+?)`", listed)) == COMMON


def test_each_common_option_is_one_of_several_verbs() -> None:
    options = {verb: set(verb_parser(verb)._option_string_actions) for verb in VERBS}
    for name in COMMON:
        assert sum(f"--{name}" in found for found in options.values()) > 1, name


# ---- what is wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("by = 'user'\nby = ", "2:6", "no valid TOML"),
        ("# x\n  bye = 1\n", "2:3", "there is no common option 'bye'; did you mean by or bytes?"),
        ("interval = 3\n", "1:1", "an option of one verb stands in its table, as below [ps]"),
        ("by = 'user'\n\n[shwo]\n", "3:2", "there is no verb 'shwo'; did you mean show?"),
        ("[show]\nby = 'user'\n sotr = 'rss'\n", "3:2", "there is no option 'sotr'; did you mean sort?"),
        ("[ps]\nsort = 1\n[show]\nlimit = 'many'\n", "4:1", "limit: 'many' is not a whole number"),
        ("patience = 0\n", "1:1", "patience: '0' is no duration from 0.1s to 1h"),
        ("bytes = 1\n", "1:1", "bytes is true or false, not 1"),
        ("[show]\nbytes = 'yes'\n", "2:1", "bytes is true or false, not 'yes'"),
        ("source = true\n", "1:1", "source takes a text or a number, not True"),
        ("by = [[1]]\n", "1:1", "by takes a text or a number, not [1]"),
        ("[show]\nhelp = true\n", "2:1", "there is no option 'help'"),
        ("[show]\nconfig = 'x'\n", "2:1", "there is no option 'config'"),
        ("show.limit = 0\n", "1:6", "limit: '0' is not a whole number"),
        ("show = {limit = 0}\n", "1:9", "limit: '0' is not a whole number"),
        ("show = 1\n", "1:1", "there is no common option 'show'"),
        ("by = 'bogus'\n", "1:1", "by: cannot group by 'bogus'; --by takes one of zone,"),
        ("by = ['user', 'depth=x']\n", "1:1", "by: --by depth=N takes a whole number"),
        ("source = 'x'\n", "1:1", "source: there is no source 'x'; say one of auto, pagetable, pagemap"),
        ("basis = 'x'\n", "1:1", "basis: there is no basis 'x'; say mapped or incore"),
        ("[show]\nsort = 'x'\n", "2:1", "sort: there is no column 'x'"),
        ("[show]\ncolumns = ['zone', 1]\n", "2:1", "columns: there is no column '1'"),
        ("[show]\njson = true\ntsv = true\n", "3:1", "tsv and json exclude each other"),
        ("[show]\nalone = true\n", "2:1", "--alone needs a zone"),
    ],
)
def test_an_error_is_one_line_with_file_line_and_column(
    file: Path, text: str, where: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text)
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"zonerss: {file}:{where}: ")
    assert what in err
    assert err.count("\n") == 1


def test_a_named_file_must_be_there(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert f"there is no file {file}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"\xff", b"a = '" + b"x" * (1 << 20) + b"'"], ids=["no UTF-8", "too long"]
)
def test_what_is_no_text_of_ours(file: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(content)
    assert main([]) == 2
    assert str(file) in capsys.readouterr().err


def test_a_wrong_rule_is_said_with_its_place(file: Path, tmp_path: Path) -> None:
    file.write_text("")
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d" / "a.toml").write_text("[[rule]]\nmatch = '('\nname = 'A'\n")
    with pytest.raises(UsageError, match=r"rules\.d/a\.toml:2:"):
        read_rules(told("show")["rules"])


# ---- whose it is -----------------------------------------------------------------------------------------


@pytest.fixture
def system(tmp_path: Path) -> Roots:
    """A recorded system with a configuration."""
    etc = tmp_path / "etc/zonerss"
    (etc / "rules.d").mkdir(parents=True)
    (etc / "zonerss.toml").write_text("by = 'user'\n")
    (etc / "rules.d/a.toml").write_text(RULE)
    return Roots(host=tmp_path)


def of_system(roots: Roots) -> Any:
    return read_configuration("/etc/zonerss/zonerss.toml", False, VERBS, roots)


def test_the_system_s(system: Roots) -> None:
    found = of_system(system)
    assert found.files == ("/etc/zonerss/zonerss.toml", "/etc/zonerss/rules.d/a.toml")
    assert [(option.name, option.value, option.line) for option in found.options] == [("by", "user", 1)]


def test_the_system_s_need_not_be_there(system: Roots) -> None:
    (system.host / "etc/zonerss/zonerss.toml").unlink()
    assert of_system(system).files == ("/etc/zonerss/rules.d/a.toml",)
    (system.host / "etc").rename(system.host / "other")
    assert of_system(system).files == ()


@pytest.mark.parametrize(
    "path",
    [
        "etc",
        "etc/zonerss",
        "etc/zonerss/zonerss.toml",
        "etc/zonerss/rules.d",
        "etc/zonerss/rules.d/a.toml",
        "",
    ],
)
@pytest.mark.parametrize(("mode", "who"), [(0o020, "its group"), (0o002, "everybody")])
def test_what_others_can_write_to_is_refused(system: Roots, path: str, mode: int, who: str) -> None:
    place = system.host / path
    place.chmod(place.stat().st_mode | mode)
    with pytest.raises(UsageError) as caught:
        of_system(system)
    assert f"{place} can be written to by {who}; mend that, or say --no-config" in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives a file away")
@pytest.mark.parametrize("path", ["etc/zonerss", "etc/zonerss/zonerss.toml", "etc/zonerss/rules.d/a.toml"])
def test_what_is_another_s_is_refused(system: Roots, path: str) -> None:
    os.chown(system.host / path, 4242, 4242)
    with pytest.raises(UsageError, match=f"{path} belongs to the user 4242"):
        of_system(system)


def test_links_of_root_s_own_are_followed_and_judged_where_they_lead(system: Roots) -> None:
    etc = system.host / "etc"
    (etc / "zonerss").rename(system.host / "store")
    (etc / "zonerss").symlink_to("../store")
    assert len(of_system(system).files) == 2
    (system.host / "store").chmod(0o777)
    with pytest.raises(UsageError, match="store can be written to by everybody"):
        of_system(system)


def test_a_pipe_is_not_waited_for(system: Roots) -> None:
    path = system.host / "etc/zonerss/zonerss.toml"
    path.unlink()
    os.mkfifo(path, 0o644)
    with pytest.raises(UsageError, match="it is no regular file"):
        of_system(system)


# ---- check -----------------------------------------------------------------------------------------------


def test_check_says_what_is_in_force_and_from_where(file: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d" / "a.toml").write_text(RULE * 2)
    file.write_text("by = 'user'\n\n[top]\ninterval = 3\n")
    found = probe((str(file), True), VERBS, verb_parser)
    assert found.serves
    assert [fact.text for fact in found.facts] == [
        f"by = 'user' ({file}:1)",
        f"top: interval = 3 ({file}:4)",
        f"2 rules ({tmp_path / 'rules.d' / 'a.toml'})",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "[top]\ninterval = 0\n",
        "patience = 0\n",
        "[ps]\nnonsense = 1\n",
        "x",
        "by = 'bogus'\n",
        "[files]\nsource = 'x'\n",
        "[top]\nsort = 'x'\n",
        "[report]\nby = 'bogus'\n",
        "[ps]\njson = true\ntsv = true\n",
    ],
)
def test_check_finds_what_is_wrong_for_any_verb(file: Path, text: str) -> None:
    file.write_text(text)
    found = probe((str(file), True), VERBS, verb_parser)
    assert not found.serves
    assert found.facts[0].text.startswith(f"{file}:")


def test_no_configuration(system: Roots) -> None:
    assert probe(None, VERBS, verb_parser).serves
