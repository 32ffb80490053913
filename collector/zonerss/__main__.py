"""The command ``zonerss``; ``python -m zonerss`` is the same."""

from __future__ import annotations

import sys

from zonerss.commands import main


def run() -> None:
    """Run the command line of this process and exit with its status."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
