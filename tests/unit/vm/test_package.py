"""vm/package: what it says to those who name no kind, or a directory that cannot be used, before it builds anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
KINDS = "kinds: completions deb image kubernetes man sdist wheel."


def run(*words: str | Path) -> tuple[int, str]:
    """Its status, and the one line that it says."""
    told = subprocess.run([PROJECT / "vm" / "package", *words], capture_output=True, text=True, check=False)
    assert told.stdout == ""
    assert told.stderr.count("\n") == 1, told.stderr
    return told.returncode, told.stderr


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("rpm",),
        ("lib",),
        ("../deb",),
        ("grafana", "test"),
        ("wheel", "a", "b"),
        ("wheel", "test", "a", "b"),
        ("wheel", "--arch", "arm64", "a", "b"),
    ],
)
def test_who_names_no_kind_is_told_of_all(words: tuple[str, ...]) -> None:
    status, said = run(*words)
    assert (status, KINDS in said) == (2, True)


@pytest.mark.parametrize("kind", ["man", "completions"])
def test_a_kind_without_a_test_says_so(kind: str) -> None:
    assert run(kind, "test") == (
        2,
        f"vm/package: there is no test of its own for {kind}: the unit tests hold it to what zonerss says.\n",
    )


@pytest.mark.parametrize("kind", ["man", "completions", "sdist", "kubernetes"])
def test_what_is_the_same_on_each_processor_is_made_for_none(kind: str) -> None:
    assert run(kind, "--arch", "arm64") == (
        2,
        f"vm/package: {kind} is not made for one processor alone: leave out --arch.\n",
    )


def test_a_processor_that_is_not_known() -> None:
    assert run("wheel", "--arch", "riscv64") == (
        2,
        "vm/package: say --arch amd64 or --arch arm64, not 'riscv64'.\n",
    )


def test_each_kind_is_on_the_page() -> None:
    """Those that packaging has are those that it tells, and docs tell."""
    made = sorted(path.parent.name for path in (PROJECT / "packaging").glob("*/build"))
    assert f"kinds: {' '.join(made)}." == KINDS
    page = (PROJECT / "packaging" / "README.md").read_text("utf-8")
    assert all(f"| `{name}/` |" in page for name in made)


@pytest.mark.parametrize("kind", ["wheel", "deb", "image", "kubernetes"])
def test_a_directory_that_cannot_be_made_is_said_first(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory, why in (
        (tmp_path / "file", "File exists"),
        (tmp_path / "file" / "below", "Not a directory"),
    ):
        status, said = run(kind, directory)
        assert (status, said) == (
            1,
            f"vm/package: {directory} cannot be made ({why}): name another directory.\n",
        )


def test_a_directory_that_cannot_be_written_to_is_said_first() -> None:
    """Not even by root."""
    status, said = run("wheel", "/proc")
    assert (status, "nothing can be written to /proc (" in said) == (1, True)
