"""Records: classes of fields, as the standard library's dataclasses, made at a fraction of their cost.

What a command imports costs each cold start. ``dataclasses`` imports ``inspect`` (9 ms) and compiles six methods for
each class (0.4 ms); a cold `zonerss --json` has about a hundred classes and makes instances of a third of them. Here
``__init__``, == and the hash are compiled when they are first used, and the other methods are the same for all classes.

What is taken from dataclasses has its name and meaning. There is no order, no kw_only, no InitVar.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any, NamedTuple, TypeVar, dataclass_transform, overload

T = TypeVar("T")


class FrozenInstanceError(AttributeError):
    """A field of a frozen record was assigned to or deleted."""


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""The default of a field that has none."""


class Field(NamedTuple):
    """What is known of one field."""

    name: str
    default: Any = MISSING
    default_factory: Any = MISSING
    repr: bool = True
    compare: bool = True
    """Whether it takes part in == and in the hash."""

    @property
    def is_required(self) -> bool:
        """Whether an instance cannot be made without it."""
        return self.default is MISSING and self.default_factory is MISSING


def field(
    *, default: Any = MISSING, default_factory: Any = MISSING, repr: bool = True, compare: bool = True
) -> Any:
    """A field with more than a default; the parameters are as in dataclasses."""
    return Field("", default, default_factory, repr, compare)


@overload
def dataclass(cls: type[T], /) -> type[T]: ...
@overload
def dataclass(*, frozen: bool = ..., eq: bool = ..., slots: bool = ...) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(field_specifiers=(field,))
def dataclass(cls: Any = None, /, *, frozen: bool = False, eq: bool = True, slots: bool = False) -> Any:
    """
    Make a class a record of its annotated names.

    With slots it is a new class, so that its methods cannot call super() without arguments.

    :raises TypeError: a field without a default follows one with, or a default is a list, dict or set
    """

    def made(cls: type) -> type:
        return _record(cls, frozen, eq, slots)

    return made if cls is None else made(cls)


def fields(record: Any) -> tuple[Field, ...]:
    """
    The fields of a record or of its class, in the order of ``__init__``.

    :raises TypeError: it is no record
    """
    found: tuple[Field, ...] | None = getattr(record, "__fields__", None)
    if found is None:
        raise TypeError(f"no record: {record!r:.80}")
    return found


def is_dataclass(thing: Any) -> bool:
    """Whether it is a record or the class of one."""
    return hasattr(thing, "__fields__")


def replace(record: T, /, **changes: Any) -> T:
    """
    A record like this one but for what changes; ``__init__`` and ``__post_init__`` run.

    :raises TypeError: it is no record, or has no such field
    """
    for field in fields(record):
        if field.name not in changes:
            changes[field.name] = getattr(record, field.name)
    return type(record)(**changes)


def asdict(record: Any) -> dict[str, Any]:
    """
    The fields by their names; so are those of records within, and of records in lists, tuples and dicts.

    :raises TypeError: it is no record
    """
    return {field.name: _bare(getattr(record, field.name)) for field in fields(record)}


def _bare(value: Any) -> Any:
    if hasattr(value, "__fields__"):
        return asdict(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_bare, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_bare, value))
    if isinstance(value, dict):
        return {_bare(key): _bare(held) for key, held in value.items()}
    return value


# ---- the class -------------------------------------------------------------------------------------------


def _record(cls: type, frozen: bool, eq: bool, slots: bool) -> type:
    own = [
        _own_field(cls, name, kind)
        for name, kind in cls.__annotations__.items()
        if "ClassVar" not in str(kind)
    ]
    inherited = {field.name: field for field in getattr(cls, "__fields__", ())}
    every = tuple({**inherited, **{field.name: field for field in own}}.values())
    _require_order(cls, every)
    added: dict[str, Any] = {"__fields__": every, "__match_args__": tuple(field.name for field in every)}
    added |= {name: method for name, method in _methods(frozen, slots).items() if name not in cls.__dict__}
    made = _with_slots(cls, own, inherited, added) if slots else _without(cls, own, added)
    late: dict[str, Any] = {"__init__": _init}
    if eq:
        late |= {"__eq__": _eq, "__hash__": _hash if frozen else None}
    for name, source in late.items():
        if made.__dict__.get(name) is None:  # Python sets __hash__ to None where a class has its own __eq__
            setattr(made, name, source and _late(made, name, source))
    return made


def _own_field(cls: type, name: str, kind: Any) -> Field:
    given = cls.__dict__.get(name, MISSING)
    if isinstance(given, Field):
        return given._replace(name=name)
    if isinstance(given, list | dict | set):
        raise TypeError(f"{cls.__name__}.{name}: a default of type {type(given).__name__} would be shared")
    return Field(name, given)


def _require_order(cls: type, every: tuple[Field, ...]) -> None:
    before = None
    for field in every:
        if field.is_required and before is not None:
            raise TypeError(f"{cls.__name__}.{field.name} has no default and follows {before}, which has one")
        before = before if field.is_required else field.name


def _with_slots(cls: type, own: list[Field], inherited: dict[str, Field], added: dict[str, Any]) -> type:
    names = [field.name for field in own]
    space = {
        key: value for key, value in cls.__dict__.items() if key not in (*names, "__dict__", "__weakref__")
    }
    space.update(
        added, __slots__=tuple(name for name in names if name not in inherited), __qualname__=cls.__qualname__
    )
    return type(cls)(cls.__name__, cls.__bases__, space)


def _without(cls: type, own: list[Field], added: dict[str, Any]) -> type:
    for field in own:
        if field.default is not MISSING:
            setattr(cls, field.name, field.default)
        elif field.name in cls.__dict__:  # it has a factory
            delattr(cls, field.name)
    for name, value in added.items():
        setattr(cls, name, value)
    return cls


def _methods(frozen: bool, slots: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"__repr__": _repr}
    if frozen:
        found |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
    if frozen and slots:
        found |= {"__getstate__": _state, "__setstate__": _restore}
    return found


# ---- the methods -----------------------------------------------------------------------------------------


def _late(cls: Any, name: str, source: Callable[[Any], tuple[str, dict[str, Any]]]) -> Callable[..., Any]:
    """A method that puts the compiled one in its place when it is first called."""

    def method(self: Any, *args: Any, **words: Any) -> Any:
        text, names = source(cls)
        exec(text, names)  # all that is in it are names of fields, which stood in a class
        names[name].__qualname__ = f"{cls.__qualname__}.{name}"
        setattr(cls, name, names[name])
        return names[name](self, *args, **words)

    method.__name__ = name
    return method


def _init(cls: Any) -> tuple[str, dict[str, Any]]:
    names: dict[str, Any] = {"_missing": MISSING, "_set": object.__setattr__}
    is_frozen = cls.__setattr__ is _refuse_to_set
    parameters, lines = [], []
    for number, field in enumerate(cls.__fields__):
        name = value = field.name
        if field.default_factory is not MISSING:
            names[f"_factory{number}"] = field.default_factory
            parameters.append(f"{name}=_missing")
            value = f"_factory{number}() if {name} is _missing else {name}"
        elif field.default is not MISSING:
            names[f"_default{number}"] = field.default
            parameters.append(f"{name}=_default{number}")
        else:
            parameters.append(name)
        slot = getattr(cls, name, None)
        if not is_frozen:
            lines.append(f"_self.{name} = {value}")
        elif type(slot) is MemberDescriptorType:
            names[f"_set{number}"] = slot.__set__  # half the cost of looking for the name
            lines.append(f"_set{number}(_self, {value})")
        else:
            lines.append(f"_set(_self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("_self.__post_init__()")
    body = "\n ".join(lines or ["pass"])
    return f"def __init__(_self, {', '.join(parameters)}):\n {body}\n", names


def _eq(cls: Any) -> tuple[str, dict[str, Any]]:
    same = f"{_compared(cls, '_self')} == {_compared(cls, '_other')}"
    text = f"def __eq__(_self, _other):\n return {same} if _other.__class__ is _self.__class__ else NotImplemented\n"
    return text, {}


def _hash(cls: Any) -> tuple[str, dict[str, Any]]:
    return f"def __hash__(_self):\n return hash({_compared(cls, '_self')})\n", {}


def _compared(cls: Any, name: str) -> str:
    """The tuple of what == and the hash compare."""
    return f"({''.join(f'{name}.{field.name}, ' for field in cls.__fields__ if field.compare)})"


def _repr(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in self.__fields__ if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_to_set(self: Any, name: str, _: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to {name}: {type(self).__name__} is frozen")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete {name}: {type(self).__name__} is frozen")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in self.__fields__]


def _restore(self: Any, state: list[Any]) -> None:
    for field, value in zip(self.__fields__, state, strict=True):
        object.__setattr__(self, field.name, value)
