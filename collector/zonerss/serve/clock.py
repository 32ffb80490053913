"""What walks cost in processor time, whatever clients cost meanwhile."""

from __future__ import annotations

import threading
import time


class WalkClock:
    """
    Processor time of this process, less that of its threads that do not walk.

    Threads that walk cannot be counted themselves: those that end leave their time to the process only.
    """

    def __init__(self) -> None:
        self._others: list[int] = []

    def leave_out(self) -> None:
        """The thread that calls this does not walk. It is to live as long as seconds() is called."""
        self._others.append(time.pthread_getcpuclockid(threading.get_ident()))

    def seconds(self) -> float:
        """Since some time. Only differences tell something."""
        return time.process_time() - sum(map(time.clock_gettime, self._others))
