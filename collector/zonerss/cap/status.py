"""What a capper that runs says of itself, in a file: for `cap --status`, for top, and for the metrics of serve.

The file is written whole after each round, and removed at the end. A lock beside it tells whether its writer still
runs: what one that was killed has left is no status. Only one capper at a time has the lock.

Source: flock(2), rename(2).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from zonerss.closing import Closing
from zonerss.errors import CannotServe
from zonerss.kernel.capper import DIRECTORY, LOCK, STATUS, read_said
from zonerss.kernel.keeping import Taken, hold_file, make_own_directory, write_whole
from zonerss.plain import MISSING, asdict, dataclass, fields, is_dataclass
from zonerss.records import Caveat

if TYPE_CHECKING:
    from zonerss.cap.forecast import Forecast
    from zonerss.snapshot import Past, Snapshot

_FORMAT = 1
"""Of the file and of what recordings keep of it; people and programs have `cap --status --json`. Another one where a
field is left out or means something else; fields that are added have a default."""
_TRIES, _TRY_SECONDS = 20, 0.05


@dataclass(frozen=True, slots=True)
class Shared:
    """A zone that maps some of another one's memory."""

    zone: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ZoneForecast:
    """
    What can be done about a zone's memory, by its latest walk: a :class:`zonerss.cap.forecast.Forecast`, laid flat.

    All in bytes. shared, locked, several and own add up to rss_bytes.
    """

    rss_bytes: int
    cap_bytes: int
    excess_bytes: int
    goal_bytes: int
    at_most_anon_bytes: int
    at_most_file_bytes: int
    at_most_shmem_bytes: int
    painless_bytes: int | None
    painless_anon_bytes: int | None
    painless_file_bytes: int | None
    painless_shmem_bytes: int | None
    reclaimable_bytes: int
    short_bytes: int | None
    working_set_bytes: int | None
    swap_room_bytes: int
    shared_bytes: int
    shared_with: tuple[Shared, ...]
    locked_bytes: int
    several_anon_bytes: int
    several_file_bytes: int
    several_shmem_bytes: int
    own_anon_bytes: int
    own_file_bytes: int
    own_shmem_bytes: int
    cold_anon_bytes: int | None
    cold_file_bytes: int | None
    cold_shmem_bytes: int | None
    cold_several_anon_bytes: int | None
    cold_several_file_bytes: int | None
    cold_several_shmem_bytes: int | None
    unknown_bytes: int | None
    cold_seconds: float | None
    """How long what is cold was not touched; None: it was not measured."""
    not_reclaimed: str | None
    """Why memory.reclaim is not used, as a clause; None: it may be."""

    @property
    def several_bytes(self) -> int:
        """Mapped by several processes of this zone alone."""
        return self.several_anon_bytes + self.several_file_bytes + self.several_shmem_bytes

    @property
    def at_most_bytes(self) -> int:
        """All kinds."""
        return self.at_most_anon_bytes + self.at_most_file_bytes + self.at_most_shmem_bytes


def laid_flat(found: Forecast, not_reclaimed: str | None) -> ZoneForecast:
    """
    A forecast as a status and documents have it.

    :param not_reclaimed: as of :func:`zonerss.cap.forecast.why_not_reclaim`
    """
    classes, painless = found.classes, found.painless
    return ZoneForecast(
        rss_bytes=found.rss_bytes,
        cap_bytes=found.cap_bytes,
        excess_bytes=found.excess_bytes,
        goal_bytes=found.goal_bytes,
        at_most_anon_bytes=found.at_most.anon_bytes,
        at_most_file_bytes=found.at_most.file_bytes,
        at_most_shmem_bytes=found.at_most.shmem_bytes,
        painless_bytes=found.painless_bytes,
        painless_anon_bytes=None if painless is None else painless.anon_bytes,
        painless_file_bytes=None if painless is None else painless.file_bytes,
        painless_shmem_bytes=None if painless is None else painless.shmem_bytes,
        reclaimable_bytes=found.reclaimable_bytes,
        short_bytes=found.short_bytes,
        working_set_bytes=found.working_set_bytes,
        swap_room_bytes=found.swap_room_bytes,
        shared_bytes=classes.shared_bytes,
        shared_with=tuple(Shared(zone, size) for zone, size in classes.shared_with),
        locked_bytes=classes.locked_bytes,
        several_anon_bytes=classes.several_anon_bytes,
        several_file_bytes=classes.several_file_bytes,
        several_shmem_bytes=classes.several_shmem_bytes,
        own_anon_bytes=classes.own_anon_bytes,
        own_file_bytes=classes.own_file_bytes,
        own_shmem_bytes=classes.own_shmem_bytes,
        cold_anon_bytes=classes.cold_anon_bytes,
        cold_file_bytes=classes.cold_file_bytes,
        cold_shmem_bytes=classes.cold_shmem_bytes,
        cold_several_anon_bytes=classes.cold_several_anon_bytes,
        cold_several_file_bytes=classes.cold_several_file_bytes,
        cold_several_shmem_bytes=classes.cold_several_shmem_bytes,
        unknown_bytes=classes.unknown_bytes,
        cold_seconds=classes.cold_seconds,
        not_reclaimed=not_reclaimed,
    )


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """A zone under a cap."""

    zone: str
    cgroup: str | None
    rss_bytes: int | None
    """By the latest walk, less what has left since. None: none was needed, because bound_bytes is below the cap; or a
    walk could not read all of it, and what it read is below the cap."""
    bound_bytes: int | None
    """The sum of its processes' RSS, which rss is never above."""
    cap_bytes: int
    floor_bytes: int
    excess_bytes: int | None
    """What rss is above the cap. None: it is not known."""
    nover: int
    asked_bytes: int
    """What was tried to be taken, in all."""
    pout_bytes: int
    """Pages that left because of us, in all."""
    refault_bytes: int
    """Of these: came back within seconds."""
    swap_bytes: int | None
    swap_percent: float | None
    """Of all swap: what the zone has. None: there is no swap, or it is not known."""
    cold_bytes: int | None
    working_set_bytes: int | None
    last_action: str
    origin: str
    forecast: ZoneForecast | None
    """None: no walk was needed yet, or none could read all of it."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a capper says of itself."""

    began: str
    """When it was started; RFC 3339."""
    ended: str
    """Of when its figures are."""
    pid: int
    enforce: bool
    """It acts; else it only says what it would do."""
    by: str
    cold_seconds: float
    threshold: float
    """The share of the machine's memory in use below which nothing is done."""
    memory_bytes: int
    used_bytes: int
    swap_total_bytes: int
    swap_free_bytes: int
    zones: tuple[ZoneStatus, ...]
    warnings: tuple[Caveat, ...] = ()
    """What holds for all of it."""


# ---- writing ---------------------------------------------------------------------------------------------------


class StatusFile(Closing):
    """Holds the lock, and keeps the file; use it as a context manager."""

    def __init__(self, directory: str = DIRECTORY) -> None:
        """
        :raises CannotServe: another capper holds it
        :raises OSError: it cannot be written there
        """
        make_own_directory(directory)
        self._path, self._fd = os.path.join(directory, STATUS), _held(os.path.join(directory, LOCK))
        try:
            self._remove()  # what one that was killed has left would be believed to be ours
        except BaseException:
            os.close(self._fd)
            raise

    def write(self, status: Status) -> None:
        """:raises OSError: it cannot be written"""
        write_whole(self._path, dumps(status).encode("ascii"))

    def close(self) -> None:
        """Remove the file, and give back the lock."""
        try:
            self._remove()
        finally:
            os.close(self._fd)

    def _remove(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._path)


def _held(path: str) -> int:
    for number in range(_TRIES):  # who asks whether it is held has it for a moment
        try:
            return hold_file(path)
        except Taken as err:
            if number == _TRIES - 1:
                raise CannotServe(
                    "another `zonerss cap` runs already (zonerss cap --status shows it): end that one first"
                ) from err
            time.sleep(_TRY_SECONDS)
    raise AssertionError("the last try returns or raises")


def dumps(status: Status) -> str:
    """The status as text, in ASCII."""
    return json.dumps({"format": _FORMAT, **asdict(status)})


# ---- reading ---------------------------------------------------------------------------------------------------


def read_status(directory: str = DIRECTORY, owners: Collection[int] = (0,)) -> Status | None:
    """
    What the capper that runs now says of itself; None: none runs, or it has not said anything yet.

    :raises CannotServe: the file is not one that a capper has written, or we may not ask whether one runs; the sentence
        says why
    """
    said = read_said(directory, owners)
    try:
        return None if said is None else loads(said)
    except ValueError as err:
        path = os.path.join(directory, STATUS)
        raise CannotServe(f"cannot read what the capper says in {path}: {err}; start it anew") from err


def by_zone(status: Status | None, by: str) -> dict[str, ZoneStatus]:
    """
    What is said of each zone, by its name.

    :param by: the grouping that is looked at; where the capper's is another one, its zones are others
    """
    return {zone.zone: zone for zone in status.zones} if status is not None and status.by == by else {}


def kept_status(past: Past) -> Status | None:
    """What the capper that ran at a moment said of itself; None: none ran, or it was of another version of zonerss."""
    try:
        return None if past.capper is None else loads(past.capper)
    except ValueError:
        return None


def caps_of(snapshot: Snapshot) -> dict[str, ZoneStatus]:
    """What the capper says of each zone of a snapshot: the one that runs or, of a recording, that ran then. What cannot
    be read is not known."""
    try:
        status = read_status() if snapshot.past is None else kept_status(snapshot.past)
    except CannotServe:
        return {}
    return by_zone(status, snapshot.by)


def loads(text: str | bytes) -> Status:
    """
    A status from its text.

    :raises ValueError: it is none
    """
    try:
        document = json.loads(text)
    except RecursionError as err:
        raise ValueError("it is nested too deeply") from err
    if not isinstance(document, dict) or document.pop("format", None) != _FORMAT:
        raise ValueError("it is of another version of zonerss, or no status")
    return _record(Status, document)


Record = TypeVar("Record")


def _record(cls: type[Record], value: Any) -> Record:
    if not isinstance(value, Mapping):
        raise ValueError(f"no {cls.__name__}: {value!r:.80}")
    hints, found = _HINTS[cls], dict[str, Any]()
    for field in fields(cls):
        if field.name in value:
            found[field.name] = _value(hints[field.name], value[field.name], field.name)
        elif field.default is MISSING:
            raise ValueError(f"{field.name} is missing")
    return cls(**found)


_HINTS: dict[type, dict[str, Any]] = {
    cls: get_type_hints(cls) for cls in (Shared, ZoneForecast, ZoneStatus, Caveat, Status)
}


def _value(kind: Any, value: Any, name: str) -> Any:
    if isinstance(kind, UnionType):
        kind, none = get_args(kind)
        assert none is NoneType
        return None if value is None else _value(kind, value, name)
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, value)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{name} is no list: {value!r:.80}")
        return tuple(_value(get_args(kind)[0], one, name) for one in value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if kind is float and is_number:
        return float(value)
    if not isinstance(value, kind) or (kind is int and not is_number):
        raise ValueError(f"{name} is no {kind.__name__}: {value!r:.80}")
    return value
