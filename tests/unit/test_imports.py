"""The rooms of the package and the way through them: drawn from the imports, checked rule by rule.

An import is drawn wherever it stands and marked by where that is: at the top of its module, late (in a function), or
typing (under TYPE_CHECKING). All three count: who names a type of a module depends on it.

    .venv/bin/python -m tests.unit.test_imports      # the graph, and what breaks which rule
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from zonerss.commands import LATE_IMPORTS

PACKAGE = Path(__file__).resolve().parents[2] / "collector" / "zonerss"

# From the lowest floor up. What is on one floor may be imported by what is above it; see SIDE_BY_SIDE.
FLOORS = (
    ("plain", "closing", "errors", "units", "records", "flight", "_core"),
    ("kernel", "zones"),
    ("census",),
    ("walk",),
    ("motion",),
    ("evidence",),
    ("snapshot",),
    ("history",),
    ("answers", "zonerss"),  # zonerss: the package's own __init__
    ("cap",),
    ("schemas",),
    ("views",),
    ("serve",),
    ("commands",),
    ("__main__",),
)
SIDE_BY_SIDE = ("kernel", "zones")
"""Rooms of one floor that do not import each other."""
MAY_READ_THE_KERNEL = ("kernel", "walk", "_core")
PURE = ("plain", "closing", "errors", "units", "records", "zones", "census", "flight", "answers", "schemas")
PURE_MODULES = (
    *("serve.look", "serve.moving", "serve.metrics", "serve.page"),
    *("cap.records", "cap.policy", "cap.words", "cap.forecast", "cap.simulate", "cap.model"),
)
"""Likewise, of rooms that are not pure."""
NOT_PURE = ("answers.explain.account",)
"""Modules of the pure rooms that ask the kernel or a Session."""
MAY_RUN_UPWARD: frozenset[tuple[str, str]] = frozenset()
"""Typing imports that run upward nevertheless: (module, imported)."""
FLAT_MODULES = 8


class Import(NamedTuple):
    """One import of a module; names without ``zonerss.`` where they are the package's own."""

    module: str
    imported: str
    when: str
    """top, late or typing."""
    line: int
    names: tuple[str, ...]
    """What was taken from it."""

    def __str__(self) -> str:
        mark = "" if self.when == "top" else f" ({self.when})"
        return f"{self.module}:{self.line} -> {self.imported}{mark}"


# ---- the graph -------------------------------------------------------------------------------------------


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts) or "zonerss"


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.partition(".")[0]


def own_name(name: str) -> str:
    """As the graph calls it: the package's modules without ``zonerss.``, all others in full."""
    return name.removeprefix("zonerss.") if name.startswith("zonerss.") else name


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


def marked(node: ast.AST, when: str = "top") -> Iterator[tuple[ast.AST, str]]:
    """Every node below, and whether it stands at the top of the module, in a function or under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        inner = when
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inner = "late"
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            inner = "typing"
        yield child, inner
        yield from marked(child, inner)


def imports_of(module: str) -> Iterator[Import]:
    for node, when in marked(tree_of(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, own_name(alias.name), when, node.lineno, ())
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}:{node.lineno}: imports are spelled in full"
            yield from _from(module, node, when)


def _from(module: str, node: ast.ImportFrom, when: str) -> Iterator[Import]:
    """``from zonerss.views import table`` imports the module views.table; ``from zonerss.units import X`` units."""
    base = own_name(node.module or "")
    prefix = "" if base == "zonerss" else f"{base}."
    names = [alias.name for alias in node.names]
    modules = [name for name in names if prefix + name in MODULES]
    for name in modules:
        yield Import(module, prefix + name, when, node.lineno, ())
    if rest := tuple(name for name in names if name not in modules):
        yield Import(module, base, when, node.lineno, rest)


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(found for module in MODULES for found in imports_of(module))


@cache
def graph() -> tuple[Import, ...]:
    """The imports within the package."""
    return tuple(found for found in all_imports() if found.imported in MODULES)


def floor_of(module: str) -> int:
    room = room_of(module)
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def drawn() -> str:
    """The rooms, from the highest floor down, and what each imports; a star: not only at the top of modules."""
    lines = []
    for number, rooms in reversed(tuple(enumerate(FLOORS))):
        for room in rooms:
            below: dict[str, set[str]] = {}
            for found in graph():
                if room_of(found.module) == room != room_of(found.imported):
                    below.setdefault(room_of(found.imported), set()).add(found.when)
            words = [name + ("" if when == {"top"} else "*") for name, when in sorted(below.items())]
            lines.append(f"  {number}  {room:12} -> {' '.join(words) or '-'}")
    return "\n".join(lines)


def circles(below: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other (Tarjan), each in order of name."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = lowest[node] = len(index)
        path.append(node)
        for other in below.get(node, ()):
            if other not in index:
                visit(other)
            if other in path:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == index[node]:
            group = path[path.index(node) :]
            del path[path.index(node) :]
            if len(group) > 1 or node in below.get(node, ()):
                found.append(sorted(group))

    for node in below:
        if node not in index:
            visit(node)
    return found


def neighbours(name_of: Callable[[str], str]) -> dict[str, set[str]]:
    below: dict[str, set[str]] = {}
    for found in graph():
        one, other = name_of(found.module), name_of(found.imported)
        below.setdefault(one, set())
        if one != other:
            below[one].add(other)
    return below


# ---- the rules: each gives what breaks it ----------------------------------------------------------------

Rule = Callable[[], Iterable[object]]
RULES: dict[str, Rule] = {}


def rule(check: Rule) -> Rule:
    RULES[check.__name__] = check
    return check


@rule
def no_circle_of_modules() -> Iterable[object]:
    for group in circles(neighbours(str)):
        yield "; ".join(str(i) for i in graph() if i.module in group and i.imported in group)


@rule
def no_circle_of_rooms() -> Iterable[object]:
    for group in circles(neighbours(room_of)):
        between = [i for i in graph() if room_of(i.module) != room_of(i.imported)]
        inside = [i for i in between if {room_of(i.module), room_of(i.imported)} <= set(group)]
        yield f"{' '.join(group)}: {'; '.join(map(str, inside))}"


@rule
def no_import_runs_upward() -> Iterable[object]:
    for found in graph():
        listed = found.when == "typing" and (found.module, found.imported) in MAY_RUN_UPWARD
        if floor_of(found.imported) > floor_of(found.module) and not listed:
            yield found


@rule
def kernel_and_zones_are_side_by_side() -> Iterable[object]:
    for found in graph():
        one, other = room_of(found.module), room_of(found.imported)
        if one != other and {one, other} <= set(SIDE_BY_SIDE):
            yield found


@rule
def only_kernel_and_walk_open_kernel_files() -> Iterable[object]:
    for module in MODULES:
        if room_of(module) not in MAY_READ_THE_KERNEL:
            yield from (f"{module}:{line}: {what}" for line, what in kernel_interfaces(module))


@rule
def views_read_no_kernel() -> Iterable[object]:
    return (i for i in graph() if room_of(i.module) == "views" and room_of(i.imported) in ("kernel", "walk"))


@rule
def arithmetic_is_pure() -> Iterable[object]:
    for module in MODULES:
        if (room_of(module) in PURE and module not in NOT_PURE) or module in PURE_MODULES:
            yield from (i for i in all_imports() if i.module == module and not is_pure(i))
            yield from (f"{module}:{line}: {what}" for line, what in opened(module))


@rule
def late_imports_are_declared() -> Iterable[object]:
    declared = frozenset(LATE_IMPORTS)
    late = [i for i in all_imports() if i.when == "late" and i.imported != "__future__"]
    yield from (i for i in late if (i.module, i.imported) not in declared)
    yield from (
        f"declared, and not there: {pair}" for pair in declared - {(i.module, i.imported) for i in late}
    )


@rule
def few_modules_stand_beside_the_rooms() -> Iterable[object]:
    flat = [path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    return flat if len(flat) > FLAT_MODULES else ()


@rule
def every_room_has_its_floor() -> Iterable[object]:
    rooms = [room for floor in FLOORS for room in floor]
    yield from {room_of(module) for module in MODULES} ^ set(rooms)


# ---- what the rules look for -----------------------------------------------------------------------------

KERNEL_PATH = re.compile(r"/(proc|sys|dev)(/[\w./*-]*)?")  # a path to open, not a sentence that mentions one
KERNEL_ROOTS = ("proc", "sys")
"""Attributes of zonerss.kernel.roots.Roots."""


def kernel_interfaces(module: str) -> Iterator[tuple[int, str]]:
    """Paths below /proc and /sys, ioctl, files opened by os.open: line, and what."""
    documentation = {
        id(node.value)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            if KERNEL_PATH.fullmatch(node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.Attribute) and is_kernel_attribute(node):
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "os.open":
            if ast.unparse(node.args[0]) != "os.devnull":
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.alias) and node.name == "fcntl":
            yield node.lineno, "import fcntl"


def is_kernel_attribute(node: ast.Attribute) -> bool:
    owner = ast.unparse(node.value)
    return node.attr == "ioctl" or (node.attr in KERNEL_ROOTS and owner.lower().endswith(("roots", "host")))


IMPURE = ("subprocess", "socket", "fcntl", "mmap", "ctypes")
ASKS = {"snapshot": frozenset({"Session", "Observer"}), "evidence": frozenset({"Evidence", "Live"})}
"""What asks the kernel, or may: by room."""
READS = ("read_text", "read_bytes", "stat", "iterdir", "readlink")


def is_pure(found: Import) -> bool:
    room = room_of(found.imported)
    return room not in (*IMPURE, "kernel", "walk") and not ASKS.get(room, frozenset()).intersection(
        found.names
    )


def opened(module: str) -> Iterator[tuple[int, str]]:
    """Calls that open or read a file: line, and what."""
    for node in ast.walk(tree_of(module)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in ("open", "os.open", "os.listdir", "os.stat", "os.readlink") or name.endswith(
            tuple(f".{read}" for read in READS)
        ):
            yield node.lineno, ast.unparse(node)


# ---- the tests -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_rule(name: str) -> None:
    broken = sorted(map(str, RULES[name]()))
    assert not broken, "\n  ".join([f"{name.replace('_', ' ')}:", *broken]) + f"\n\n{drawn()}"


@pytest.mark.parametrize("module", MODULES)
def test_no_shell(module: str) -> None:
    text = MODULES[module].read_text("utf-8")
    assert "shell=True" not in text
    assert "os.system" not in text


if __name__ == "__main__":
    print(drawn())
    for name, broken_by in RULES.items():
        print(f"\n{name}", *sorted(map(str, broken_by())), sep="\n  ")
