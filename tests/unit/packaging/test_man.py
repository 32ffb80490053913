"""The man pages say what --help says, and man(1) has nothing to warn of."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zonerss import __version__
from zonerss.commands import VERBS
from zonerss.commands.parser import verb_parser

PACKAGING = Path(__file__).resolve().parents[3] / "packaging"
OTHERS = {"zonerss.1", "zonerss.toml.5", "zonerss-exporter.8"}


def make(kind: str, script: str, directory: Path, **environment: str) -> Path:
    """What packaging/KIND/build makes, by its Python script: no provisioning while tests run."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGING / "lib"), **environment}
    subprocess.run([sys.executable, PACKAGING / kind / script, directory], check=True, env=environment)
    return directory


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("man", "pages.py", tmp_path_factory.mktemp("man"), SOURCE_DATE_EPOCH="1780000000")


def plain(text: str) -> str:
    """Roff without fonts and escapes, on one line."""
    text = re.sub(r"\\f[BIR]", "", text).replace(r"\(aq", "'").replace(r"\(ga", "`")
    text = text.replace(r"\-", "-").replace(r"\&", "").replace(r"\e", "\\").replace(r"\(en", "–")
    return " ".join(text.split())


def test_there_is_a_page_for_each_verb_and_three_more(pages: Path) -> None:
    assert {page.name for page in pages.iterdir()} == {f"zonerss-{verb}.1" for verb in VERBS} | OTHERS


@pytest.mark.parametrize("verb", VERBS)
def test_a_page_has_each_argument_with_its_help(pages: Path, verb: str) -> None:
    text = (pages / f"zonerss-{verb}.1").read_text()
    parser = verb_parser(verb)
    told = plain(text)
    assert f"zonerss-{verb} - {VERBS[verb]}" in told
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            assert not any(name in told for name in action.option_strings)
            continue
        for name in action.option_strings:
            assert re.search(rf"^\\fB{re.escape(name)}\\fR", text.replace(r"\-", "-"), re.M) or (
                f", \\fB{name}\\fR" in text.replace(r"\-", "-")
            ), name
        help = (parser._get_formatter()._expand_help(action) if action.help else "").replace("`", "")
        assert " ".join(help.split()) in told
    for paragraph in (parser.description or "").split("\n\n"):
        assert " ".join(paragraph.replace("`", "").split()) in told.replace("`", "")


def test_the_page_of_the_program_lists_the_verbs(pages: Path) -> None:
    told = plain((pages / "zonerss.1").read_text())
    for verb, summary in VERBS.items():
        assert f"zonerss-{verb}(1) {summary}" in told


def test_the_page_of_the_configuration_lists_the_keys_of_each_verb(pages: Path) -> None:
    told = plain((pages / "zonerss.toml.5").read_text().partition(".SH TABLES")[2])
    for verb in VERBS:
        table = re.search(rf"\[{verb}\] ([^\[]*)", told.partition(".SH")[0])
        options = {
            name.removeprefix("--")
            for name in verb_parser(verb)._option_string_actions
            if name.startswith("--")
        }
        options -= {"help", "config", "no-config"}
        assert set(re.split('[, "]+', table[1]) if table else ()) >= options


def test_the_head_of_a_page_has_the_version_and_the_date_of_the_source(pages: Path) -> None:
    for page in pages.iterdir():
        head = next(line for line in page.read_text().splitlines() if line.startswith(".TH"))
        assert (
            plain(head)
            == f'.TH {page.stem.upper()} {page.suffix[1:]} 2026-05-28 "zonerss {__version__}" "zonerss manual"'
        )


def test_pages_are_the_same_each_time(pages: Path, tmp_path: Path) -> None:
    again = make("man", "pages.py", tmp_path, SOURCE_DATE_EPOCH="1780000000")
    for page in pages.iterdir():
        assert page.read_bytes() == (again / page.name).read_bytes()


@pytest.mark.parametrize("width", ["60", "100"])
def test_man_formats_each_page_without_a_warning(pages: Path, width: str) -> None:
    if not shutil.which("groff"):
        assert os.environ.get("ZONERSS_LIVE") != "require", "groff is missing: vm/provision test installs it"
        pytest.skip("groff is not installed: vm/provision test installs it")
    for page in sorted(pages.iterdir()):
        told = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", f"-rLL={width}n", page],
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stderr == "", page.name
        assert page.stem.upper() in told.stdout
