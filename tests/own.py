"""The name of this test run: everything that it makes outside of pytest's directory begins with it."""

from __future__ import annotations

import os
import re

PREFIX = "zonerss-test-"
NAME = f"{PREFIX}{os.getpid()}"


def pid_of(name: str) -> int | None:
    """Of the test run that made something of this name; None: nothing of a test run."""
    match = re.match(rf"{PREFIX}(\d+)\b", name)
    return int(match[1]) if match else None
