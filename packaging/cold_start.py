#!/usr/bin/python3
"""packaging/cold_start.py NAME=COMMAND NAME=COMMAND...: what the start of each command costs beside the first one.

Each is run once a round, in turn, for ROUNDS rounds after one that is not counted. Printed are the medians of processor
time and wall time, and of their ratios to the first command's of the same round.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import time

ROUNDS = 15


def cost_seconds(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Processor time, of its children too, and wall time of one run; a run that fails ends this."""
    before, began = os.times(), time.monotonic()
    done = subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    after, ended = os.times(), time.monotonic()
    if done.returncode:
        sys.exit(f"{shlex.join(command)}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, ended - began


def main(words: list[str]) -> None:
    commands = {name: shlex.split(command) for name, _, command in (word.partition("=") for word in words)}
    # Bytecode is there: a variable that forbids to write it would change nothing but confuse.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    rounds = [
        {name: cost_seconds(command, environment) for name, command in commands.items()}
        for _ in range(ROUNDS + 1)
    ][1:]
    first = next(iter(commands))
    width = max(map(len, commands))
    for name in commands:
        times = [statistics.median(costs[name][kind] for costs in rounds) * 1e3 for kind in (0, 1)]
        ratios = [
            statistics.median(costs[name][kind] / costs[first][kind] for costs in rounds) for kind in (0, 1)
        ]
        print(
            f"{name:{width}}  processor {times[0]:6.1f} ms ({ratios[0]:.2f})  wall {times[1]:6.1f} ms ({ratios[1]:.2f})"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
