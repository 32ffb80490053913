"""The pages of one process, mapping by mapping.

For each mapping: its present pages by kind, those in huge pages, of the zero page and in swap; and how many pages have
which mapcount (how often they are mapped, host-wide). --pfn lists runs of frame numbers, which are sensitive host
information.
"""

from __future__ import annotations

import argparse

from zonerss.answers.frames import count_pages
from zonerss.commands.options import add_output_options, process_id
from zonerss.commands.watching import put
from zonerss.kernel.meminfo import read_machine
from zonerss.kernel.roots import HOST
from zonerss.views.frames import document, render
from zonerss.walk.frames import frames


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("pid", type=process_id, metavar="PID", help="the process")
    parser.add_argument(
        "--pfn", action="store_true", help="list runs of frame numbers: sensitive host information"
    )
    add_output_options(parser)
    parser.set_defaults(watch=None)


def run(args: argparse.Namespace) -> int:
    """Read the pages of the process and print what was counted."""
    rows = [count_pages(pages, args.pfn) for pages in frames(args.pid)]
    put(
        args,
        lambda: document(args.pid, rows, args.pfn, read_machine(HOST)),
        lambda: render(rows, args.pfn, args.bytes),
    )
    return 0
