"""The capabilities of this thread, and giving them up; inherited files likewise.

A thread that is started later has those of the thread that starts it. Source: capabilities(7), capset(2),
PR_CAPBSET_DROP(2const), PR_SET_NO_NEW_PRIVS(2const), include/uapi/linux/capability.h, fs/proc/array.c (task_cap()).
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Collection
from contextlib import suppress

from zonerss.errors import CannotServe
from zonerss.kernel.roots import HOST, Roots
from zonerss.plain import dataclass

CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""By number (Linux 5.9 has these 41)."""
_VERSION_3 = 0x20080522
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_MOST = 64


@dataclass(frozen=True, slots=True)
class Privileges:
    """What a thread may do, as /proc/thread-self/status tells."""

    effective: frozenset[str]
    """What it may do now."""
    permitted: frozenset[str]
    """What it could take up again."""
    bounding: frozenset[str]
    """What a program that it executes could get."""
    no_new_privs: bool
    """No program that it executes can have more than it has (set-user-id, file capabilities)."""


def capability_names(mask: int) -> frozenset[str]:
    """The names of a set of capabilities; those that a newer kernel has are called by their number."""
    return frozenset(
        CAPABILITIES[bit] if bit < len(CAPABILITIES) else f"CAP_{bit}"
        for bit in range(mask.bit_length())
        if mask >> bit & 1
    )


def parse_status(text: str) -> Privileges:
    """What a /proc/PID/status says. Pure; a line that is not there is an empty set."""
    fields = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    effective, permitted, bounding = (
        capability_names(int(fields.get(name, "0"), 16)) for name in ("CapEff", "CapPrm", "CapBnd")
    )
    return Privileges(effective, permitted, bounding, no_new_privs=fields.get("NoNewPrivs") == "1")


def privileges(roots: Roots = HOST) -> Privileges:
    """Those of this thread."""
    return parse_status((roots.proc / "thread-self" / "status").read_text("ascii", "replace"))


def drop_privileges(keep: Collection[str], executed: Collection[str] = ()) -> None:
    """
    Give up every capability of this thread but some, for good, and set no_new_privs.

    :param keep: names; those that the thread has not are not given to it
    :param executed: those of them that programs which it executes may have
    :raises CannotServe: the kernel does not let us
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise CannotServe(f"no_new_privs cannot be set: {os.strerror(ctypes.get_errno())}")
    for bit in range(_MOST):
        # EPERM without CAP_SETPCAP: then no_new_privs alone holds. EINVAL: this kernel has no more of them.
        if bit >= len(CAPABILITIES) or CAPABILITIES[bit] not in executed:
            libc.prctl(_PR_CAPBSET_DROP, bit, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    mask = sum(1 << CAPABILITIES.index(name) for name in privileges().permitted & frozenset(keep))
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    # effective, permitted, inheritable; twice 32 bits
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    if libc.capset(header, data):
        raise CannotServe(f"capabilities cannot be given up: {os.strerror(ctypes.get_errno())}")


def close_files_but(keep: Collection[int], roots: Roots = HOST) -> None:
    """Close every open file of this process but these: what the program that started us has left open."""
    for name in os.listdir(roots.proc / "self" / "fd"):
        if int(name) not in keep:
            with suppress(OSError):
                os.close(int(name))


def allow_files(wanted: int) -> int:
    """
    Raise the limit on this process's open files, as far as it may be raised.

    :return: the limit as it is then: as wanted, or what was allowed
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)


def open_files(roots: Roots = HOST) -> int:
    """How many files this process has open."""
    return len(os.listdir(roots.proc / "self" / "fd")) - 1  # the directory itself
