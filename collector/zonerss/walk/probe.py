"""What this kernel and our privileges allow: facts, source by source, and no decisions.

Each fact is found by trying the very thing, not by a version number; the fix says what to do about a no.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import platform
import re
import socket
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from zonerss._core import ffi, lib
from zonerss.errors import CannotServe, ZonerssError
from zonerss.kernel.cgroup_namespace import entry, spelled_from_below
from zonerss.kernel.cgroupfs import find_memory_hierarchy
from zonerss.kernel.functions import can_probe
from zonerss.kernel.namespaces import shows_whole_host
from zonerss.kernel.roots import HOST, Roots
from zonerss.kernel.task_iterator import TaskIterator
from zonerss.records.facts import Fact, Probe
from zonerss.units import PAGE_BYTES
from zonerss.walk.pagetable import ARCHITECTURES, STAGES, NotLoaded, PageTableSource

# include/uapi/linux/capability.h; BPF and PERFMON since Linux 5.8 (commits a17b53c4a4b5, 980737282232).
CAPABILITIES = {
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}

_NETLINK_CONNECTOR = 11  # include/uapi/linux/netlink.h
_CN_IDX_PROC = 1  # include/uapi/linux/connector.h
_LOCKDOWN = re.compile(r"\[(\w+)\]")


def probe_host(roots: Roots = HOST) -> tuple[Probe, ...]:
    """All parts, the sources of frames first. Loads the BPF program for a moment, and leaves nothing behind."""
    return (probe_pagemap(roots), probe_pagetable(roots), probe_tracing(roots), probe_cgroups(roots))


# ---- pagemap -------------------------------------------------------------------------------------------


def probe_pagemap(roots: Roots = HOST) -> Probe:
    """What reading /proc/PID/pagemap and the files beside it allows."""
    visible, scan = _own_pagemap(roots)
    needed = (_root(), visible, _reads(roots, "kpageflags", "kinds of pages (anon, file, shmem)"))
    useful = (
        _whole_host(roots),
        _capability(roots, "CAP_SYS_PTRACE", "processes that have more capabilities than we"),
        scan,
        _reads(roots, "kpagecount", "how often each frame is mapped, for `zonerss frames`"),
        _reads(roots, "kpagecgroup", "which cgroup pays for a frame, for `zonerss explain`"),
    )
    return Probe("pagemap", all(fact.holds for fact in needed), (*needed, *useful))


def _root() -> Fact:
    is_root = os.geteuid() == 0
    return Fact(
        "root", is_root, "we are root" if is_root else "we are not root", "run it with sudo" * (not is_root)
    )


def _whole_host(roots: Roots) -> Fact:
    whole = shows_whole_host(roots)
    if whole is None:
        return Fact("all_processes", None, f"whether {roots.proc} shows all processes cannot be told")
    if whole:
        return Fact("all_processes", True, f"{roots.proc} shows the processes of the whole host")
    text = f"{roots.proc} shows one pid namespace only: other processes are not seen"
    return Fact("all_processes", False, text, "run it on the host, or in a container with --pid=host")


def _own_pagemap(roots: Roots) -> tuple[Fact, Fact]:
    path = roots.proc / "self" / "pagemap"
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError as err:
        text, fix = f"{path} cannot be opened: {err.strerror}", "the kernel needs CONFIG_PROC_PAGE_MONITOR"
        return Fact("frame_numbers", False, text, fix), Fact("pagemap_scan", None, "PAGEMAP_SCAN: not tried")
    with mmap.mmap(-1, PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as own:
        own[0] = 1
        address = int(ffi.cast("uintptr_t", ffi.from_buffer(own)))
        try:
            word = int.from_bytes(os.pread(fd, 8, address // PAGE_BYTES * 8), "little")
            scan = bool(lib.pagemap_can_scan(fd, address, PAGE_BYTES))
        finally:
            os.close(fd)
    visible = bool(word >> 63 and word & (1 << 55) - 1)
    return (
        Fact("frame_numbers", True, "the kernel shows us frame numbers")
        if visible
        else Fact(
            "frame_numbers",
            False,
            "the kernel hides frame numbers from us (they read as 0)",
            "run as root of the host with CAP_SYS_ADMIN; in a container: --privileged",
        ),
        Fact("pagemap_scan", True, "PAGEMAP_SCAN finds what is there in large mappings")
        if scan
        else Fact(
            "pagemap_scan",
            False,
            "there is no PAGEMAP_SCAN: holes in large mappings are read page by page",
            "Linux 6.7 has it",
        ),
    )


def _reads(roots: Roots, name: str, purpose: str) -> Fact:
    path = roots.proc / name
    try:
        with path.open("rb", buffering=0) as file:
            file.read(8)
    except FileNotFoundError:
        return Fact(name, False, f"there is no {path}, which tells {purpose}", _MISSING[name])
    except OSError as err:
        return Fact(
            name, False, f"{path}, which tells {purpose}, cannot be read: {err.strerror}", "run as root"
        )
    return Fact(name, True, f"{path} tells {purpose}")


_MISSING = {
    "kpageflags": "the kernel needs CONFIG_PROC_PAGE_MONITOR, and /proc must be mounted in full",
    "kpagecount": "the kernel needs CONFIG_PROC_PAGE_MONITOR, and /proc must be mounted in full",
    "kpagecgroup": "the kernel needs CONFIG_MEMCG",
}


def _status(roots: Roots, field: str) -> str:
    try:
        for line in (roots.proc / "self" / "status").read_text("utf-8", "replace").splitlines():
            if line.startswith(f"{field}:"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return ""


def _has(roots: Roots, capability: str) -> bool:
    try:
        return bool(int(_status(roots, "CapEff"), 16) >> CAPABILITIES[capability] & 1)
    except ValueError:
        return False


def _capability(roots: Roots, name: str, purpose: str) -> Fact:
    if _has(roots, name):
        return Fact(name.lower(), True, f"{name} lets us read {purpose}")
    return Fact(name.lower(), False, f"{name} is missing: {purpose} will be gaps", f"grant {name}")


# ---- page tables by BPF ----------------------------------------------------------------------------------


def probe_pagetable(roots: Roots = HOST, load: Callable[[Roots], PageTableSource] = PageTableSource) -> Probe:
    """
    What reading page tables by BPF allows, by loading the program.

    :param load: for tests
    """
    failed: NotLoaded | None = None
    try:
        load(roots).close()
    except NotLoaded as err:
        failed = err
    reached = STAGES.index(failed.stage) if failed else len(STAGES)
    facts = [
        Fact(f"pagetable_{stage}", True, _STAGE_TEXTS[stage])
        if index < reached
        else Fact(
            f"pagetable_{stage}", None if index > reached else False, *_said(stage, failed, index == reached)
        )
        for index, stage in enumerate(STAGES)
    ]
    return Probe("pagetable", failed is None, (*facts, *_bpf_facts(roots), _task_iterator(roots)))


def _task_iterator(roots: Roots) -> Fact:
    try:
        TaskIterator(roots).close()
    except CannotServe as err:
        text, colon, fix = str(err).rpartition(": ")
        said = text if colon else fix
        return Fact(
            "task_iterator", False, f"processes are listed through /proc only: {said}", fix if colon else ""
        )
    return Fact("task_iterator", True, "the kernel's iterator over tasks lists the processes")


_STAGE_TEXTS = {
    "architecture": "this is an x86_64 or an aarch64, whose page tables are known",
    "built": "the BPF program is built in",
    "namespace": "/proc shows our own pid namespace",
    "ram": "/proc/iomem tells which frames are memory",
    "bpf": "the kernel takes the BPF program",
    "frames": "a frame of ours is known, to begin with",
    "iterator": "its iterator holds on to the memory that it walks",
    "base": "where the kernel maps all memory was found",
    "shape": "our own page table reads back as pagemap has it",
}


def _said(stage: str, failed: NotLoaded | None, is_reason: bool) -> tuple[str, str]:
    """The error's sentence, parted at its last colon into what is the matter and what to do."""
    if not is_reason or failed is None:
        return f"not tried: {_STAGE_TEXTS[stage]}", ""
    text, colon, fix = str(failed).rpartition(": ")
    return (text, fix) if colon else (fix, "")


def _bpf_facts(roots: Roots) -> tuple[Fact, ...]:
    btf = roots.sys / "kernel" / "btf" / "vmlinux"
    admin = _has(roots, "CAP_SYS_ADMIN")
    facts = [
        Fact("btf", True, f"the kernel describes its structs ({btf})")
        if btf.exists()
        else Fact(
            "btf",
            False,
            f"the kernel does not describe its structs: no {btf}",
            "CONFIG_DEBUG_INFO_BTF=y makes it",
        )
    ]
    for name in ("CAP_BPF", "CAP_PERFMON"):
        holds = _has(roots, name) or admin
        text = f"{name} is ours" + (", through CAP_SYS_ADMIN" if not _has(roots, name) else "")
        missing = f"{name} is missing"
        facts.append(Fact(name.lower(), holds, text if holds else missing, "" if holds else f"grant {name}"))
    return (*facts, _lockdown(roots), _seccomp(roots))


def _lockdown(roots: Roots) -> Fact:
    """Lockdown to confidentiality keeps BPF from reading kernel memory (Linux 5.4, commit 9d1f8be5cf42)."""
    try:
        match = _LOCKDOWN.search((roots.sys / "kernel/security/lockdown").read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        return Fact("lockdown", True, "the kernel is not locked down")
    mode = match[1] if match else "unknown"
    if mode == "confidentiality":
        return Fact(
            "lockdown",
            False,
            "the kernel is locked down to confidentiality: BPF may not read its memory",
            "boot with lockdown=integrity",
        )
    return Fact("lockdown", True, f"lockdown ({mode}) lets BPF read the kernel's memory")


def _seccomp(roots: Roots) -> Fact:
    if _status(roots, "Seccomp") in ("", "0"):
        return Fact("seccomp", True, "no seccomp filter is in our way")
    return Fact(
        "seccomp",
        None,
        "a seccomp filter is set on us, as containers have it; it may forbid bpf()",
        "run the container with --security-opt seccomp=unconfined",
    )


_DEBIANS_BCC = "/usr/lib/python3/dist-packages/bcc"


# ---- tracing and watching --------------------------------------------------------------------------------


def probe_tracing(roots: Roots = HOST) -> Probe:
    """What following changes while they happen allows: bcc, page faults that can be seen, the process connector."""
    facts = (_bcc(), _faults(roots), _process_connector(roots))
    return Probe("tracing", all(fact.holds for fact in facts), facts)


def _bcc() -> Fact:
    """Debian's bcc; the PyPI project of that name has no libbcc in it."""
    spec = importlib.util.find_spec("bcc")
    places = spec.submodule_search_locations if spec else None
    if places and any((Path(place) / "libbcc.py").exists() for place in places):
        return Fact("bcc", True, "bcc can be imported")
    return Fact(
        "bcc",
        False,
        "bcc cannot be imported" if not places else "another project named bcc is in the way of the real one",
        _how_to_add_bcc(),
    )


def _faults(roots: Roots) -> Fact:
    """Whether page faults can be seen: by tracepoints, or by a program at a function of the kernel."""
    name, machine = "page_faults", platform.machine()
    if machine not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        return Fact(name, False, f"what changes can be traced on {known} only, not on {machine}")
    if machine == "x86_64":
        return Fact(name, True, "page faults have tracepoints")
    if can_probe(roots):
        return Fact(name, True, "page faults have no tracepoint here; the kernel's function can be probed")
    return Fact(
        name,
        False,
        "page faults have no tracepoint here, and the kernel's functions cannot be probed",
        "the kernel needs CONFIG_KPROBES and CONFIG_PERF_EVENTS",
    )


def _how_to_add_bcc() -> str:
    """What to do so that this Python finds Debian's bcc. The link opens nothing else of the system's Python."""
    if sys.prefix == sys.base_prefix:
        return "install Debian's python3-bpfcc"
    return f"install Debian's python3-bpfcc, and `ln -s {_DEBIANS_BCC} {sysconfig.get_path('purelib')}/`"


def _process_connector(roots: Roots) -> Fact:
    """CONFIG_PROC_EVENTS (Linux 2.6.15, drivers/connector/cn_proc.c); only in the first namespaces."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR) as connector:
            connector.bind((0, _CN_IDX_PROC))
    except OSError as err:
        fix = "CAP_NET_ADMIN is missing: grant it"
        if _has(roots, "CAP_NET_ADMIN"):
            fix = "the kernel needs CONFIG_PROC_EVENTS, and we the host's network namespace"
        return Fact("process_connector", False, f"the process connector refuses us: {err.strerror}", fix)
    return Fact("process_connector", True, "the process connector tells who came and went")


# ---- cgroups --------------------------------------------------------------------------------------------


def probe_cgroups(roots: Roots = HOST) -> Probe:
    """Which hierarchy says what zone a process is in, and whether it bills memory."""
    try:
        hierarchy = find_memory_hierarchy(roots)
    except (OSError, ZonerssError) as err:
        fact = Fact(
            "cgroup", False, f"no cgroup hierarchy was found ({err})", "mount cgroup2 at /sys/fs/cgroup"
        )
        return Probe("cgroups", False, (fact,))
    if not hierarchy.version:
        fact = Fact(
            "cgroup", False, "no cgroups are mounted: all is one zone", "mount cgroup2 at /sys/fs/cgroup"
        )
        return Probe("cgroups", False, (fact,))
    version = Fact("cgroup", True, f"zones are told by cgroup version {hierarchy.version}")
    charges = (
        Fact("memory_controller", True, "its memory controller says what each cgroup is charged")
        if hierarchy.charges
        else Fact(
            "memory_controller",
            False,
            "no memory controller is there: what cgroups are charged is unknown",
            "boot without cgroup_disable=memory",
        )
    )
    return Probe("cgroups", True, (version, charges, _cgroup_namespace(roots)))


def _cgroup_namespace(roots: Roots) -> Fact:
    name, ours = "cgroup_namespace", entry()
    if not spelled_from_below(roots):
        how = (
            "we went over to the host's cgroup namespace"
            if ours
            else "our cgroup namespace has process 1 in it"
        )
        return Fact(name, True, f"{how}: cgroups are called as the host calls them")
    why = f" ({ours.why_not})" if ours else ""
    text = f"cgroups outside of our cgroup namespace are spelled with /.. and have lost names{why}"
    return Fact(name, False, text, "run it on the host, or in a container with --cgroupns=host")


def kernel_release() -> str:
    """The running kernel's, for reports; nothing is decided by it."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"
