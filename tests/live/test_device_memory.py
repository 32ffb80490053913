"""Mappings of what is no file and no anonymous memory: what is told of them, and what is said to be unknown.

The kernel maps such memory in two ways. vm_insert_page() maps pages that it counts in Rss: then all is as with files.
remap_pfn_range() maps frame numbers (VM_PFNMAP), of which neither smaps nor pagemap tells anything.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import zonerss
from tests.live import needs
from tests.live.test_laws import kinds_of
from tests.oracle import PAGE
from zonerss._core import ffi
from zonerss.answers.frames import count_pages
from zonerss.census.kinds import Kind
from zonerss.kernel.roots import HOST
from zonerss.kernel.smaps import read_smaps

LIBC = ctypes.CDLL(None, use_errno=True)
PERF_EVENT_OPEN = 298  # x86_64
PAGES = 8
RSS = {Kind.ANON, Kind.FILE, Kind.SHMEM}


@contextmanager
def packet_ring() -> Iterator[mmap.mmap]:
    """Of a packet socket: vm_insert_page() (packet(7), PACKET_RX_RING)."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as ring:
        ring.setsockopt(263, 5, struct.pack("=IIII", PAGE, PAGES, PAGE, PAGES))  # SOL_PACKET, PACKET_RX_RING
        with mmap.mmap(ring.fileno(), PAGES * PAGE) as view:
            yield view


@contextmanager
def perf_buffer() -> Iterator[mmap.mmap]:
    """Of a perf event, as that kernel does it: by page when touched; by frame number since Linux 6.15 or so."""
    attributes = struct.pack("=IIQQQQQ", 1, 64, 9, 0, 0, 0, 1 << 0) + bytes(16)  # software, dummy, disabled
    fd = LIBC.syscall(PERF_EVENT_OPEN, attributes, 0, -1, -1, 0)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "perf_event_open")
    try:
        with mmap.mmap(fd, (PAGES + 1) * PAGE) as view:
            for page in range(PAGES + 1):
                _ = view[page * PAGE]
            yield view
    finally:
        os.close(fd)


@contextmanager
def physical_memory() -> Iterator[mmap.mmap]:
    """The BIOS's range by /dev/mem: remap_pfn_range()."""
    fd = os.open("/dev/mem", os.O_RDONLY)
    try:
        with mmap.mmap(fd, PAGES * PAGE, mmap.MAP_SHARED, mmap.PROT_READ, offset=0xF0000) as view:
            _ = view[0]
            yield view
    finally:
        os.close(fd)


@pytest.fixture(params=[packet_ring, perf_buffer, physical_memory])
def address(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of such a mapping in our own memory."""
    try:
        opened = request.param()
        view = opened.__enter__()
    except OSError as error:
        needs.skip("needs_device_memory", f"{request.param.__name__}: {error}")
    try:
        yield address_of(view)
    finally:
        opened.__exit__(None, None, None)


def address_of(view: mmap.mmap) -> int:
    with memoryview(view) as seen:
        return int(ffi.cast("uintptr_t", ffi.from_buffer(seen)))


def test_it_is_in_rss_or_said_to_be_unknown(address: int):
    (row,) = (row for row in read_smaps(HOST, os.getpid()) if row.start == address)
    (found,) = (found for found in zonerss.frames(os.getpid()) if found.vma.start == address)
    counted = count_pages(found, with_runs=False)
    kinds = Counter(kinds_of(found))
    assert sum(kinds[kind] for kind in RSS) * PAGE == row.sizes["Rss"]
    assert found.pfnmap == ("pf" in row.flags)
    if found.pfnmap:
        assert found.count == 0
        assert counted.device_pages is None
    else:
        assert found.count == (row.end - row.start) // PAGE
        assert counted.device_pages == kinds[17] == 0


def test_every_process_has_some_of_the_kernels(mem):
    """[vvar] is mapped by frame number. Not a page of it is counted, and that is said."""
    frames = json.loads(zonerss_output("frames", str(mem.pid), "--json"))
    rows = [row for row in frames["vmas"] if row["device_pages"] is None]
    assert rows
    assert all(row["name"].startswith("[vvar") for row in rows)
    size = sum(row["end"] - row["start"] for row in rows)
    assert json.loads(zonerss_output("explain", "--pid", str(mem.pid), "--json"))["pfnmap_bytes"] == size
    for arguments in (["frames", str(mem.pid)], ["explain", "--pid", str(mem.pid)]):
        assert f"{size // 1024}K" in zonerss_output(*arguments).splitlines()[-1]
        assert "VM_PFNMAP" in zonerss_output(*arguments).splitlines()[-1]


def zonerss_output(*arguments: str) -> str:
    command = [sys.executable, "-m", "zonerss", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
