"""What a live test may lack, by name. A skip always goes through :func:`skip`.

With ZONERSS_LIVE=require a skip is a failure, but for the causes marked here as allowed: those that a
host that is otherwise fit for zonerss may rightly lack.
"""

from __future__ import annotations

import os

import pytest

from zonerss.plain import dataclass


@dataclass(frozen=True)
class Cause:
    text: str
    allowed: bool = False
    """Under ZONERSS_LIVE=require, too."""


CAUSES = {
    "needs_root": Cause("run it as root"),
    "needs_frames": Cause("no frame numbers or no /proc/kpage*: it takes CAP_SYS_ADMIN"),
    "needs_cgroups": Cause("cgroups cannot be made in the hierarchy that carries the memory controller"),
    "needs_postgres": Cause("install Debian's postgresql package"),
    "needs_zram": Cause("there is no zram device to swap to, or swap is in use already", allowed=True),
    "needs_ksm": Cause("the kernel has no KSM", allowed=True),
    "needs_thp": Cause("the kernel has no transparent huge pages, or they are off", allowed=True),
    "needs_page_mapcount": Cause(
        "the kernel has only averages of mapping counts, or no huge page for us", allowed=True
    ),
    "needs_device_memory": Cause("the kernel does not let us map such memory", allowed=True),
    "needs_kernel_config": Cause("the kernel's configuration cannot be read", allowed=True),
    "needs_io_uring": Cause("the kernel has no io_uring for us", allowed=True),
    "needs_hugetlb": Cause("huge pages cannot be reserved", allowed=True),
    "needs_guard_pages": Cause("the kernel has no MADV_GUARD_INSTALL (Linux 6.13)", allowed=True),
    "needs_pagetable": Cause("the page tables cannot be read by BPF here", allowed=True),
    "needs_tmux": Cause("install Debian's tmux package", allowed=True),
    "needs_prometheus": Cause("install Debian's prometheus package", allowed=True),
    "needs_proc_events": Cause("the kernel has no process connector for us", allowed=True),
    "needs_bcc": Cause("bcc cannot trace here", allowed=True),
    "needs_disk_file_system": Cause("only tmpfs can be written here", allowed=True),
    "needs_pagemap_scan": Cause("the kernel has no PAGEMAP_SCAN (Linux 6.7)", allowed=True),
    "needs_cachestat": Cause("the kernel has no cachestat(2) (Linux 6.5)", allowed=True),
    "needs_kernel_log": Cause("the kernel's log cannot be read", allowed=True),
    "needs_quiet": Cause("others keep changing what the test compares", allowed=True),
    "needs_realtime": Cause("we may not run a real-time process", allowed=True),
    "needs_poison": Cause("the kernel has no MADV_HWPOISON (CONFIG_MEMORY_FAILURE)", allowed=True),
    "needs_memory": Cause("there is too little free memory", allowed=True),
    "needs_more_memory": Cause("the machine cannot be given more memory", allowed=True),
    "needs_fuse": Cause("there is no /dev/fuse", allowed=True),
    "needs_mount": Cause("such a file system cannot be mounted here", allowed=True),
    "needs_container_engine": Cause("no container engine works here", allowed=True),
    "needs_readable_checkout": Cause("other users cannot read the checkout", allowed=True),
    "needs_systemd": Cause("systemd does not run here", allowed=True),
    "needs_image": Cause("no image to run: vm/package image test makes one", allowed=True),
    "needs_host": Cause("a namespace that only the host has", allowed=True),
    "needs_cgroup1": Cause("the memory controller is not on cgroup version 1", allowed=True),
    "needs_cgroup2": Cause("the memory controller is not on cgroup version 2", allowed=True),
}


def skip(cause: str, detail: str = "") -> None:
    """Skip the test that runs, for a cause of the table."""
    text = f"{cause}: {CAUSES[cause].text}" + (f" ({detail})" if detail else "")
    pytest.skip(text)


def is_required() -> bool:
    return os.environ.get("ZONERSS_LIVE") == "require"


def is_allowed(reason: str) -> bool:
    """Whether a skip of this reason may stand although every live test is required."""
    name = reason.removeprefix("Skipped: ").partition(":")[0]
    return name in CAUSES and CAUSES[name].allowed
