"""Build script of the C core. Its public headers are the cdef and the header at once, so the two cannot drift apart."""

from __future__ import annotations

import os
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
SKELETONS = tuple(PROJECT / "bpf" / ".output" / f"{name}.lskel.h" for name in ("pagetable", "processes"))
HEADERS = (
    *(
        "kinds.h",
        "census.h",
        "parts.h",
        "overlap.h",
        "payers.h",
        "mapcounts.h",
        "ram.h",
        "tasks.h",
        "maps.h",
        "mapped_files.h",
    ),
    *(
        "walk.h",
        "slices.h",
        "clear.h",
        "pageout.h",
        "mounts.h",
        "pages.h",
        "ranges.h",
        "incore.h",
        "open_below.h",
        "probe_function.h",
    ),
)
SOURCES = (
    *("census.c", "parts.c", "overlap.c", "payers.c", "mapcounts.c", "ram.c", "tasks.c"),
    *("maps.c", "mapped_files.c"),
    *(
        "foreign.c",
        "mounts.c",
        "queue.c",
        "pool.c",
        "jobs.c",
        "slices.c",
        "clear.c",
        "pageout.c",
        "pagemap.c",
        "present.c",
        "pages.c",
        "ranges.c",
        "incore.c",
        "open_below.c",
        "probe_function.c",
    ),
)
# Where there are no skeletons, bpf/build has said what is missing, and lib has neither pagetable_open() nor
# task_iterator_open().
BPF_HEADERS = ("pagetable_source.h", "task_iterator.h")
BPF_SOURCES = ("pagetable.c", "pagetable_load.c", "known.c", "task_iterator.c")
# A release has no debug information, and the same bytes wherever it is built.
RELEASE = os.environ.get("ZONERSS_RELEASE") == "1"
FLAGS = [
    *(("-g0", f"-ffile-prefix-map={PROJECT}=.") if RELEASE else ("-g",)),
    *("-O2", "-std=gnu17", "-D_GNU_SOURCE", "-pthread"),
    *("-Wall", "-Wextra", "-Werror=implicit-function-declaration"),
]


def declarations(header: str) -> str:
    """The text of a header that cffi's cdef takes: all but the preprocessor's lines."""
    lines = (HERE / header).read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))


def builder(headers: tuple[str, ...], sources: tuple[str, ...]) -> FFI:
    """What makes the module of these."""
    ffi = FFI()
    for header in headers:
        ffi.cdef(declarations(header))
    ffi.set_source(
        "zonerss._core._lib",
        "".join(f'#include "{header}"\n' for header in headers),
        sources=[str((HERE / source).relative_to(PROJECT)) for source in sources],
        include_dirs=[str(HERE)],
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread", *(["-Wl,-s"] if RELEASE else [])],
    )
    return ffi


core = (
    builder((*HEADERS, *BPF_HEADERS), (*SOURCES, *BPF_SOURCES))
    if all(skeleton.exists() for skeleton in SKELETONS)
    else builder(HEADERS, SOURCES)
)
