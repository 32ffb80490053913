"""Who may know what: kernel interfaces are spelled in kernel/ and walk/ and the core, views never read the kernel."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "collector" / "zonerss"
MODULES = sorted(PACKAGE.rglob("*.py"))
PURE = tuple(
    str(path.relative_to(PACKAGE))
    for path in MODULES
    if path.relative_to(PACKAGE).parts[0]
    in ("records", "units.py", "errors.py", "flight.py", "census", "zones", "answers")
    and path.name != "account.py"
)


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return names


def strings(path: Path) -> list[str]:
    """String constants that are no docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    documentation = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    ]


@pytest.mark.parametrize("name", PURE)
def test_arithmetic_and_records_are_pure(name: str) -> None:
    assert not {
        i for i in imports(PACKAGE / name) if i.startswith(("zonerss.kernel", "zonerss.walk", "subprocess"))
    }


@pytest.mark.parametrize("path", sorted((PACKAGE / "views").rglob("*.py")), ids=lambda p: p.name)
def test_views_never_read_the_kernel(path: Path) -> None:
    assert not {i for i in imports(path) if i.startswith(("zonerss.kernel", "zonerss.walk"))}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_kernel_modules_open_kernel_files(path: Path) -> None:
    if any(path.is_relative_to(PACKAGE / room) for room in ("kernel", "walk", "motion")):
        return
    opened = re.compile(r"^/(proc|sys|dev)(/[\w./*-]*)?$")  # a path to open, not a sentence that mentions one
    assert [text for text in strings(path) if opened.match(text)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_shell(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "shell=True" not in text
    assert "os.system" not in text
