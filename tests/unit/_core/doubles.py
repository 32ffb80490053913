"""Parts of the C core that only C can reach, built with a double beside them and loaded by cffi."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cffi import FFI
from tests.workloads.build import OUT, build

from zonerss._core.build import HERE as CORE

HERE = Path(__file__).parent
FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", "-g", "-shared", "-fPIC", f"-I{CORE}", f"-I{HERE}")


def load(
    double: str, sources: Sequence[str], flags: Sequence[str], declared: str, included: Sequence[str] = ()
) -> tuple[FFI, Any]:
    """
    ffi and lib of a shared library.

    :param double: a source of this directory
    :param sources: of the core, built into the same library
    :param declared: what cffi has to know
    :param included: sources of the core that the double includes
    """
    parts = [CORE / source for source in sources]
    sanitizers = os.environ.get("ZONERSS_SANITIZE", "")  # vm/host sanitize
    library = build(
        HERE / double,
        *FLAGS,
        *([f"-fsanitize={sanitizers}"] if sanitizers else ()),
        *flags,
        *map(str, parts),
        reads=[*parts, *(CORE / source for source in included), *CORE.glob("*.h"), *HERE.glob("*.h")],
        out=OUT / sanitizers,
    )
    ffi = FFI()
    ffi.cdef(declared)
    # For good: what its variables point at would be leaks, once they are gone.
    return ffi, ffi.dlopen(str(library), os.RTLD_NOW | os.RTLD_NODELETE)


def declarations(*headers: Path) -> str:
    """The headers without the preprocessor's lines."""
    lines = [line for header in headers for line in header.read_text().splitlines(keepends=True)]
    return "".join(line for line in lines if not line.startswith("#"))
