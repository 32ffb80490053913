"""Tables of whole numbers as few bytes: differences to a table before, as variable-length numbers, deflated. Pure.

    a blob    zlib stream (RFC 1950) of tables, one after the other
    a table   rows, key columns, columns: how many; how: 1: the keys are those of the table that this is a difference
              to, 0: each key column follows; then each column
    key       the first: the difference to the row above, which is at least 0; others: the same, zigzag
    column    how: 31: each value is its base; otherwise a shift s, and for each row 0: unknown, or
              1 + zigzag((value - base) / 2^s). base: the value of the row of the same key in the table that this is a
              difference to; 0 if there is none, or it is unknown
    number    LEB128: 7 bits a byte, the lowest first, bit 7: there are more
    zigzag    0, -1, 1, -2, ... as 0, 1, 2, 3, ...

Blobs may be a stranger's: their length, and that of what they hold, is bounded. What would not be read is not written.
"""

from __future__ import annotations

import gc
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from itertools import accumulate, pairwise
from operator import itemgetter, le, or_, sub

from zonerss.plain import dataclass

MOST_BYTES = 1 << 24
"""Of the blobs of a snapshot together, inflated."""
MOST_ROWS = 1 << 20
"""Of their tables together."""
MOST_FIGURES = 1 << 23
"""Of a table."""
_MOST = 1 << 66
_MOST_LENGTH = 10
"""Of a number below that, in bytes."""
_LEVEL = 6
_MOST_SHIFT = 30
_UNCHANGED = 31

Key = tuple[int, ...]
Column = tuple[int | None, ...]


class Malformed(ValueError):
    """Bytes that are no blob of tables."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures, each with a key that no other has."""

    keys: tuple[Key, ...]
    """Ascending, all of one length."""
    columns: tuple[Column, ...]
    """Each as long as keys, or empty where it was passed over. None: unknown."""

    @classmethod
    def of(cls, rows: Iterable[tuple[Key, Sequence[int | None]]], keys: int, columns: int) -> Table:
        """
        A table of rows in any order.

        :param keys: how many columns the key has
        :param columns: how many others there are
        """
        ordered = sorted(rows, key=itemgetter(0))
        if not ordered:
            return cls((), ((),) * columns)
        named, figures = zip(*ordered, strict=True)
        assert set(map(len, named)) == {keys}
        return cls(named, tuple(zip(*figures, strict=True)))

    def rows(self) -> Iterable[tuple[Key, tuple[int | None, ...]]]:
        """Each key with its figures."""
        return zip(self.keys, zip(*self.columns, strict=True), strict=True)


@contextmanager
def uncollected() -> Iterator[None]:
    """Tables are tuples of numbers without cycles: to look through them for cycles again and again takes a fifth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Budget:
    """What the blobs of a snapshot may still hold."""

    def __init__(self) -> None:
        self._bytes, self._rows = MOST_BYTES, MOST_ROWS

    @property
    def left_bytes(self) -> int:
        """Inflated."""
        return self._bytes

    def take_bytes(self, count: int) -> None:
        """:raises Malformed: it has not so many left"""
        self._bytes -= count
        if self._bytes < 0:
            raise Malformed(f"the figures of a snapshot are more than {MOST_BYTES:,} bytes")

    def take_rows(self, count: int) -> None:
        """:raises Malformed: it has not so many left"""
        self._rows -= count
        if self._rows < 0:
            raise Malformed(f"the tables of a snapshot have more than {MOST_ROWS:,} rows")


def pack(tables: Sequence[Table], base: Sequence[Table] | None = None, budget: Budget | None = None) -> bytes:
    """
    Tables as a blob.

    :param base: tables to be a difference to; where there is none it is to nothing
    :param budget: of all blobs of a snapshot; None: it is the only one
    :raises Malformed: it would be too long to be read again
    """
    out, budget = bytearray(), budget or Budget()
    for number, table in enumerate(tables):
        budget.take_rows(len(table.keys))
        _put_table(out, table, _one_of(base, number))
    budget.take_bytes(len(out))
    return zlib.compress(bytes(out), _LEVEL)


def unpack(
    blob: bytes,
    shapes: Sequence[tuple[int, int]],
    base: Sequence[Table] | None = None,
    budget: Budget | None = None,
    least: int | None = None,
    wanted: Sequence[Collection[int]] | None = None,
) -> list[Table]:
    """
    The tables of a blob.

    :param shapes: of each table how many columns its key has, and how many others there are
    :param base: as it was packed; of what is wanted at the least
    :param budget: as for :func:`pack`
    :param least: so many tables there must be, and the last ones may be missing; None: all must be there
    :param wanted: of each table which columns; others are passed over, not decoded. None: all
    :raises Malformed: it is none of such tables
    """
    budget = budget or Budget()
    data = inflate(blob, budget.left_bytes)
    budget.take_bytes(len(data))
    reader = _Reader(data, budget)
    tables = [
        reader.table(keys, columns, _one_of(base, number), wanted[number] if wanted else range(columns))
        for number, (keys, columns) in enumerate(shapes)
        if least is None or number < least or reader.more
    ]
    reader.end()
    return tables


def _one_of(base: Sequence[Table] | None, number: int) -> Table | None:
    return base[number] if base and number < len(base) else None


def inflate(blob: bytes, most_bytes: int = MOST_BYTES) -> bytes:
    """
    What a zlib stream holds.

    :raises Malformed: it is none, or longer
    """
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(blob, most_bytes + 1)
    except (zlib.error, TypeError) as err:
        raise Malformed(f"no zlib stream: {err}") from None
    if len(data) > most_bytes or not stream.eof or stream.unused_data:
        raise Malformed("a zlib stream that is too long, or does not end where it should")
    return data


def pack_numbers(ascending: Iterable[int]) -> bytes:
    """Ascending numbers as differences, not deflated."""
    numbers = tuple(ascending)
    out = bytearray()
    _put_all(out, [*numbers[:1], *(after - before for before, after in pairwise(numbers))])
    return bytes(out)


def unpack_numbers(data: bytes) -> tuple[int, ...]:
    """
    What :func:`pack_numbers` has packed.

    :raises Malformed: they do not ascend
    """
    steps = _Reader(data, Budget()).all_numbers()
    if 0 in steps[1:]:
        raise Malformed("numbers that do not ascend")
    return tuple(accumulate(steps))


def _put(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


_TWO_BYTES = 1 << 14
_SPELLED: list[bytes] = []
"""The LEB128 of what takes two bytes at the most; made when it is first needed."""


def _put_all(out: bytearray, values: Sequence[int]) -> None:
    """Each of them; the same as :func:`_put` for one after the other."""
    if not values:
        return
    most = max(values)
    if most < 0x80:
        out += bytes(values)
        return
    if not _SPELLED:
        _SPELLED.extend(
            bytes((n,)) if n < 0x80 else bytes((n & 0x7F | 0x80, n >> 7)) for n in range(_TWO_BYTES)
        )
    if most < _TWO_BYTES:
        out += b"".join([_SPELLED[value] for value in values])
        return
    for value in values:
        if value < _TWO_BYTES:
            out += _SPELLED[value]
        else:
            _put(out, value)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _put_table(out: bytearray, table: Table, base: Table | None) -> None:
    width = len(table.keys[0]) if table.keys else 0
    known = base is not None and base.keys == table.keys
    for count in (len(table.keys), width, len(table.columns), int(known)):
        _put(out, count)
    for position in () if known else range(width):
        column = list(map(itemgetter(position), table.keys))
        steps = list(map(sub, column, [0, *column]))
        _put_all(out, steps if position == 0 else list(map(_zigzag, steps)))
    bases = _bases(table.keys, range(len(table.columns)), base)
    for figures, before in zip(table.columns, bases, strict=True):
        _put_column(out, figures, before)


def _bases(keys: tuple[Key, ...], columns: Collection[int], base: Table | None) -> Sequence[Column]:
    """The base of each figure of some columns of a table of these keys."""
    if base is None or not base.keys:
        return [(0,) * len(keys)] * len(columns)
    chosen = [base.columns[number] for number in columns]
    if base.keys == keys:
        return chosen
    place = {key: number for number, key in enumerate(base.keys)}
    rows = [place.get(key) for key in keys]
    return [tuple([0 if row is None else column[row] for row in rows]) for column in chosen]


def _put_column(out: bytearray, column: Column, before: Column) -> None:
    if column == before:
        return out.append(_UNCHANGED)
    steps: Sequence[int | None]
    try:
        steps = list(map(sub, column, before))
    except TypeError:  # some are unknown
        steps = [None if v is None else v - (b or 0) for v, b in zip(column, before, strict=True)]
    shift = _shift(steps)
    out.append(shift)
    # 1 + zigzag(step >> shift); 0: unknown
    _put_all(
        out,
        [
            0 if step is None else (step >> shift << 1) + 1 if step >= 0 else -(step >> shift) << 1
            for step in steps
        ],
    )
    return None


def _shift(steps: Sequence[int | None]) -> int:
    """How many zero bits all of them end with, 30 at most: sizes are multiples of a page."""
    bits = 1 << _MOST_SHIFT
    try:
        bits = reduce(or_, steps, bits)
    except TypeError:
        for step in steps:
            bits |= step or 0
    return (bits & -bits).bit_length() - 1


_NUMBERS = re.compile(rb"[\x80-\xff]{0,10}[\x00-\x7f]|[\x80-\xff]{11}")
"""The second is too large, wherever it ends: a search for its end at each byte would take the square of its length."""
_GOES_ON = bytes(range(0x80, 0x100))
"""The bytes of a number but for its last one."""
_PART = 1 << 16
"""Of numbers, so many are taken at once: each takes some memory until it is read."""


class _Read(dict[bytes, int]):
    """The numbers of LEB128 that were met so far, of three bytes at the most."""

    def __missing__(self, spelled: bytes) -> int:
        if len(spelled) > _MOST_LENGTH:
            raise Malformed("a number that is too large")
        value = 0
        for byte in reversed(spelled):
            value = value << 7 | byte & 0x7F
        if value >= _MOST:
            raise Malformed("a number that is too large")
        if len(spelled) < 3 or (len(spelled) == 3 and len(self) < _MOST_READ):
            self[spelled] = value
        return value


_MOST_READ = 1 << 15
_READ = _Read()


class _Reader:
    def __init__(self, data: bytes, budget: Budget) -> None:
        self._data, self._at, self._budget = data, 0, budget

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def end(self) -> None:
        if self.more:
            raise Malformed("there is more than tables")

    def number(self) -> int:
        return self.numbers(1)[0]

    def all_numbers(self) -> list[int]:
        """Up to the end."""
        found: list[int] = []
        while self.more:
            found += self._some(len(self._data) - self._at)
        return found

    def numbers(self, count: int) -> list[int]:
        data, at = self._data, self._at
        if count > len(data) - at:  # each takes a byte at least
            raise Malformed("figures that end too early")
        if count and max(small := data[at : at + count]) < 0x80:
            self._at = at + count
            return list(small)
        found: list[int] = []
        while len(found) < count:
            found += self._some(count - len(found))
        return found

    def _some(self, most: int) -> list[int]:
        """The next ones, one at the least and at most so many."""
        most = min(most, _PART)
        end = self._at + 2 * most + _MOST_LENGTH
        spelled = _NUMBERS.findall(self._data, self._at, end)[:most]
        if not spelled:
            ends = end >= len(self._data)
            raise Malformed("figures that end too early" if ends else "a number that is too large")
        self._at += sum(map(len, spelled))
        return [_READ[one] for one in spelled]

    def _pass(self, count: int) -> None:
        """Numbers that nobody wants to know: each ends with the one byte of it that is below 0x80."""
        end, left = self._at + _MOST_LENGTH * count, count
        while left:
            some = self._data[self._at : self._at + left]
            self._at += left
            if self._at > min(end, len(self._data)):
                raise Malformed("figures that end too early, or a number that is too large")
            left -= len(some.translate(None, _GOES_ON))

    def table(self, keys: int, columns: int, base: Table | None, wanted: Collection[int]) -> Table:
        rows, *shape, known = self.numbers(4)
        if shape != [keys if rows else 0, columns]:
            raise Malformed(f"a table of {shape} columns in place of {keys} and {columns}")
        self._budget.take_rows(rows)
        if not known:
            found = self._keys(rows, keys)
        elif base is None or len(base.keys) != rows:
            raise Malformed("the keys of a table that is not there")
        else:
            found = base.keys
        if rows * columns > MOST_FIGURES:
            raise Malformed("too many figures")
        bases = dict(zip(wanted, _bases(found, wanted, base), strict=True))
        return Table(
            found,
            tuple(
                self._column(bases[number]) if number in bases else self._passed_over(rows)
                for number in range(columns)
            ),
        )

    def _keys(self, rows: int, keys: int) -> tuple[Key, ...]:
        columns = []
        for position in range(keys):
            codes = self.numbers(rows)
            columns.append(list(accumulate(codes if position == 0 else map(_unzigzag, codes))))
        found = tuple(zip(*columns, strict=True))
        if any(map(le, found[1:], found)):
            raise Malformed("keys that do not ascend")
        return found

    def _shift(self) -> int:
        shift = self.number()
        if shift > _MOST_SHIFT and shift != _UNCHANGED:
            raise Malformed("a shift that is too large")
        return shift

    def _passed_over(self, rows: int) -> Column:
        if self._shift() != _UNCHANGED:
            self._pass(rows)
        return ()

    def _column(self, before: Column) -> Column:
        shift = self._shift()
        if shift == _UNCHANGED:
            return before
        codes = self.numbers(len(before))
        try:
            if 0 not in codes:
                return tuple(
                    [
                        base + (code >> 1 << shift if code & 1 else -(code >> 1 << shift))  # type: ignore[operator]
                        for code, base in zip(codes, before, strict=True)
                    ]
                )
        except TypeError:  # some bases are unknown
            pass
        return tuple(
            None if code == 0 else (base or 0) + (_unzigzag(code - 1) << shift)
            for code, base in zip(codes, before, strict=True)
        )


def _unzigzag(code: int) -> int:
    return -((code + 1) >> 1) if code & 1 else code >> 1
