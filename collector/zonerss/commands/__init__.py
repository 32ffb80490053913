"""The command line: one module for each verb, and the only place that prints errors and picks the exit status.

A verb's module has a docstring, which is its help, ``prepare(parser)`` and ``run(args)``. Only the module of the verb
that was asked for is imported.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from zonerss import __version__
from zonerss.errors import EXHAUSTED, UsageError, ZonerssError
from zonerss.views.text import ESCAPE, printable

VERBS = {
    "show": "what each zone uses (the default)",
    "zone": "all about a zone on one page",
    "ps": "what each process maps",
    "frames": "the pages of one process, mapping by mapping",
    "share": "who shares what with whom",
    "files": "which files a zone maps, and who else maps them",
    "whatif": "what would be freed if zones ended",
    "top": "what each zone uses, live",
    "explain": "from the RSS that ps shows to what the kernel charges",
    "check": "what this kernel and these privileges allow",
    "schema": "the JSON Schema of each document",
    "help": "what the words mean that zonerss uses",
}

LATE_IMPORTS = {
    ("commands.show", "census.tree"): 1,
    ("commands.show", "views.tree"): 1,
    ("commands.top", "views.top_app"): 273,  # textual
    ("kernel.roster", "kernel.events"): 5,
    ("kernel.events", "pyroute2"): 212,
    ("snapshot", "flight"): 2,  # and threading
    ("kernel.compiler", "bcc"): 69,
    ("snapshot", "motion.window"): 11,
    ("snapshot", "walk.files"): 3,
    ("snapshot", "walk.incore"): 2,
    ("snapshot", "walk.payers"): 2,
    ("snapshot", "walk.ram"): 1,
    ("views.share", "rich.console"): 27,
    ("views.share", "rich.text"): 27,
    ("zones.labels", "difflib"): 1,
    ("zones.rules", "tomllib"): 4,
    ("kernel.engines", "tomllib"): 4,
}
"""
The imports that stand in functions, as (module, what it imports), and the milliseconds of processor time that each
would add to every cold start (process_time() around the import, best of three, two busy cores). `zonerss --json` takes
about 190 ms in all. What costs less than half a millisecond stands at the top of its module, and so does what every
command needs. Beside these, the package's __init__ and main() below import only the module that is asked for.
"""


def main(arguments: Sequence[str]) -> int:
    """
    Run one command.

    :return: 0 done; 1 could not, with one line on stderr; 2 wrong usage
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPE)
    words = list(arguments)
    verb = next((word for word in words if not word.startswith("-")), None)
    # Options of show may come first: `zonerss --by user` is `zonerss show --by user`.
    if (not words or words[0].startswith("-")) and words[:1] not in (["-h"], ["--help"], ["--version"]):
        words, verb = ["show", *words], "show"
    if sys.stdout is None:
        return _refuse("standard output is closed: there is nowhere to print to", 1)
    try:
        args = _parser(verb if verb in VERBS else None).parse_args(words)
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except ZonerssError as err:
        return _refuse(_exhaustion(err.__cause__) or str(err), err.exit_status)
    except BrokenPipeError:
        _drop_output()  # the reader has closed the pipe
        return 0
    except OSError as err:
        _drop_output()
        return _refuse(_exhaustion(err) or f"{'cannot go on' if err.filename else 'cannot print'}: {err}", 1)
    except MemoryError:
        _drop_output()
        return _refuse(EXHAUSTED[errno.ENOMEM], 1)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)  # so that a shell script around us ends, too
        return 130


def _exhaustion(err: BaseException | None) -> str | None:
    """The sentence for files or memory that we lack; None: it is something else."""
    return EXHAUSTED.get(err.errno or 0) if isinstance(err, OSError) else None


def _refuse(sentence: str, status: int) -> int:
    if sys.stderr is not None:
        print(f"zonerss: {printable(sentence)}", file=sys.stderr)
    return status


def _drop_output() -> None:
    """Discard what is still to be printed: Python would try again at exit and print an error."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is for those who ask for it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


def _parser(verb: str | None) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="zonerss",
        description="How much physical memory each container, service and user uses: every page counts once "
        "per zone, as the page tables map it. Run as root.",
        epilog="`zonerss VERB --help` tells more; `zonerss help words` says what the words mean.",
    )
    parser.add_argument("--version", action="version", version=f"zonerss {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True, title="verbs")
    for name, summary in VERBS.items():
        sub = verbs.add_parser(name, help=summary, allow_abbrev=False)
        if name == verb:
            module = import_module(f"zonerss.commands.{name}")
            sub.description = module.__doc__
            sub.formatter_class = argparse.RawDescriptionHelpFormatter
            module.prepare(sub)
            sub.set_defaults(run=module.run, verb=name)
    return parser
