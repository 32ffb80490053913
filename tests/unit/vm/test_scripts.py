"""What holds for every script under vm/: lint, wording, and what is said to those who use it wrongly."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


def files() -> list[Path]:
    """Every file of ours under vm/; the images are none."""
    tops = [path for path in (PROJECT / "vm").iterdir() if path.name not in ("out", "__pycache__")]
    return [path for top in tops for path in (top, *top.rglob("*")) if path.is_file()]


def scripts() -> list[Path]:
    """Every file of ours that a shell reads."""
    others = (*(PROJECT / "tests/benchmarks").iterdir(), *(PROJECT / "packaging").rglob("*"))
    return sorted(
        path
        for path in (*files(), PROJECT / ".ci/run", *others)
        if path.is_file() and re.match(r"#!/bin/(ba)?sh|# shellcheck shell=", first_line(path))
    )


def first_line(path: Path) -> str:
    with path.open(errors="replace") as file:
        return file.readline()


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def test_there_are_scripts() -> None:
    assert {"vm/host", "vm/guest", "vm/container", "vm/provision", ".ci/run"} <= set(map(name_of, scripts()))


@pytest.mark.parametrize("script", scripts(), ids=name_of)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    if not shutil.which("shellcheck"):
        assert os.environ.get("ZONERSS_LIVE") != "require", (
            "shellcheck is missing: vm/provision test installs it"
        )
        pytest.skip("shellcheck is not installed: vm/provision test installs it")
    told = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert told.stdout == ""


@pytest.mark.parametrize("script", scripts(), ids=name_of)
def test_bash_stops_at_the_first_error(script: Path) -> None:
    # PID 1 and what it runs must go on to the power off, whatever fails; a library is its reader's.
    if first_line(script) == "#!/bin/bash\n" and script.parent.name != "init":
        assert "\nset -euo pipefail\n" in script.read_text()


def test_no_package_archive_is_named() -> None:
    """The image comes from the machine's own apt sources."""
    for path in files():
        assert not re.search(r"(https?|ftp)://", path.read_text()), path


def test_package_lists_are_sorted_and_name_each_package_once() -> None:
    for path in (PROJECT / "vm/packages").iterdir():
        names = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert names == sorted(set(names)), path
        assert path.read_text().startswith("# "), f"{path} does not say what it is for"


def run(*command: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=PROJECT, stdin=subprocess.DEVNULL, **options
    )


@pytest.mark.parametrize("place", ["host", "guest", "container"])
@pytest.mark.parametrize("words", [[], ["walk"]])
def test_a_wrong_word_is_one_sentence(place: str, words: list[str]) -> None:
    answer = run(f"vm/{place}", *words)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"vm/{place}: say ")
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize("place", ["host", "guest", "container"])
@pytest.mark.parametrize("word", ["run", "test"])
def test_who_is_not_root_is_told_so(place: str, word: str) -> None:
    nobody = {"user": 65534, "group": 65534, "extra_groups": ()} if os.geteuid() == 0 else {}
    try:
        answer = run(f"vm/{place}", word, **nobody)
    except PermissionError:
        pytest.skip("the checkout cannot be read by others")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == f"vm/{place}: this needs root: run it again as 'sudo vm/{place} ...'.\n"


def test_provision_knows_two_words() -> None:
    answer = run("vm/provision", "everything")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "vm/provision: say 'run' or 'test', not 'everything'.\n"
