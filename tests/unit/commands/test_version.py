"""What --version prints, and where it has the commit from."""

from __future__ import annotations

from pathlib import Path

import pytest

from zonerss import __version__
from zonerss.commands import main, version

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = COMMIT[::-1]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A checkout's package."""
    package = tmp_path / "collector" / "zonerss"
    package.mkdir(parents=True)
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    return package


def git(package: Path, file: str, text: str) -> None:
    (package.parents[1] / ".git" / file).write_text(text)


def test_the_first_line_has_version_and_commit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"zonerss {__version__}, commit {version.commit() or 'unknown'}"
    assert second.startswith("sources of frames: ")
    assert "pagemap" in second


def test_what_is_baked_in_comes_first(package: Path) -> None:
    git(package, "HEAD", f"{OTHER}\n")
    (package / "commit").write_text(f"{COMMIT}+changes\n")
    assert version.commit(package) == f"{COMMIT}+changes"


def test_a_checkout_has_it_from_git(package: Path) -> None:
    git(package, "HEAD", "ref: refs/heads/main\n")
    git(package, "packed-refs", f"# pack-refs\n{OTHER} refs/heads/mainly\n{COMMIT} refs/heads/main\n")
    assert version.commit(package) == COMMIT
    git(package, "refs/heads/main", f"{OTHER}\n")
    assert version.commit(package) == OTHER
    git(package, "HEAD", f"{COMMIT}\n")
    assert version.commit(package) == COMMIT


def test_unknown_is_none(package: Path, tmp_path: Path) -> None:
    assert version.commit(package) is None
    git(package, "HEAD", "ref: refs/heads/main\n")
    assert version.commit(package) is None
    (package / "commit").write_text("whatever\n")
    assert version.commit(package) is None
    assert "commit unknown" in version.version(package)


def test_the_repository_around_an_installation_is_not_asked(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "zonerss"
    package.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(f"{COMMIT}\n")
    assert version.commit(package) is None
