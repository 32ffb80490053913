"""The command ``zonerss``; ``python -m zonerss`` is the same."""

from __future__ import annotations

import signal
import sys


def run() -> None:
    """
    Run the command line of this process and exit with its status.

    Until the verb runs there is nothing to clean up, so SIGINT ends the process at once and without a word, from the
    first import on: raised in one, KeyboardInterrupt does not always arrive as itself.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from zonerss.commands import main

    sys.exit(main(sys.argv[1:], may_fork=True))


if __name__ == "__main__":
    run()
