"""Build a C program when it is first needed, or when its source is newer than it.

python -m tests.workloads.build aarch64 aarch64-linux-gnu-gcc    # for the guest of another architecture
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.own import NAME

OUT = Path(__file__).parent / "out" / os.uname().machine
MEM = Path(__file__).with_name("mem.c")
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter")


def build(
    source: Path, *flags: str, reads: Sequence[Path] = (), out: Path = OUT, compiler: str = "cc"
) -> Path:
    """
    The program built from source. Two runs at once do not see half a file.

    :param reads: other files that it is made of
    :param out: the directory that it is in
    """
    program = out / source.stem
    newest = max(path.stat().st_mtime_ns for path in (source, *reads))
    if not program.exists() or program.stat().st_mtime_ns < newest:
        out.mkdir(parents=True, exist_ok=True)
        half = program.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, *FLAGS, *flags, "-o", half, source, "-pthread"], check=True)
        half.replace(program)
    return program


@functools.cache
def build_mem() -> Path:
    """A copy of this test run's own, so that two runs side by side share none of its pages; goes at exit.

    Statically linked, so that its own pages are few and the same on every host with this compiler.
    """
    directory = tempfile.mkdtemp(prefix=f"{NAME}-")
    atexit.register(shutil.rmtree, directory)
    return Path(shutil.copy(build(MEM, "-static"), directory))


if __name__ == "__main__":
    for source in (MEM, MEM.with_name("motion.c"), MEM.parents[1] / "live" / "test_pagetable_fire.c"):
        build(source, "-static", out=OUT.with_name(sys.argv[1]), compiler=sys.argv[2])
