"""What this kernel and our privileges allow: paragraphs, or a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zonerss.records.facts import Fact, Probe
from zonerss.views.document import Sentences
from zonerss.views.text import encodable, printable

_TITLES = {
    "pagemap": "Frames by /proc/PID/pagemap",
    "pagetable": "Frames from page tables, by BPF",
    "tracing": "Following changes",
    "cgroups": "Zones",
    "serve": "Metrics and a page (zonerss serve)",
    "configuration": "Configuration",
}
_VERDICTS = {"configuration": ("in force", "not used")}
_MARKS = {True: "yes", False: "no", None: "-"}


def document(release: str, probes: Iterable[Probe]) -> dict[str, Any]:
    """
    ``zonerss.check/1``. ``holds`` is null where it was not tried; names stay, texts may change.

    :param release: of the kernel, and its architecture
    """
    fields = {
        "schema": "zonerss.check/1",
        "kernel": encodable(release),
        "parts": [
            {
                "part": probe.name,
                "serves": probe.serves,
                "why_not": encodable(sentence(probe.why_not)) if probe.why_not else None,
                "facts": [
                    {
                        "name": fact.name,
                        "holds": fact.holds,
                        "text": encodable(fact.text),
                        "fix": fact.fix or None,
                    }
                    for fact in probe.facts
                ],
            }
            for probe in probes
        ],
    }
    return Sentences(fields)


def render(release: str, probes: Iterable[Probe]) -> list[str]:
    """One paragraph for each part: whether it serves, then each fact, each no with its fix."""
    lines = [release]
    for probe in probes:
        verdict = _VERDICTS.get(probe.name, ("serves", "cannot serve"))[not probe.serves]
        lines += ["", f"{_TITLES.get(probe.name, probe.name)}: {verdict}"]
        lines += [f"  {_MARKS[fact.holds]:<4} {sentence(fact)}" for fact in probe.facts]
    return list(map(printable, lines))


def sentence(fact: Fact) -> str:
    """What was found, and what to do about it."""
    return f"{fact.text}: {fact.fix}" if fact.fix and fact.holds is not True else fact.text
