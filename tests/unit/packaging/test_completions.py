"""Completion by shells: every verb and option of the parsers is there, and a real shell completes with it."""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.unit.packaging.test_man import make

from zonerss.commands import VERBS
from zonerss.commands.parser import verb_parser

HOSTILE = "$(touch pwned)`touch pwned`;touch pwned"
ZONES = ["web.service", "web-cache.service", "docker:db", "/lab/shop", HOSTILE]
"""What the program names that stands for zonerss in these tests."""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("completions", "scripts.py", tmp_path_factory.mktemp("completions"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with some files, and a zonerss that knows the names of zones only."""
    program = tmp_path / "bin" / "zonerss"
    program.parent.mkdir()
    (tmp_path / "names").write_text("".join(f"{zone}\n" for zone in ZONES))
    program.write_text(f"#!/bin/sh\n[ \"$*\" = --names ] && cat '{tmp_path}/names'\necho no zonerss >&2\n")
    program.chmod(0o755)
    (tmp_path / "my rules.toml").touch()
    (tmp_path / "week.zrss").touch()
    return tmp_path


def options(verb: str) -> set[str]:
    """Of a verb, as its --help lists them."""
    return {
        name
        for action in verb_parser(verb)._actions
        if action.help != argparse.SUPPRESS
        for name in action.option_strings
    }


def in_shell(shell: str, script: str, *arguments: str, place: Path, source: Path) -> str:
    """What a shell prints that runs a script; needs the shell."""
    if not shutil.which(shell):
        assert os.environ.get("ZONERSS_LIVE") != "require", (
            f"{shell} is missing: vm/provision test installs it"
        )
        pytest.skip(f"{shell} is not installed: vm/provision test installs it")
    environment = {
        **os.environ,
        "PATH": f"{place}/bin:{os.environ['PATH']}",
        "SOURCE": str(source),
        "HOME": str(place),
        "LC_ALL": "C.UTF-8",
    }
    told = subprocess.run(
        [shell, *arguments, script], capture_output=True, text=True, check=False, cwd=place, env=environment
    )
    assert told.stderr == ""
    assert not (place / "pwned").exists(), "the name of a zone was executed"
    return told.stdout


# ---- bash ------------------------------------------------------------------------------------------------

BASH = r"""
compopt() { :; }
source "$SOURCE/zonerss"
COMP_LINE=$LINE COMP_POINT=${#LINE}
# As readline cuts a line: at blanks, and at each = and : besides.
read -ra COMP_WORDS <<<"$(sed -E 's/([=:])/ \1 /g' <<<"$LINE")"
[[ $LINE != *[[:space:]] ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_zonerss
printf '%s\n' "${COMPREPLY[@]}"
"""


def bash(line: str, place: Path, scripts: Path) -> list[str]:
    """What bash's completion replies for a line with the cursor at its end."""
    told = in_shell("bash", f"LINE={_quoted(line)}\n{BASH}", "--norc", "-c", place=place, source=scripts)
    return [reply for reply in told.splitlines() if reply]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


def test_bash_has_every_option_of_every_verb(place: Path, scripts: Path) -> None:
    script = 'source "$SOURCE/zonerss"; for v in "${!_zonerss_options[@]}"; do echo "$v ${_zonerss_options[$v]}"; done'
    told = in_shell("bash", script, "--norc", "-c", place=place, source=scripts)
    listed = {words[0]: set(words[1:]) for words in map(str.split, told.splitlines())}
    assert listed == {verb: options(verb) for verb in VERBS}


@pytest.mark.parametrize(
    ("line", "replies"),
    [
        ("zonerss wh", ["whatif"]),
        ("zonerss web", ["web.service", "web-cache.service"]),
        ("zonerss --so", ["--source", "--sort"]),
        ("zonerss --vers", ["--version"]),
        ("zonerss --source page", ["pagetable", "pagemap"]),
        ("zonerss --source=pagem", ["pagemap"]),
        ("zonerss show --basis ", ["mapped", "incore"]),
        ("zonerss ps --by dep", ["depth="]),
        ("zonerss --by=zone/e", ["zone/euser"]),
        ("zonerss show -o rss,excl", ["rss,exclusive"]),
        ("zonerss show -o +charg", ["+charged"]),
        ("zonerss --rules my", ["my rules.toml"]),
        ("zonerss --from=week", ["week.zrss"]),
        ("zonerss report ", ["bin", "my rules.toml", "names", "week.zrss"]),
        ("zonerss share web.service web-", ["web-cache.service"]),
        ("zonerss show docker:d", ["db"]),  # readline has cut the word at the colon
        ("zonerss web.service --c", ["--cap", "--color", "--count", "--config"]),
        ("zonerss cap /la", ["/lab/shop="]),
        ("zonerss cap /lab/shop=4", []),
        ("zonerss wss --method ", ["cold", "clear_refs"]),
        ("zonerss schema snap", ["snapshot"]),
        ("zonerss help whati", ["whatif"]),
        ("zonerss record -- basenam", ["basename"]),
        ("zonerss record -- cat week", ["week.zrss"]),
        ("zonerss top --patience ", []),
        ("zonerss show $", [r"\$\(touch\ pwned\)\`touch\ pwned\`\;touch\ pwned"]),
    ],
)
def test_bash_completes(line: str, replies: list[str], place: Path, scripts: Path) -> None:
    assert sorted(set(bash(line, place, scripts))) == sorted(replies)  # a command may be in two directories


def test_bash_says_nothing_where_zonerss_fails(place: Path, scripts: Path) -> None:
    (place / "names").unlink()
    assert bash("zonerss share ", place, scripts) == []


def test_an_interactive_bash_completes(place: Path, scripts: Path) -> None:
    """With readline, at a terminal: what is typed and what becomes of it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place)
        os.environ.update(
            PATH=f"{place}/bin:{os.environ['PATH']}", PS1="> ", TERM="dumb", INPUTRC="/dev/null"
        )
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    try:
        os.write(terminal, f"set -f; source {scripts}/zonerss; echo re''ady\n".encode())
        _until(terminal, rb"ready\r\n")
        os.write(terminal, b"echo() { printf '<%s>' \"$@\"; printf '\\n'; }; complete -F _zonerss echo\n")
        os.write(terminal, b'zonerss() { if [[ $* == --names ]]; then cat names; else echo "$@"; fi; }\n')
        os.write(terminal, b"zonerss wha\tdocker:\t --source=pagem\t --rules my\t\n")
        told = _until(terminal, rb"<whatif>.*\r\n")
        assert b"<whatif><docker:db><--source=pagemap><--rules><my rules.toml>" in told
    finally:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert not (place / "pwned").exists()


def _until(terminal: int, pattern: bytes) -> bytes:
    told = b""
    while not re.search(pattern, told):
        if not select.select([terminal], [], [], 60)[0]:
            pytest.fail(f"bash went silent after {told!r}")
        told += os.read(terminal, 4096)
    return told


# ---- zsh and fish ----------------------------------------------------------------------------------------


def test_zsh_reads_it_and_it_has_every_option(place: Path, scripts: Path) -> None:
    in_shell("zsh", str(scripts / "_zonerss"), "-f", "-n", place=place, source=scripts)
    text = (scripts / "_zonerss").read_text()
    functions = dict(re.findall(r"^_zonerss_verb_(\w+)\(\) \{\n(.*?)^\}", text, re.M | re.S))
    assert set(functions) == set(VERBS)
    for verb, body in functions.items():
        assert set(re.findall(r"'\*(--?[\w.-]+)=?\[", body)) == options(verb)


def fish(line: str, place: Path, scripts: Path) -> list[str]:
    """What fish offers for a line, without descriptions."""
    script = f'source "$SOURCE/zonerss.fish"; complete -C {_quoted(line)}'
    told = in_shell("fish", script, "--no-config", "-c", place=place, source=scripts)
    return [offer.partition("\t")[0] for offer in told.splitlines()]


def test_fish_offers_every_option_of_a_verb(place: Path, scripts: Path) -> None:
    each = 'complete -C "zonerss $v --" | sed "s/^/$v /"'
    script = f'source "$SOURCE/zonerss.fish"; for v in {" ".join(VERBS)}; {each}; end'
    told = in_shell("fish", script, "--no-config", "-c", place=place, source=scripts)
    offers = {tuple(line.partition("\t")[0].split()) for line in told.splitlines()}
    assert offers == {(verb, name) for verb in VERBS for name in options(verb) if name.startswith("--")}


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("zonerss wh", ["whatif"]),
        ("zonerss web", ["web-cache.service", "web.service"]),
        ("zonerss --vers", ["--version"]),
        ("zonerss --source pagem", ["pagemap"]),
        ("zonerss --source=pagem", ["--source=pagemap"]),
        ("zonerss show -o rss,excl", ["rss,exclusive"]),
        ("zonerss --from week", ["week.zrss"]),
        ("zonerss web.service --ca", ["--cap"]),
        ("zonerss cap /la", ["/lab/shop="]),
        ("zonerss wss --method c", ["cold", "clear_refs"]),
        ("zonerss top --patience ", []),
    ],
)
def test_fish_completes(line: str, offers: list[str], place: Path, scripts: Path) -> None:
    assert sorted(fish(line, place, scripts)) == sorted(offers)
