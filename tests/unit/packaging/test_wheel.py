"""Of the wheel what takes no build: packaging/wheel/test makes one and tries it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
CONTENTS = PROJECT / "packaging" / "wheel" / "contents"
WHOLE = {
    "zonerss/_core/_lib.abi3.so": "pagetable_open",
    **dict.fromkeys(("zonerss/_core/churn/churn.c", "zonerss/_core/churn/victims.c", "zonerss/py.typed"), ""),
    "zonerss/_core/churn/include/uapi/linux/bpf.h": "",
    **dict.fromkeys(("zonerss/views/html/page.html", "zonerss/vendor/echarts/LICENSE"), ""),
    "zonerss/vendor/echarts/LICENSE-d3": "",
    "zonerss/commit": "0123456789abcdef0123456789abcdef01234567\n",
    "zonerss/__init__.py": "",
    **dict.fromkeys(
        (
            f"zonerss-1.data/data/share/{file}"
            for file in (
                "man/man1/zonerss-show.1",
                "man/man5/zonerss.toml.5",
                "man/man8/zonerss-exporter.8",
                "bash-completion/completions/zonerss",
                "zsh/site-functions/_zonerss",
                "fish/vendor_completions.d/zonerss.fish",
                "zonerss/systemd/zonerss-exporter.service",
            )
        ),
        "",
    ),
    "zonerss-1.dist-info/licenses/LICENSE": "",
    "zonerss-1.dist-info/licenses/packaging/licenses/libbpf.txt": "",
}


MORE = ("zonerss/__init__.py", "zonerss/vendor/echarts/LICENSE-d3")
"""Of these some, but not these alone."""


def check(files: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    with zipfile.ZipFile(directory / "made.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    return subprocess.run(
        [sys.executable, CONTENTS, directory / "made.whl"], capture_output=True, text=True, check=False
    )


def test_a_whole_wheel_is_taken(tmp_path: Path) -> None:
    assert check(WHOLE, tmp_path).returncode == 0


@pytest.mark.parametrize("missing", [name for name in WHOLE if name not in MORE])
def test_a_wheel_that_lacks_something_is_not(missing: str, tmp_path: Path) -> None:
    told = check({name: text for name, text in WHOLE.items() if name != missing}, tmp_path)
    assert told.returncode == 1
    assert told.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("zonerss/_core/census.c", "", "it has zonerss/_core/census.c"),
        ("zonerss/_core/_lib.abi3.so", "pagemap", "without the pagetable source"),
        ("zonerss/_core/_lib.abi3.so", "pagetable_open .debug_info", "debug information"),
        ("zonerss/commit", "main", "its commit is 'main'"),
    ],
)
def test_a_wheel_with_something_wrong_is_not(name: str, content: str, said: str, tmp_path: Path) -> None:
    assert said in check({**WHOLE, name: content}, tmp_path).stderr


@pytest.mark.parametrize("missing", ["CLANG", "BPFTOOL", "headers"])
def test_nothing_is_released_without_the_pagetable_source(missing: str, tmp_path: Path) -> None:
    for part in ("bpf", "collector/zonerss/_core"):
        (tmp_path / part).mkdir(parents=True)
    for file in (PROJECT / "bpf").iterdir():
        if not file.name.startswith("."):
            subprocess.run(["cp", "-r", file, tmp_path / "bpf"], check=True)
    build = tmp_path / "bpf" / "build"
    environment = {**os.environ, missing: "/nonexistent"}
    if missing == "headers":
        (tmp_path / "clang").write_text('#!/bin/sh\nexec clang -nostdinc "$@"\n')
        (tmp_path / "clang").chmod(0o755)
        environment = {**os.environ, "CLANG": str(tmp_path / "clang")}
    assert subprocess.run([build], env=environment, capture_output=True, check=False).returncode == 0
    told = subprocess.run(
        [build], env={**environment, "ZONERSS_RELEASE": "1"}, capture_output=True, text=True, check=False
    )
    assert told.returncode == 1
    assert "nothing is released without the pagetable source" in told.stderr
