"""What this kernel and these privileges allow, source by source, and what to do where something is missing.

`zonerss --source auto` takes the fastest source that can serve. All sources give the same figures; what is missing here
changes only their cost and which of them are known. Then what `zonerss serve` needs and which capabilities it keeps;
then the options and rules of the configuration that are in force, and from where. Exits with 1 if no source of frames
can serve, or there is an error in the configuration.
"""

from __future__ import annotations

import argparse

from zonerss.commands.configuration import probe
from zonerss.commands.parser import verb_parser
from zonerss.commands.verbs import VERBS
from zonerss.commands.watching import put
from zonerss.serve.probe import probe_serve
from zonerss.views.check import document, render
from zonerss.walk.probe import kernel_release, probe_host

_SOURCES = ("pagemap", "pagetable")


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("--json", action="store_true", help="print JSON (zonerss.check/1)")
    parser.set_defaults(watch=None)


def run(args: argparse.Namespace) -> int:
    """Try everything and print what was found; 1 if no source of frames serves."""
    configured = probe(args.configuration, VERBS, verb_parser)
    release, probes = kernel_release(), (*probe_host(), probe_serve(), configured)
    put(args, lambda: document(release, probes), lambda: render(release, probes))
    has_source = any(probe.serves for probe in probes if probe.name in _SOURCES)
    return 0 if has_source and configured.serves else 1
