"""The C core, loaded: ``ffi`` and ``lib`` of core.h, and the one helper that turns -errno into OSError."""

from __future__ import annotations

import os
from typing import Any

from zonerss._core import _census  # type: ignore[attr-defined]

ffi: Any = _census.ffi
lib: Any = _census.lib


def check(result: int, what: str) -> int:
    """
    The result, if it is none of failure.

    :param result: what a function of core.h returned: negative errno on failure
    :param what: the sentence's subject, for the error
    :raises OSError: the function failed
    """
    if result < 0:
        raise OSError(-result, f"{what}: {os.strerror(-result)}")
    return result
