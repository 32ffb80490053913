"""The command line: exit status, one line on stderr, nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zonerss.commands
from zonerss.commands import PAGE, VERBS, main, parse, split_verb
from zonerss.commands.parser import overview, verb_parser
from zonerss.errors import CannotServe, UnknownZone, UsageError, ZonerssError, nearest

PROJECT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "words",
    [
        ["--nonsense"],
        ["shwo"],
        ["--json", "--tsv"],
        ["-o", "beauty"],
        ["-o", ""],
        ["ps", "-o", "beauty"],
        ["files", "--sort", "-beauty"],
        ["--limit", "0"],
        ["--limit", "many"],
        ["--sort", "beauty"],
        ["--by", "moon"],
        ["--by", "depth=-1"],
        ["--alone"],
        ["frames"],
        ["frames", "-1"],
        ["show", "--zone"],
    ],
)
def test_wrong_usage_is_one_line_and_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid():
        pytest.skip("needs root: without it that is said first")
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zonerss: ")
    assert err.count("\n") == 1


def test_could_not_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise CannotServe("no\x1b[2J way:\nnone")

    monkeypatch.setattr("zonerss.commands.show.snapshots", refuse)
    assert main([]) == 1
    assert capsys.readouterr() == ("", "zonerss: no\\x1b[2J way:\\x0anone\n")


def test_every_error_has_a_status() -> None:
    statuses = {ZonerssError.exit_status, *(cls.exit_status for cls in ZonerssError.__subclasses__())}
    assert statuses == {1, 2}


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_asking_about_the_command(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([word])
    assert caught.value.code == 0
    assert "zonerss" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_one_word_names_the_verb_its_module_its_page_and_its_test(verb: str) -> None:
    assert (PROJECT / "collector" / "zonerss" / "commands" / f"{verb}.py").exists()
    assert verb == "help" or (PROJECT / "docs" / f"{verb}.md").exists()  # help prints docs/glossary.md
    assert list((PROJECT / "tests").rglob(f"test_{verb}.py"))
    assert import_module(f"zonerss.commands.{verb}").__doc__
    assert zonerss.commands.VERBS[verb]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], ("show", [])),
        (["--by", "user"], ("show", ["--by", "user"])),
        (["--", "-.slice"], ("show", ["--", "-.slice"])),
        (["ps", "7"], ("ps", ["7"])),
        (["web", "--json"], (PAGE, ["web", "--json"])),
        (["--version"], (None, [])),
        (["-h", "ps"], (None, [])),
    ],
)
def test_the_verb_of_a_command(words: list[str], found: tuple[str | None, list[str]]) -> None:
    assert split_verb(words) == found


@pytest.mark.parametrize(
    "words", [["web", "--json", "db"], ["web", "db", "--json"], ["--json", "--zone", "web", "db"]]
)
def test_zones_may_stand_anywhere_among_the_options(words: list[str]) -> None:
    args = parse("show", words)
    assert (sorted(args.zone), args.json) == (["db", "web"], True)


def test_a_column_may_begin_with_a_minus() -> None:
    assert parse("show", ["--sort", "-rss"]).sort == "-rss"
    assert parse("show", ["--sort=-rss"]).sort == "-rss"
    with pytest.raises(UsageError, match="expected one argument"):
        parse("show", ["--sort", "--json"])


def test_a_mistyped_option_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unrecognized arguments: --jsno; did you mean --json"):
        parse("show", ["--jsno"])
    with pytest.raises(UsageError, match=r"unrecognized arguments: -x; see `zonerss show --help`"):
        parse("show", ["-x"])
    with pytest.raises(UsageError, match="unrecognized arguments: extra"):
        parse("frames", ["1", "extra"])


def unknown(*_: object, **__: object) -> None:
    raise UnknownZone("no process of this host is in a zone 'shwo'; did you mean /shop?", "shwo", ["/shop"])


def test_what_is_neither_verb_nor_zone_gets_the_nearest_of_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(f"zonerss.commands.{PAGE}.run", unknown)
    assert main(["shwo"]) == 2
    assert capsys.readouterr() == (
        "",
        "zonerss: 'shwo' is neither a verb nor a zone of this host; did you mean `zonerss show` or /shop?\n",
    )
    assert main([PAGE, "shwo"]) == 1
    assert "no process of this host is in a zone 'shwo'" in capsys.readouterr().err


def test_a_zone_that_is_like_no_verb_is_a_zone_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*_: object) -> None:
        raise UnknownZone("no such zone", "postgresql")

    monkeypatch.setattr(f"zonerss.commands.{PAGE}.run", gone)
    assert main(["postgresql"]) == 1
    assert "neither a verb nor a zone of this host; `zonerss show` lists" in capsys.readouterr().err


def test_the_help_of_a_command_says_where_words_are_explained() -> None:
    for verb in VERBS:
        assert "`zonerss help words`" in verb_parser(verb).format_help()
    assert "`zonerss help words`" in overview().format_help()


@given(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=8))
def test_the_nearest_words_are_among_the_known(word: str, known: list[str]) -> None:
    found = nearest(word, known)
    assert len(found) <= 3
    assert set(found) <= set(known)
    assert not known or word not in known or found[0] == word or not word


def test_names_of_any_length_and_number_are_not_all_compared() -> None:
    assert nearest("a" * 5000, ["a" * 6000]) == ["a" * 6000]
    assert nearest("b", ["a"] * 3000 + ["b"]) == []


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help_is_as_wide_as_the_terminal(
    verb: str | None, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit):
        main([*([verb] if verb else []), "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert max(map(len, lines)) <= columns


_INTERRUPTED = """
import os, signal, types
import zonerss.__main__, zonerss.commands

def prepare(parser):
    {while_it_is_prepared}

def run(args):
    try:
        {while_it_runs}
    finally:
        print("cleaned up", flush=True)

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

def wrapped():
    try:
        interrupt()
    except KeyboardInterrupt as err:
        raise RuntimeError("Error calling __set_name__") from err

zonerss.commands.import_module = lambda name: types.SimpleNamespace(__doc__="", prepare=prepare, run=run)
zonerss.__main__.run()
"""


@pytest.mark.parametrize(
    ("prepared", "runs", "printed"),
    [
        ("interrupt()", "pass", b""),
        ("pass", "interrupt()", b"cleaned up\n"),
        ("pass", "wrapped()", b"cleaned up\n"),
    ],
)
def test_an_interrupt_ends_it_by_the_signal_without_a_word(prepared: str, runs: str, printed: bytes) -> None:
    """While a verb is imported, while it runs, and in an import of its own, where Python 3.11 wraps it."""
    script = _INTERRUPTED.format(while_it_is_prepared=prepared, while_it_runs=runs)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, cwd=PROJECT)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, printed, b"")


def test_an_interrupt_of_the_first_import_ends_it_without_a_word() -> None:
    script = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "zonerss.commands":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from zonerss.__main__ import run
run()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, cwd=PROJECT)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


_PRINTS = """
import os, sys, types
import zonerss.commands

def run(args):
    with open("/dev/null") as file:
        print(file.fileno() > 2, sys.stderr.isatty())
    print("a message", file=sys.stderr)
    return 0

zonerss.commands.import_module = lambda name: types.SimpleNamespace(__doc__="", prepare=lambda parser: None, run=run)
sys.exit(zonerss.commands.main([]))
"""


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", "<&-"])
def test_with_closed_files_messages_are_not_among_the_data(closed: str) -> None:
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, _PRINTS]
    done = subprocess.run(command, capture_output=True, check=False, cwd=PROJECT)
    assert (done.returncode, done.stdout) == (0, b"True False\n")


def test_an_interrupt_that_was_ignored_stays_ignored() -> None:
    script = _INTERRUPTED.format(while_it_is_prepared="interrupt()", while_it_runs="interrupt(); return 0")
    command = ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, script]
    done = subprocess.run(command, capture_output=True, check=False, cwd=PROJECT)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"cleaned up\n", b"")


@pytest.mark.parametrize(
    "words",
    [["show", "--from"], ["report"], ["export"], ["autopsy"], ["record", "-o"], ["cap", "a=1M", "--from"]],
)
def test_the_empty_name_of_a_recording_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, ""]) == 2
    assert capsys.readouterr().err == "zonerss: the name of the recording is empty: name a file\n"
