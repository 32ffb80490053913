"""Compiles and loads programs of bpf/ by bcc, in a process of its own, and hands over what it loaded.

bcc brings clang, which takes some 100 MiB: in a small memory cgroup the kernel ends this process for it, and not the
one that asked. What is loaded is nothing but descriptors, and those can be sent (unix(7), SCM_RIGHTS). This file is
both ends: :func:`load` starts it as a script, with no other module of the package.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_MOST = 253  # descriptors in one message: include/net/scm.h, SCM_MAX_FD
_PR_SET_PDEATHSIG = 1
_OOM_SCORE = b"1000"  # the first to be ended


class CannotLoad(Exception):
    """Says why."""


def load(
    source: Path,
    definitions: Sequence[str],
    programs: Sequence[str],
    maps: Sequence[str],
    keep: Sequence[int],
    file: str = "churn.c",
    functions: Sequence[str] = (),
) -> dict[str, int]:
    """
    The descriptors of programs and maps, by name; whoever calls closes them.

    :param source: the directory of the file and the stand-ins for kernel headers
    :param definitions: options of the compiler
    :param programs: tracepoints; the program of each is on_NAME
    :param keep: descriptors that the definitions name
    :param file: the program's source
    :param functions: likewise functions of the kernel
    :raises CannotLoad: bcc is missing, or cannot do it, or was ended
    """
    here, there = socket.socketpair()
    with here:
        with there:
            wanted = json.dumps(
                [str(source), list(definitions), list(programs), list(maps), file, list(functions)]
            )
            child = subprocess.Popen(
                # Isolated: no variable of the environment and no directory of a user decides what it imports.
                [sys.executable, "-I", __file__, str(there.fileno()), wanted],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # bcc and clang write there whatever they think
                pass_fds=[there.fileno(), *keep],
            )
        try:
            message, descriptors, _, _ = socket.recv_fds(here, 1 << 16, _MOST)
        except BaseException:
            child.kill()
            raise
        finally:
            child.wait()
    for fd in descriptors:
        os.set_inheritable(fd, False)
    if not message:
        raise CannotLoad(_how_it_ended(child.returncode))
    answer = json.loads(message)
    if isinstance(answer, str):
        raise CannotLoad(answer)
    return dict(zip(answer, descriptors, strict=True))


def _how_it_ended(status: int) -> str:
    if status == -signal.SIGKILL:
        return "bcc's compiler was ended, probably because the cgroup or the machine has too little memory for it"
    return f"bcc's compiler ended with status {status}"


def _compile(
    source: str,
    definitions: list[str],
    programs: list[str],
    maps: list[str],
    file: str,
    functions: list[str],
) -> dict[str, int] | str:
    """What to answer: the descriptors by name, or why there are none."""
    os.environ["BCC_KERNEL_SOURCE"] = source
    try:
        from bcc import BPF  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return "bcc is missing: install Debian's python3-bpfcc"
    try:
        bpf = BPF(src_file=f"{source}/{file}".encode(), cflags=[*definitions, "-w"])
    except Exception as err:  # bcc raises nothing finer
        return f"bcc cannot compile or load {file} here: {err}"
    found = {name: bpf[name.encode()].map_fd for name in maps}
    kinds = (*((name, bpf.RAW_TRACEPOINT) for name in programs), *((name, bpf.KPROBE) for name in functions))
    for name, kind in kinds:
        try:
            found[name] = bpf.load_func(f"on_{name}".encode(), kind).fd
        except Exception as err:
            return f"the kernel does not take the program that traces {name}: {err}"
    return found


def _main(number: str, wanted: str) -> None:
    # With the thread that asked, not to go on compiling for nobody: prctl(2), PR_SET_PDEATHSIG.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_OOM_SCORE)
    answer = _compile(*json.loads(wanted))
    with socket.socket(fileno=int(number)) as there:
        if isinstance(answer, str):
            there.sendall(json.dumps(answer).encode())
        else:
            socket.send_fds(there, [json.dumps(list(answer)).encode()], list(answer.values()))
            there.shutdown(socket.SHUT_WR)
    os._exit(0)  # bcc would clean up one by one what is gone at once


if __name__ == "__main__":
    _main(*sys.argv[1:])
