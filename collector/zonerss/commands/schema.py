"""The JSON Schema of a document: `zonerss schema snapshot` prints zonerss.snapshot/1's, `zonerss schema` the list.

A schema says which fields there are, of which type, in which unit, and what null means. It is that of this version and
allows no other fields: check documents with the schema of the zonerss that wrote them.
"""

from __future__ import annotations

import argparse
import json

from zonerss.errors import UsageError, did_you_mean, nearest
from zonerss.schemas import names, schema_of
from zonerss.views.schema import render
from zonerss.views.terminal import find_terminal, printing_to


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="which document: snapshot, sharing, ... (default: list them)"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    if args.name is None:
        with printing_to(find_terminal()):
            print("\n".join(render([schema_of(name) for name in names()])))
    else:
        print(json.dumps(schema_of(_find(args.name)), indent=2))
    return 0


def _find(spelled: str) -> str:
    """snapshot, snapshot/1 and zonerss.snapshot/1 are the same document."""
    name = spelled.removeprefix("zonerss.").removesuffix("/1")
    if name in names():
        return name
    meant = did_you_mean(nearest(name, names(), 1))
    raise UsageError(
        f"there is no document {spelled!r}: {meant + ' ' if meant else ''}`zonerss schema` lists them"
    )
