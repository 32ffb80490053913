"""Tables of figures as bytes and back; bytes that are none."""

from __future__ import annotations

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.history.figures import (
    MOST_BYTES,
    MOST_ROWS,
    Budget,
    Malformed,
    Table,
    inflate,
    pack,
    pack_numbers,
    unpack,
    unpack_numbers,
)

FIGURES = st.none() | st.integers(-(1 << 64), 1 << 64) | st.integers(-4, 4).map(lambda n: n * 4096)
KEYS = st.tuples(st.integers(0, 9), st.integers(-(1 << 63), (1 << 64) - 1) | st.integers(0, 9))
TABLES = st.dictionaries(KEYS, st.tuples(FIGURES, FIGURES, FIGURES)).map(
    lambda rows: Table.of(rows.items(), 2, 3)
)
SHAPES = ((2, 3), (2, 3))


@given(st.tuples(TABLES, TABLES), st.none() | st.tuples(TABLES, TABLES))
def test_there_and_back(tables: tuple[Table, Table], base: tuple[Table, Table] | None) -> None:
    assert unpack(pack(tables, base), SHAPES, base) == list(tables)


@given(st.tuples(TABLES, TABLES), st.none() | st.tuples(TABLES, TABLES), st.sets(st.integers(0, 2)))
def test_columns_that_nobody_wants_are_passed_over(
    tables: tuple[Table, Table], base: tuple[Table, Table] | None, wanted: set[int]
) -> None:
    def some(table: Table) -> Table:
        return Table(
            table.keys, tuple(column if n in wanted else () for n, column in enumerate(table.columns))
        )

    chosen = [wanted, range(3)]
    before = None if base is None else (some(base[0]), base[1])
    assert unpack(pack(tables, base), SHAPES, before, wanted=chosen) == [some(tables[0]), tables[1]]


@pytest.mark.parametrize("number", [b"\xff" * 10 + b"\x00", b"\xff" * (1 << 20) + b"\x00", b"\x80"])
def test_what_is_passed_over_is_bounded(number: bytes) -> None:
    head = bytes([1, 1, 1, 0, 5, 0])
    with pytest.raises(Malformed):
        unpack(zlib.compress(head + number), [(1, 1)], wanted=[()])
    assert unpack(zlib.compress(head + b"\x83\x00"), [(1, 1)], wanted=[()]) == [Table(((5,),), ((),))]


@given(TABLES)
def test_what_is_as_before_takes_no_room(table: Table) -> None:
    assert len(zlib.decompress(pack([table], [table]))) <= 3 * len(table.columns) + 8


@given(st.lists(st.integers(0, 1 << 40), unique=True).map(sorted))
def test_ascending_numbers(numbers: list[int]) -> None:
    assert unpack_numbers(pack_numbers(numbers)) == tuple(numbers)


@given(st.binary(max_size=80), TABLES)
def test_any_bytes_are_tables_or_malformed(data: bytes, base: Table) -> None:
    for blob in (data, zlib.compress(data)):
        try:
            tables = unpack(blob, SHAPES[:1], [base])
        except Malformed:
            continue
        assert tables == unpack(pack(tables, [base]), SHAPES[:1], [base])


@given(TABLES, st.data())
def test_any_damage_to_a_blob_is_malformed_or_another_table(table: Table, data: st.DataObject) -> None:
    raw = bytearray(zlib.decompress(pack([table])))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    with suppress(Malformed):
        unpack(zlib.compress(raw), SHAPES[:1])


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        zlib.compress(b"")[:-1],
        zlib.compress(b"") + b"x",
        zlib.compress(bytes(MOST_BYTES + 1)),
        zlib.compress(b"\xff\xff\xff\xff\x0f\x02\x03\x00"),
        zlib.compress(b"\x01\x02\x03\x01"),
        zlib.compress(b"\xff" * 100),
    ],
    ids=[
        "nothing",
        "cut",
        "more behind",
        "bomb",
        "rows without end",
        "keys of no table",
        "number without end",
    ],
)
def test_what_is_no_blob(blob: bytes) -> None:
    with pytest.raises(Malformed):
        unpack(blob, SHAPES[:1])


def test_a_megabyte_that_is_one_number_is_looked_at_once() -> None:
    """Not once for each of its bytes, which takes hours."""
    for end in (b"", b"\0"):
        with pytest.raises(Malformed):
            unpack_numbers(b"\xff" * (1 << 20) + end)


@pytest.mark.parametrize(("name", "most"), [("MOST_BYTES", 900), ("MOST_ROWS", 150)])
def test_all_blobs_of_a_snapshot_share_what_they_may_hold(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written or read."""
    table = Table.of([((n, n), (n, n, n)) for n in range(99)], 2, 3)
    blob = pack([table])
    assert most / 2 < {"MOST_BYTES": len(inflate(blob)), "MOST_ROWS": 99}[name] < most
    monkeypatch.setattr(f"zonerss.history.figures.{name}", most)
    for act in (
        lambda budget: pack([table], None, budget),
        lambda budget: unpack(blob, [(2, 3)], None, budget),
    ):
        budget = Budget()
        act(budget)
        with pytest.raises(Malformed):
            act(budget)


def test_rows_that_take_a_byte_each_are_bounded() -> None:
    head = pack_numbers([MOST_ROWS + 1]) + bytes([1, 1, 0])
    blob = zlib.compress(head + b"\1" * (MOST_ROWS + 1) + bytes([31]))
    assert len(blob) < 2000
    with pytest.raises(Malformed, match="more than 1,048,576 rows"):
        unpack(blob, [(1, 1)])


def test_inflating_stops_where_it_is_enough() -> None:
    with pytest.raises(Malformed):
        inflate(zlib.compress(bytes(3 * MOST_BYTES), 1))
