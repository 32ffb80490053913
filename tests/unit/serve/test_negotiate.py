"""Which form of an answer a client gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.serve.negotiate import takes_gzip, wants_openmetrics

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_CLASSIC = "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.3"


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/html,*/*;q=0.8", False),
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        (PROMETHEUS_CLASSIC, False),
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text; Version=1.0.0", True),
        ("application/openmetrics-text; version=2.0.0", False),
        ("application/openmetrics-text;q=0, text/plain", False),
        ("application/openmetrics-text;q=nan", True),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", False),
    ],
)
def test_openmetrics_only_where_it_is_preferred(accept: str | None, openmetrics: bool) -> None:
    assert wants_openmetrics(accept) is openmetrics


@pytest.mark.parametrize(
    ("encoding", "gzip"),
    [
        (None, False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("identity, *;q=0", False),
        ("*", True),
        ("x-gzip", True),
        ("*, gzip;q=0", False),
        ("br", False),
    ],
)
def test_gzip_only_where_it_is_taken(encoding: str | None, gzip: bool) -> None:
    assert takes_gzip(encoding) is gzip


@given(st.text())
def test_any_header_is_decided(header: str) -> None:
    wants_openmetrics(header)
    takes_gzip(header)
