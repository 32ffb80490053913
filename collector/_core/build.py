"""Build script of the C core: core.h is the cdef and the header at once, so the two cannot drift apart."""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
SOURCES = ("census.c", "parts.c", "tasks.c", "maps.c", "walk.c")
FLAGS = ["-O2", "-g", "-std=gnu17", "-Wall", "-Wextra", "-Werror=implicit-function-declaration", "-pthread"]

census = FFI()
census.cdef((HERE / "core.h").read_text())
census.set_source(
    "collector._core._census",
    "#include <stdint.h>\n#include <stddef.h>\n#include <sys/types.h>\n#include \"core.h\"\n",
    sources=[str((HERE / name).relative_to(HERE.parent.parent)) for name in SOURCES],
    include_dirs=[str(HERE)],
    extra_compile_args=FLAGS,
    extra_link_args=["-pthread"],
)

if __name__ == "__main__":
    census.compile(verbose=True)
