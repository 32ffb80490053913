"""What a verb does, and what the words mean that zonerss uses.

`zonerss help VERB` is `zonerss VERB --help`. `zonerss help words` prints all words, `zonerss help WORD` one of them.
"""

from __future__ import annotations

import argparse

from zonerss.commands.parser import overview, terminal_columns, verb_parser
from zonerss.commands.verbs import VERBS
from zonerss.errors import UsageError, did_you_mean, nearest
from zonerss.views.glossary import WORDS, render


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("word", nargs="*", metavar="VERB|WORD", help="a verb, a word, or: words")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    word = " ".join(args.word)
    if word not in ("", "words", *VERBS, *WORDS):
        close = did_you_mean(nearest(word, (*VERBS, *WORDS)))
        raise UsageError(
            f"{word!r} is no verb and has no special meaning here; {close or '`zonerss help words` lists the words'}"
        )
    width = min(terminal_columns(), 100)
    if word in ("words", *WORDS):
        print("\n".join(render([word] if word in WORDS else list(WORDS), width)))
    if word in ("", *VERBS):  # some words are both
        parser = verb_parser(word) if word else overview()
        print("\n" * (word in WORDS) + parser.format_help(), end="")
    return 0
