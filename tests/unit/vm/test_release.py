"""vm/release: what tells a version tells the same one; each way to disagree is said."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def release():
    loader = SourceFileLoader("vm_release", str(PROJECT / "vm" / "release"))
    module = module_from_spec(spec_from_loader("vm_release", loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout that can be released."""
    files = {
        "collector/zonerss/__init__.py": '__version__ = "1.2.3"\n',
        "CHANGELOG.md": "# Changelog\n\n## [1.2.3] - 2026-12-01\n\n## [1.2.2] - 2026-11-01\n",
        "README.md": "dist/zonerss-1.2.3.tar.gz\n",
        "docs/install.md": "zonerss_1.2.3_amd64.deb, Python 3.11.2\n",
        "packaging/deb/build": "sed collector/zonerss/__init__.py\n",
        "packaging/kubernetes/kustomization.yaml": "newTag: 1.2.3\n",
        "packaging/man/build": '#!/bin/sh\necho \'.TH ZONERSS 1 2026-12-01 "zonerss 1.2.3"\' >"$1/zonerss.1"\n',
        ".venv/bin/zonerss": "#!/bin/sh\necho zonerss 1.2.3, commit $(git rev-parse HEAD)\n"
        "echo sources of frames: pagetable, pagemap\n",
        ".gitignore": ".venv\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(project: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=project, check=True)


def commit(project: Path) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "a")


def all_errors(release, project: Path) -> Iterator[str]:
    version = release.code_version(project)
    checks: list[Callable[[Path, str], Iterator[str]]] = [
        getattr(release, f"{name}_errors")
        for name in ("changelog", "named", "debian", "git", "program", "page")
    ]
    for check in checks:
        yield from check(project, version)


def test_where_all_agree_nothing_is_said(release, project: Path) -> None:
    assert list(all_errors(release, project)) == []


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("CHANGELOG.md", "## [1.2.2] - 2026-11-01\n", "the newest section of CHANGELOG.md is 1.2.2"),
        ("CHANGELOG.md", "## [1.2.3] - unreleased\n", "CHANGELOG.md says that 1.2.3 is unreleased"),
        (
            "CHANGELOG.md",
            "## [Unreleased]\n\n### Fixed\n\n- all\n\n## [1.2.3] - 2026-11-01\n",
            "CHANGELOG.md has changes that are Unreleased: they belong to 1.2.3",
        ),
        ("CHANGELOG.md", "nothing\n", "the newest section of CHANGELOG.md is missing"),
        ("docs/install.md", "\n\nzonerss_1.2.2_amd64.deb\n", "docs/install.md:3 names version 1.2.2"),
        ("packaging/kubernetes/kustomization.yaml", "newTag: 1.2.4\n", "names version 1.2.4"),
        ("packaging/deb/debian/changelog", "zonerss (1.2.2) bookworm;\n", "changelog begins with 1.2.2"),
        ("packaging/deb/build", "nothing\n", "packaging/deb/build does not take the version"),
        (".venv/bin/zonerss", "#!/bin/sh\necho zonerss 1.2.2\n", "zonerss --version says ['zonerss 1.2.2']"),
        (
            ".venv/bin/zonerss",
            "#!/bin/sh\necho zonerss 1.2.3, commit $(git rev-parse HEAD)\necho 'sources of frames: pagemap'\n",
            "without the pagetable source",
        ),
        (
            "packaging/man/build",
            '#!/bin/sh\necho \'.TH Z 1 d "zonerss 1.2.2"\' >"$1/a.1"\n',
            "a.1 does not say",
        ),
        ("packaging/man/build", "#!/bin/sh\n", "makes no page"),
    ],
)
def test_who_disagrees_is_named(release, project: Path, file: str, text: str, said: str) -> None:
    path = project / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    if not file.startswith(".venv"):
        commit(project)
    (told,) = all_errors(release, project)
    assert said in told


def test_a_change_that_is_not_committed_is_said(release, project: Path) -> None:
    (project / "new").touch()
    (told,) = all_errors(release, project)
    assert "?? new among them" in told


def test_a_version_that_was_released_is_said(release, project: Path) -> None:
    git(project, "tag", "v1.2.3")
    (told,) = all_errors(release, project)
    assert told == "the tag v1.2.3 is there already: this version has been released."


def test_the_pages_of_this_checkout_agree(release) -> None:
    version = release.code_version(PROJECT)
    assert list(release.named_errors(PROJECT, version)) == []
    assert list(release.debian_errors(PROJECT, version)) == []
    assert f"## [{version}] - " in (PROJECT / "CHANGELOG.md").read_text()
