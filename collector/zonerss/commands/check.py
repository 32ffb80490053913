"""What this kernel and these privileges allow, source by source, and what to do where something is missing.

`zonerss --source auto` takes the fastest source that can serve. All sources give the same figures; what is missing here
changes only their cost and which of them are known. Exits with 1 if no source of frames can serve.
"""

from __future__ import annotations

import argparse

from zonerss.commands.watching import put
from zonerss.views.check import document, render
from zonerss.walk.probe import kernel_release, probe_host

_SOURCES = ("pagemap", "pagetable")


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("--json", action="store_true", help="print JSON (zonerss.check/1)")
    parser.set_defaults(watch=None)


def run(args: argparse.Namespace) -> int:
    """Try everything and print what was found; 1 if no source of frames serves."""
    release, probes = kernel_release(), probe_host()
    put(args, lambda: document(release, probes), lambda: render(release, probes))
    return 0 if any(probe.serves for probe in probes if probe.name in _SOURCES) else 1
