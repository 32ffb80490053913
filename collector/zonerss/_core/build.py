"""Build script of the C core: its headers are the cdef and the header at once, so the two cannot drift apart."""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
SKELETON = PROJECT / "bpf" / ".output" / "pagetable.lskel.h"
HEADERS = ["core.h", "explain.h"]
SOURCES = [
    "census.c",
    "parts.c",
    "tasks.c",
    "maps.c",
    "jobs.c",
    "agenda.c",
    "pagemap.c",
    "pages.c",
    "payers.c",
    "incore.c",
    "tree.c",
    "objects.c",
    "join.c",
]
if SKELETON.exists():  # else bpf/build has said what is missing, and lib has no pagetable_open()
    HEADERS.append("pagetable.h")
    SOURCES += ["pagetable.c", "pagetable_load.c", "twins.c"]
FLAGS = [
    "-O2",
    "-g",
    "-std=gnu17",
    "-D_GNU_SOURCE",
    "-Wall",
    "-Wextra",
    "-Werror=implicit-function-declaration",
    "-pthread",
]


def declarations(header: str) -> str:
    """The text of a header that cffi's cdef takes: all but the preprocessor's lines."""
    lines = (HERE / header).read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))


census = FFI()
for header in HEADERS:
    census.cdef(declarations(header))
census.set_source(
    "zonerss._core._census",
    "".join(f'#include "{header}"\n' for header in HEADERS),
    sources=[str((HERE / name).relative_to(PROJECT)) for name in SOURCES],
    include_dirs=[str(HERE)],
    extra_compile_args=FLAGS,
    extra_link_args=["-pthread"],
)

if __name__ == "__main__":
    census.compile(verbose=True)
