"""What this kernel and these privileges allow, source by source, and what to do about each no.

`zonerss --source auto` takes the best of the sources that serve; nothing here changes what the figures are, only
what they cost and which of them are known. Exits with 1 if no source of frames serves.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import Any

from zonerss.kernel.probe import Fact, Probe, kernel_release, probe_host
from zonerss.views.text import encodable, printable

NAME = "check"
SCHEMA = "zonerss.check/1"

_TITLES = {
    "pagemap": "Frames by /proc/PID/pagemap",
    "pagetable": "Frames from page tables, by BPF",
    "tracing": "Following changes",
    "cgroups": "Zones",
}
_SOURCES = ("pagemap", "pagetable")
_MARKS = {True: "yes", False: "no", None: "-"}


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("--json", action="store_true", help="print JSON (zonerss.check/1)")
    parser.add_argument(
        "--unpin",
        action="store_true",
        help="remove what zonerss has pinned in bpffs: nothing, as it pins nothing (docs/pagetable.md)",
    )


def run(args: argparse.Namespace) -> int:
    """Try everything and print what was found."""
    if args.unpin:
        print(json.dumps({"schema": SCHEMA, "unpinned": []}) if args.json else "Nothing is pinned in bpffs.")
        return 0
    probes = probe_host()
    if args.json:
        print(json.dumps(document(probes), indent=2, ensure_ascii=False))
    else:
        print("\n".join(printable(line) for line in render(probes)))
    return 0 if any(probe.serves for probe in probes if probe.name in _SOURCES) else 1


def document(probes: Iterable[Probe]) -> dict[str, Any]:
    """``zonerss.check/1``. ``holds`` is null where it was not tried; names stay, texts may change."""
    return {
        "schema": SCHEMA,
        "kernel": encodable(kernel_release()),
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


def render(probes: Iterable[Probe]) -> list[str]:
    """One paragraph for each part: whether it serves, then each fact, each no with its fix."""
    lines = [kernel_release()]
    for probe in probes:
        verdict = "serves" if probe.serves else "cannot serve"
        lines += ["", f"{_TITLES.get(probe.name, probe.name)}: {verdict}"]
        lines += [f"  {_MARKS[fact.holds]:<4} {sentence(fact)}" for fact in probe.facts]
    return lines


def sentence(fact: Fact) -> str:
    """What was found, and what to do about it."""
    return f"{fact.text}: {fact.fix}" if fact.fix and fact.holds is not True else fact.text
