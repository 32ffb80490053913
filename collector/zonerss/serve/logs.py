"""The log of the server: sentences on standard error, with levels where the journal reads them (sd-daemon(3))."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from zonerss.serve.notify import journal_stream
from zonerss.views.text import printable

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
"""Levels of syslog(3)."""


class Log:
    """Prints sentences."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._journal = journal_stream(environ)
        self._said: dict[str, str] = {}

    def say(self, sentence: str, level: int = INFO) -> None:
        """Print it; what strangers named in it is made safe to print."""
        prefix = f"<{level}>" if self._journal else "zonerss: "
        try:
            print(prefix + printable(sentence), file=sys.stderr, flush=True)
        except (OSError, ValueError):  # nobody reads it any more
            return

    def say_once(self, topic: str, sentence: str, level: int = INFO) -> None:
        """Print it, unless it is what was last said about the topic; empty: the topic is over, and may come again."""
        if self._said.get(topic, "") != sentence:
            self._said[topic] = sentence
            if sentence:
                self.say(sentence, level)
