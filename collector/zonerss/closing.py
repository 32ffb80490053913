"""What holds something of the kernel's, or a file, until it is closed."""

from __future__ import annotations

from typing import Self


class Closing:
    """Has close(), and calls it where it is a context manager's end."""

    def close(self) -> None:
        """Give back what is held. A second call does nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
