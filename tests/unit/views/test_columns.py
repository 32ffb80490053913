"""Columns: found by name or header, chosen by -o, sorted by --sort."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.unit import documents
from tests.unit.builders import KIB, process, usage
from tests.unit.views.test_share import sharing

from zonerss.errors import UsageError
from zonerss.views import ps, share, show, zone
from zonerss.views.columns import (
    COMMAND,
    EXCLUSIVE,
    HUGETLB,
    KIND,
    MORE_ZONE_COLUMNS,
    RSS,
    UNCERTAINTY,
    ZONE,
    ZONE_COLUMNS,
    args_column,
    cell,
    choose,
    find_column,
    process_columns,
    shown,
    sort_column,
    user_column,
)
from zonerss.views.explain import machine, tmpfs
from zonerss.views.table import sort_records

ALL = (*ZONE_COLUMNS, *MORE_ZONE_COLUMNS)


@pytest.mark.parametrize("name", ["exclusive", "excl", "EXCL", "Exclusive"])
def test_a_column_is_found_by_name_and_header(name: str) -> None:
    assert find_column(name, ALL) is EXCLUSIVE
    assert find_column("process-rss", ALL) is find_column("psrss", ALL)


def test_an_unknown_column_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(UsageError) as caught:
        find_column("exlcusive", ALL)
    text = str(caught.value)
    assert text.startswith("there is no column 'exlcusive'; did you mean exclusive?")
    assert all(column.name in text for column in ALL)
    with pytest.raises(UsageError, match="did you mean exclusive"):
        find_column("exlc", ALL)
    with pytest.raises(UsageError, match="there is no column 'zzz'\\. The columns are"):
        find_column("zzz", ALL)


def test_names_and_headers_mean_one_column_each() -> None:
    for columns in (ALL, (*process_columns({}), args_column({}))):
        for column in columns:
            assert find_column(column.name, columns) is column
            assert find_column(column.header, columns) is column


def test_columns_are_chosen_in_the_order_of_their_names() -> None:
    assert [column.name for column in choose("kind,rss,EXCL,rss", ZONE_COLUMNS, ALL)] == [
        "kind",
        "rss",
        "exclusive",
    ]


@pytest.mark.parametrize("names", ["+kind", "+rss,kind", "+,kind,"])
def test_with_a_plus_they_are_added(names: str) -> None:
    assert choose(names, (ZONE, RSS), ALL) == (ZONE, RSS, KIND)


@pytest.mark.parametrize("names", ["", ",", "+"])
def test_no_column_is_none(names: str) -> None:
    with pytest.raises(UsageError, match="names no column"):
        choose(names, ZONE_COLUMNS, ALL)


def test_a_column_that_is_asked_for_is_shown_where_it_is_empty() -> None:
    assert shown(choose("hugetlb,swap", (), ALL), [usage()]) != []
    assert shown([HUGETLB], [usage()]) == []
    assert shown(choose("+kind", ZONE_COLUMNS, ALL), [usage()]) == [*shown(ZONE_COLUMNS, [usage()]), KIND]


def test_a_minus_sorts_the_other_way_round_and_unknown_stays_last() -> None:
    rows = [usage("b", anon_bytes=4), usage("a", anon_bytes=8), usage("c", exclusive_bytes=None)]
    for name, order in (("rss", "cab"), ("-rss", "bac"), ("zone", "abc"), ("-zone", "cba")):
        assert "".join(row.zone for row in sort_records(rows, sort_column(name, ALL))) == order
    assert sort_records(rows, sort_column("-exclusive", ALL))[-1].zone == "c"
    assert ALL.index(sort_column("-rss", ALL)) == ALL.index(RSS)


def test_whole_bytes_of_an_uncertainty() -> None:
    row = usage(uncertainty_bytes=12 * KIB)
    assert cell(UNCERTAINTY, row) == "±12K"
    assert cell(UNCERTAINTY, row, in_bytes=True) == f"±{12 * KIB}"
    assert cell(UNCERTAINTY, usage(uncertainty_bytes=0)) == "±0"
    assert cell(UNCERTAINTY, usage()) == "–"


@pytest.mark.parametrize(
    "render",
    [
        lambda: share.render(sharing(), None, 0, True),
        lambda: machine.render(documents.machine_account(), True),
        lambda: tmpfs.render(documents.shmem_account(), True),
        lambda: zone.render(documents.page(documents.BILL_2), in_bytes=True),
        lambda: show.render(documents.snapshot(), in_bytes=True),
        lambda: ps.render(documents.snapshot(), documents.PROCESSES, process_columns({}), True),
    ],
    ids=["share", "machine", "tmpfs", "zone", "show", "ps"],
)
def test_with_bytes_every_size_is_in_bytes(render: Callable[[], list[str]]) -> None:
    text = "\n".join(render())
    assert not re.findall(r"\b\d+(?:\.\d)?[KMGT]\b", text), text


def test_an_unknown_user_is_unknown_and_not_a_name() -> None:
    column = user_column({7: "web"})
    assert [column.value(process(uid=uid)) for uid in (7, 8, None)] == ["web", "8", None]
    assert cell(column, process(uid=None)) == "–"


def test_command_lines_stand_in_the_place_of_the_names() -> None:
    columns = process_columns({}, {42: ("/usr/sbin/httpd", "-D", "a\nb")})
    assert columns[-1].name == "args"
    assert COMMAND not in columns
    assert cell(columns[-1], process()) == "/usr/sbin/httpd -D a\\x0ab"
    assert cell(columns[-1], process(43)) == "[httpd]"
