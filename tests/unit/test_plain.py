"""zonerss.plain: whatever is made with it is as dataclasses has it, which is the oracle."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss import plain

BOTH = pytest.mark.parametrize("made_by", [dataclasses, plain], ids=["dataclasses", "plain"])
"""What holds of the oracle as well."""
KINDS = [{"frozen": True, "slots": True}, {"slots": True}, {"frozen": True}, {}, {"eq": False, "slots": True}]

some_values = st.integers(0, 2) | st.none() | st.sampled_from(["", "a"])
some_pairs = st.tuples(some_values, some_values)
some_rest = st.dictionaries(st.sampled_from(["c", "d", "e", "f"]), some_values)


def record(made_by: Any, **how: bool) -> Any:
    @made_by.dataclass(**how)
    class Record:
        kinds: ClassVar[tuple[int, ...]] = (1, 2)
        a: Any
        b: Any
        c: Any = 7
        d: Any = made_by.field(default_factory=list)
        e: Any = made_by.field(default=None, compare=False)
        f: Any = made_by.field(default=8, repr=False)

        def sum(self) -> Any:
            return (self.a, self.kinds)

    return Record


@plain.dataclass(frozen=True, slots=True)
class Leaf:
    size: int
    names: tuple[str, ...] = ()


@plain.dataclass(frozen=True, slots=True)
class Tree(Leaf):
    leaves: tuple[Leaf, ...] = ()
    by_name: dict[str, Any] = plain.field(default_factory=dict)


@pytest.mark.parametrize("how", KINDS, ids=str)
@given(
    first=st.tuples(some_values, some_values),
    second=st.tuples(some_values, some_values),
    one=some_rest,
    two=some_rest,
)
def test_they_are_as_dataclasses_makes_them(
    how: dict[str, bool], first: tuple[Any, Any], second: tuple[Any, Any], one: Any, two: Any
) -> None:
    theirs, ours = record(dataclasses, **how), record(plain, **how)
    left, right = theirs(*first, **one), theirs(*second, **two)
    mine, other = ours(*first, **one), ours(*second, **two)
    assert repr(mine) == repr(left)
    assert (mine == other) == (left == right)
    assert (mine != other) == (left != right)
    assert plain.asdict(mine) == dataclasses.asdict(left)
    assert repr(plain.replace(mine, b=5)) == repr(dataclasses.replace(left, b=5))
    assert ours.__match_args__ == theirs.__match_args__
    assert hasattr(mine, "__dict__") == hasattr(left, "__dict__")
    assert mine.sum() == left.sum()
    if how.get("frozen") and left == right and not isinstance(left.d, list) and not isinstance(right.d, list):
        assert hash(mine) == hash(other)


@BOTH
@pytest.mark.parametrize("how", KINDS, ids=str)
def test_hashes(made_by: ModuleType, how: dict[str, bool]) -> None:
    one, same = (record(made_by, **how)(1, 2, d=()) for _ in range(2))
    if how.get("eq") is False:
        assert hash(one) != hash(same)
        assert one != same
    elif how.get("frozen"):
        assert hash(one) == hash(record(made_by, **how)(1, 2, d=(), e="not compared"))
    else:
        with pytest.raises(TypeError, match="unhashable"):
            hash(one)


@BOTH
def test_what_is_frozen_stays(made_by: Any) -> None:
    one = record(made_by, frozen=True, slots=True)(1, 2)
    with pytest.raises(made_by.FrozenInstanceError, match="cannot assign"):
        one.a = 3
    with pytest.raises(made_by.FrozenInstanceError, match="cannot delete"):
        del one.a
    assert one.a == 1
    assert issubclass(made_by.FrozenInstanceError, AttributeError)


@BOTH
def test_wrong_arguments(made_by: Any) -> None:
    cls = record(made_by)
    for wrong in (
        lambda: cls(1),
        lambda: cls(1, 2, g=3),
        lambda: cls(1, 2, 3, 4, 5, 6, 7),
        lambda: cls(1, 2, a=1),
    ):
        with pytest.raises(TypeError, match=r"__init__\(\)"):
            wrong()
    with pytest.raises(TypeError):
        made_by.replace(cls(1, 2), g=3)
    for no_record in (7, "a", int):
        with pytest.raises(TypeError):
            made_by.fields(no_record)
        assert not made_by.is_dataclass(no_record)


@BOTH
def test_classes_that_are_refused(made_by: Any) -> None:
    with pytest.raises(TypeError, match="b"):

        @made_by.dataclass
        class _NoDefault:
            a: int = 1
            b: int  # type: ignore[misc]

    with pytest.raises((TypeError, ValueError), match="a"):

        @made_by.dataclass
        class _Shared:
            a: list[int] = []  # noqa: RUF012


@BOTH
def test_a_factory_is_called_for_each(made_by: Any) -> None:
    cls = record(made_by)
    assert cls(1, 2).d is not cls(1, 2).d


@BOTH
def test_the_class_has_a_default_only_where_it_has_no_slots(made_by: Any) -> None:
    assert record(made_by).c == 7
    assert not hasattr(record(made_by), "d")
    assert record(made_by, slots=True).c != 7


@BOTH
def test_a_class_that_says_what_is_equal(made_by: Any) -> None:
    @made_by.dataclass(frozen=True, slots=True)
    class Own:
        a: int
        b: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own) and self.a == other.a

        def __hash__(self) -> int:
            return self.a

        def __repr__(self) -> str:
            return "own"

    assert (Own(1, 2) == Own(1, 3), hash(Own(5, 1)), repr(Own(1, 1))) == (True, 5, "own")


@BOTH
def test_post_init_runs_last(made_by: Any) -> None:
    @made_by.dataclass(slots=True)
    class Counted:
        a: int
        twice: int = 0

        def __post_init__(self) -> None:
            self.twice = 2 * self.a

    assert Counted(4).twice == 8
    assert made_by.replace(Counted(4), a=5).twice == 10


def test_a_record_of_records() -> None:
    tree = Tree(1, ("x",), (Leaf(2), Leaf(3, ("y",))), {"z": Leaf(4), "list": [Leaf(5)]})
    assert plain.asdict(tree) == {
        "size": 1,
        "names": ("x",),
        "leaves": ({"size": 2, "names": ()}, {"size": 3, "names": ("y",)}),
        "by_name": {"z": {"size": 4, "names": ()}, "list": [{"size": 5, "names": ()}]},
    }
    assert [field.name for field in plain.fields(Tree)] == ["size", "names", "leaves", "by_name"]
    assert [field.is_required for field in plain.fields(Tree)] == [True, False, False, False]
    assert Tree.__slots__ == ("leaves", "by_name")  # type: ignore[attr-defined]
    assert Tree(1) != Leaf(1)
    assert plain.is_dataclass(Tree)
    assert plain.is_dataclass(tree)


def test_copies() -> None:
    tree = Tree(1, ("x",), (Leaf(2),))
    assert pickle.loads(pickle.dumps(tree)) == copy.deepcopy(tree) == copy.copy(tree) == tree


def test_the_first_two_instances_may_be_made_at_once() -> None:
    for _ in range(50):
        cls, barrier, made = record(plain, frozen=True, slots=True), threading.Barrier(2), list[Any]()

        def make(cls: Any = cls, barrier: threading.Barrier = barrier, made: list[Any] = made) -> None:
            barrier.wait()
            made.append(cls(1, 2, d=()))

        threads = [threading.Thread(target=make) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made[0] == made[1]


def test_what_a_cold_command_imports_does_not_import_dataclasses() -> None:
    text = "import sys, zonerss.commands.show, zonerss.snapshot; print('dataclasses' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
