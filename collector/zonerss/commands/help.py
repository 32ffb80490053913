"""What the words mean that zonerss uses: `zonerss help words` prints all of them, `zonerss help WORD` one of them."""

from __future__ import annotations

import argparse
import shutil

from zonerss.errors import UsageError
from zonerss.views.glossary import WORDS, render


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "word", nargs="*", metavar="WORD", help="words (default: all of them), or one of them"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    word = " ".join(args.word)
    if word not in ("", "words", *WORDS):
        raise UsageError(
            f"{word!r} has no special meaning here; `zonerss help words` lists the words that have"
        )
    width = min(shutil.get_terminal_size().columns, 100)
    print("\n".join(render([word] if word in WORDS else list(WORDS), width)))
    return 0
