"""The metrics that change from one request to the next, which are put behind those of a look. Pure.

How old the look is, so that nobody takes figures of an hour ago for those of now; and what the server does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from zonerss.plain import dataclass, field

END = b"# EOF\n"
"""The last line of OpenMetrics, and of nothing else."""


@dataclass(slots=True)
class Traffic:
    """What the server has done since its start."""

    answers: Counter[int] = field(default_factory=Counter)
    """By HTTP status."""
    connections: int = 0
    """Now."""
    lost: Counter[str] = field(default_factory=Counter)
    """Connections that ended without an answer, by one of LOST."""


LOST = ("handshake", "silent", "unfinished", "slow", "evicted", "refused")


def moving_exposition(age_seconds: float, traffic: Traffic, openmetrics: bool) -> bytes:
    """These metrics in the classic text format, or in OpenMetrics with its last line."""
    collector = _Fixed(tuple(_families(age_seconds, traffic)))
    made: bytes = (generate_openmetrics if openmetrics else generate_latest)(collector)
    return made


def _families(age_seconds: float, traffic: Traffic) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "zonerss_walk_age_seconds", "How long ago the walk ended whose figures these are", age_seconds
    )
    yield GaugeMetricFamily(
        "zonerss_http_connections", "Connections that are open, this one included", traffic.connections
    )
    answers = CounterMetricFamily("zonerss_http_answers", "Answers by HTTP status", labels=["code"])
    for code, count in sorted(traffic.answers.items()):
        answers.add_metric([str(code)], count)
    yield answers
    lost = CounterMetricFamily(
        "zonerss_http_lost", "Connections that ended without an answer, by cause", labels=["cause"]
    )
    for cause in LOST:
        lost.add_metric([cause], traffic.lost[cause])
    yield lost


class _Fixed(Collector):
    """Families that were made already, as a registry."""

    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        return iter(self._families)
