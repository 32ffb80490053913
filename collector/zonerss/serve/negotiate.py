"""Which form of an answer a client wants, by its Accept and Accept-Encoding headers (RFC 9110, 12.5). Pure."""

from __future__ import annotations

from collections.abc import Iterator

CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_MOST = 32
"""So many alternatives are looked at."""


def wants_openmetrics(accept: str | None) -> bool:
    """Whether OpenMetrics is preferred over the classic text format; Prometheus names both, with weights."""
    found = {"openmetrics": 0.0, "classic": 0.0}
    for name, parameters, weight in _alternatives(accept or ""):
        if name == "application/openmetrics-text" and parameters.get("version", "1.0.0") in (
            "1.0.0",
            "0.0.1",
        ):
            found["openmetrics"] = max(found["openmetrics"], weight)
        elif name in ("text/plain", "text/*", "*/*") and parameters.get("version", "0.0.4") == "0.0.4":
            found["classic"] = max(found["classic"], weight)
    return found["openmetrics"] > 0 and found["openmetrics"] >= found["classic"]


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether an answer may be compressed by gzip."""
    weights = {name: weight for name, _, weight in _alternatives(accept_encoding or "")}
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _alternatives(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, parameters and weight of each; one without a weight that can be read has 1."""
    for part in header.split(",", _MOST)[:_MOST]:
        name, *rest = (word.strip().lower() for word in part.split(";"))
        parameters = {
            key.strip(): value.strip(' "') for key, _, value in (word.partition("=") for word in rest)
        }
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 1.0
        yield name, parameters, weight if 0 <= weight <= 1 else 1.0
