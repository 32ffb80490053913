"""The metrics that move, in both formats, and that they end those of a look."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic
from tests.unit.builders import look

from zonerss.serve.metrics import exposition
from zonerss.serve.moving import END, LOST, Traffic, moving_exposition


def traffic() -> Traffic:
    found = Traffic(connections=7)
    found.answers[200] += 11
    found.answers[404] += 3
    found.lost["silent"] += 5
    return found


def test_openmetrics_of_a_look_goes_on_with_what_moves() -> None:
    text = exposition(look(), openmetrics=True).removesuffix(END)
    assert not text.endswith(END)
    text += moving_exposition(12.5, traffic(), openmetrics=True)
    samples = {
        (s.name, tuple(s.labels.values())): s.value
        for f in parse_openmetrics(text.decode())
        for s in f.samples
    }
    assert samples["zonerss_walk_age_seconds", ()] == 12.5
    assert samples["zonerss_http_connections", ()] == 7
    assert samples["zonerss_http_answers_total", ("200",)] == 11
    assert samples["zonerss_http_answers_total", ("404",)] == 3
    assert samples["zonerss_http_lost_total", ("silent",)] == 5
    assert len([name for name, _ in samples if name == "zonerss_http_lost_total"]) == len(LOST)


def test_the_classic_format_has_the_same() -> None:
    text = exposition(look(), openmetrics=False) + moving_exposition(0.25, traffic(), openmetrics=False)
    families = list(parse_classic(text.decode()))
    assert END not in text
    assert len({family.name for family in families}) == len(families)
    samples = {(s.name, tuple(s.labels.values())): s.value for f in families for s in f.samples}
    assert samples["zonerss_walk_age_seconds", ()] == 0.25
    assert samples["zonerss_http_answers_total", ("404",)] == 3
