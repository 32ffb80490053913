"""The C core, loaded: ``ffi`` and ``lib`` of its headers, and the one helper that turns -errno into OSError.

What mypy knows of them is in ``_lib.pyi``, made from the headers by stubs.py.
"""

from __future__ import annotations

import os

from zonerss._core import _lib

ffi, lib = _lib.ffi, _lib.lib


def check(result: int, what: str) -> int:
    """
    The result, if it is none of failure.

    :param result: what a function of the core returned: negative errno on failure
    :param what: the sentence's subject, for the error
    :raises OSError: the function failed
    """
    if result < 0:
        raise OSError(-result, f"{what}: {os.strerror(-result)}")
    return result
