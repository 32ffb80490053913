"""The command line: one module for each verb, and the only place that prints errors and picks the exit status.

A verb's module has a docstring, which is its help, ``prepare(parser)`` and ``run(args)``. Only the module of the verb
that was asked for is imported. What stands in a verb's place and is none names a zone: its page is shown.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from zonerss.commands.quick import PLAIN, quickly
from zonerss.commands.verbs import CONFIGURATION, NOT_CONFIGURED, PAGE, VERBS
from zonerss.errors import (
    EXHAUSTED,
    AmbiguousZone,
    UnknownZone,
    UsageError,
    ZonerssError,
    did_you_mean,
    nearest,
)
from zonerss.kernel import stand_in
from zonerss.kernel.cgroup_namespace import enter_host
from zonerss.views.text import ESCAPE, printable

if TYPE_CHECKING:
    from argparse import Namespace

LATE_IMPORTS = {
    ("__main__", "commands"): 30,  # of every command: a signal is to end it there, too
    ("commands.watching", "commands.past"): 9,
    ("commands.top", "commands.past"): 9,
    ("commands.explain", "commands.past"): 9,
    ("commands.top", "history.recording"): 8,
    ("commands.top", "history.replay"): 9,
    ("commands.show", "answers.explain.account"): 6,
    ("commands.show", "census.tree"): 1,
    ("commands.show", "views.tree"): 1,
    ("commands.top", "views.top_app"): 273,  # textual
    ("commands.serve", "serve.logs"): 1,
    ("commands.serve", "serve.server"): 370,  # aiohttp, prometheus_client, bcrypt, PyYAML
    ("commands.export", "duckdb"): 98,
    ("kernel.roster", "kernel.events"): 5,
    ("kernel.roster", "kernel.task_iterator"): 1,
    ("kernel.events", "pyroute2.netlink.connector"): 105,
    ("kernel.events", "pyroute2"): 240,  # where the former is not there
    ("snapshot", "flight"): 2,  # and threading
    ("kernel.compiler", "bcc"): 69,
    ("snapshot", "motion.window"): 11,
    ("history.blackbox", "motion.victims"): 3,
    ("snapshot", "walk.arming"): 1,
    ("snapshot", "walk.cold"): 4,  # and walk.arming
    ("snapshot", "walk.mapcounts"): 1,
    ("snapshot", "walk.incore"): 2,
    ("evidence", "walk.files"): 3,
    ("evidence", "walk.mapcounts"): 1,
    ("evidence", "walk.opened"): 3,
    ("evidence", "walk.payers"): 2,
    ("evidence", "walk.ram"): 1,
    ("evidence", "kernel.counters"): 1,
    ("evidence", "kernel.images"): 1,
    ("evidence", "kernel.shmem"): 6,
    ("walk.ram", "concurrent.futures"): 8,
    ("views.share", "rich.console"): 27,
    ("views.share", "rich.text"): 27,
    ("errors", "difflib"): 1,
    ("commands", "commands.parser"): 10,  # argparse, gettext; and 5 to build a verb's parser
    ("commands", "commands.configuration"): 1,
    ("commands.quantities", "argparse"): 4,
    ("commands.names", "commands.configuration"): 68,
    ("commands.names", "commands.options"): 67,
    ("commands.zone", "commands.past"): 9,
    ("commands.configuration", "commands.past"): 9,
    ("commands.zone", "cap.status"): 8,
    ("commands.zone", "cap.foretold"): 12,
    ("views.zone", "views.cap"): 9,
    ("views.zone", "views.report"): 30,
    ("commands.zone", "answers.watched"): 16,
    ("commands.watching", "answers.growth"): 3,
    ("zones.rules", "tomllib"): 4,
    ("kernel.engines", "tomllib"): 4,
    ("kernel.cgroup_namespace", "ctypes"): 3,
    ("kernel.parent", "ctypes"): 3,
}
"""
The imports that stand in functions, as (module, what it imports), and the milliseconds of processor time that each
would add to every cold start (process_time() around the import, best of three, two busy cores). `zonerss --json` takes
about 190 ms in all. What costs less than half a millisecond stands at the top of its module, and so does what every
command needs. Beside these, the package's __init__ and main() below import only the module that is asked for.
"""


def main(arguments: Sequence[str], may_fork: bool = False) -> int:
    """
    Run one command.

    :param may_fork: a command that may be left waiting for a file system works in a child of this process
    :return: 0 done; 1 could not, with one line on stderr; 2 wrong usage
    """
    status = _main(arguments, may_fork)
    stand_in.tell(status)
    return status


def _main(arguments: Sequence[str], may_fork: bool) -> int:
    _replace_closed_files()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPE)
    if sys.stdout is None:
        return _refuse("standard output is closed: there is nowhere to print to", 1)
    try:
        return _run(list(arguments), may_fork)
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
        return _interrupted()
    except RuntimeError as err:
        # Python before 3.12 puts one around what is raised while the body of a class is made, in a late import.
        if not isinstance(err.__cause__, KeyboardInterrupt):
            raise
        return _interrupted()


def _replace_closed_files() -> None:
    """
    Open /dev/null for standard files that are closed: no file of ours is to get their numbers.

    Messages go there, too: Python has no standard error then, and print() without one writes to standard output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _interrupted() -> int:
    """End by the signal, so that a shell script around us ends, too."""
    stand_in.tell(-signal.SIGINT)
    return _killed(signal.SIGINT)


def _killed(number: int) -> int:
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def _may_be_left_waiting(verb: str, args: Namespace) -> bool:
    """It opens files of overlays, below which FUSE may lie. What serves is a service; top has a child already."""
    by_incore = getattr(args, "basis", "mapped") == "incore" or getattr(args, "numbers", False)
    return by_incore and verb not in ("serve", "top")


def _run(words: list[str], may_fork: bool) -> int:
    if words == ["--names"]:
        return int(import_module("zonerss.commands.names").run())
    verb, rest = split_verb(words)
    if verb is None:
        from zonerss.commands.parser import overview

        overview().parse_args(words)  # prints what was asked for, and exits
        return 0
    args = parse(verb, rest)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as run() leaves it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if may_fork and _may_be_left_waiting(verb, args):
        status = stand_in.begin()
        if status is not None:
            return status if status >= 0 else _killed(-status)
    enter_host()  # while there is one thread
    try:
        status = int(args.run(args))
    except UnknownZone as err:
        is_verb = words[:1] != rest[:1] or rest[0] != err.zone
        if is_verb or isinstance(err, AmbiguousZone) or getattr(args, "recording", None):
            raise
        raise _neither(err) from err
    except UsageError as err:
        options = getattr(args, "configured", {}).values()
        option = next((option for option in options if option.is_told_in(str(err))), None)
        if option is None:
            raise
        raise option.error(str(err)) from err.__cause__
    sys.stdout.flush()
    return status


def _neither(err: UnknownZone) -> ZonerssError:
    """What to say of a word that was taken for a zone because it is no verb."""
    verbs = [f"`zonerss {name}`" for name in nearest(err.zone, VERBS)]
    hint = did_you_mean([*verbs, *err.close]) or "`zonerss show` lists the zones, `zonerss --help` the verbs"
    sentence = f"{err.zone!r} is neither a verb nor a zone of this host; {hint}"
    return UsageError(sentence) if verbs else UnknownZone(sentence, err.zone)


def split_verb(words: list[str]) -> tuple[str | None, list[str]]:
    """
    The verb of a command, and its arguments.

    Options may come first: `zonerss --by user` is `zonerss show --by user`. None: it asks about zonerss itself.
    """
    if words[:1] in (["-h"], ["--help"], ["--version"]):
        return None, []
    if not words or words[0].startswith("-"):
        return "show", words
    return (words[0], words[1:]) if words[0] in VERBS else (PAGE, words)


def parse(verb: str, words: Sequence[str]) -> Namespace:
    """
    The arguments of a verb, from its words and from the configuration, as its run() takes them.

    :raises UsageError: they are not as its --help says
    """
    place = configuration_file(words)
    if place is None and verb in PLAIN:
        quick = quickly(import_module(f"zonerss.commands.{verb}"), verb, words)
        if quick is not None:
            return quick
    from zonerss.commands.parser import verb_parser

    parser = verb_parser(verb)
    parser.set_defaults(configuration=place)
    if place is None or verb in NOT_CONFIGURED:
        return parser.parse_words(words)
    from zonerss.commands import configuration

    found = configuration.read_configuration(*place, VERBS)
    defaults = configuration.Defaults(parser, verb, found)
    return defaults.complete(parser.parse_words(words, defaults.begin))


def configuration_file(words: Sequence[str]) -> tuple[str, bool] | None:
    """
    The file of the configuration, and whether it was named; None: there is none.

    --no-config, --config and the environment variable ZONERSS_CONFIG decide in this order; empty, the last means none.
    Without them it is :data:`CONFIGURATION`, which may be missing.
    """
    options = list(words[: words.index("--")] if "--" in words else words)
    if "--no-config" in options:
        return None
    for number, word in enumerate(options, start=1):
        if word == "--config" and number < len(options):
            return options[number], True
        if word.startswith("--config="):
            return word.partition("=")[2], True
    if (named := os.environ.get("ZONERSS_CONFIG")) is not None:
        return (named, True) if named else None
    return (CONFIGURATION, False) if os.path.lexists(os.path.dirname(CONFIGURATION)) else None


def _exhaustion(err: BaseException | None) -> str | None:
    """The sentence for files or memory that we lack; None: it is something else."""
    return EXHAUSTED.get(err.errno or 0) if isinstance(err, OSError) else None


def _refuse(sentence: str, status: int) -> int:
    print(f"zonerss: {printable(sentence)}", file=sys.stderr)
    return status


def _drop_output() -> None:
    """Discard what is still to be printed: Python would try again at exit and print an error."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
