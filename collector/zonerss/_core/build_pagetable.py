"""Build script of the page table walker: a module of its own, because it needs the BPF skeleton and the core does not.

It is imported only when that source of frames is chosen (zonerss.walk.pagetable). The census and the jobs are compiled
in once more; what both modules share are addresses of structs.
"""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
SOURCES = ("pagetable.c", "pagetable_load.c", "twins.c", "agenda.c", "census.c", "jobs.c", "tasks.c")
FLAGS = ["-O2", "-g", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-pthread"]

pagetable = FFI()
pagetable.cdef((HERE / "pagetable.h").read_text())
pagetable.set_source(
    "zonerss._core._pagetable",
    '#include "core.h"\n#include "pagetable.h"\n',
    sources=[str((HERE / name).relative_to(HERE.parents[2])) for name in SOURCES],
    include_dirs=[str(HERE)],
    extra_compile_args=FLAGS,
    extra_link_args=["-pthread"],
    optional=True,  # without the BPF skeleton (bpf/build) the package is built without this source of frames
)

if __name__ == "__main__":
    pagetable.compile(verbose=True)
