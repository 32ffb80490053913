"""Made by stubs.py from kinds.h, census.h, parts.h, overlap.h, payers.h, mapcounts.h, ram.h, tasks.h, maps.h, mapped_files.h, walk.h, slices.h, clear.h, pageout.h, mounts.h, pages.h, ranges.h, incore.h, open_below.h, probe_function.h, pagetable_source.h, task_iterator.h."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

class CData:
    def __getitem__(self, index: int) -> Any: ...
    def __setitem__(self, index: int, value: Any) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __add__(self, elements: int) -> CData: ...

class FFI:
    NULL: Any
    def new(self, cdecl: str, init: Any = ...) -> Any: ...
    def cast(self, cdecl: str, source: Any) -> Any: ...
    def gc(self, cdata: Any, destructor: Any) -> Any: ...
    def release(self, cdata: Any) -> None: ...
    def buffer(self, cdata: Any, size: int = ...) -> Any: ...
    def from_buffer(self, cdecl: Any, python_buffer: Any = ...) -> Any: ...
    def string(self, cdata: Any) -> bytes: ...
    def unpack(self, cdata: Any, length: int) -> Any: ...
    def addressof(self, cdata: Any) -> Any: ...
    def sizeof(self, cdecl: Any) -> int: ...

class frame_range:
    first: int
    count: int
    def __getitem__(self, index: int) -> frame_range: ...

class census:
    def __getitem__(self, index: int) -> census: ...

class parts:
    owners: int
    sets: int
    parent: CData
    owner: CData
    pages: CData
    def __getitem__(self, index: int) -> parts: ...

class owner_sum:
    mapped: CData
    exclusive: CData
    proportional: CData
    def __getitem__(self, index: int) -> owner_sum: ...

class parts_builder:
    def __getitem__(self, index: int) -> parts_builder: ...

class pair:
    one: int
    other: int
    pages: int
    def __getitem__(self, index: int) -> pair: ...

class overlap:
    set: int
    other: int
    pages: CData
    def __getitem__(self, index: int) -> overlap: ...

class payer:
    set: int
    inode: int
    pages: CData
    def __getitem__(self, index: int) -> payer: ...

class ram_source:
    ram: frame_range
    ram_ranges: int
    kpageflags: int
    kpagecount: int
    kpagecgroup: int
    def __getitem__(self, index: int) -> ram_source: ...

class task:
    pid: int
    error: int
    start_ticks: int
    flags: int
    vsize_bytes: int
    rss_pages: int
    startstack: int
    threads: int
    uid: int
    euid: int
    cgroup: int
    walk_tid: int
    state: bytes
    command: CData
    def __getitem__(self, index: int) -> task: ...

class task_list:
    def __getitem__(self, index: int) -> task_list: ...

class vma:
    start: int
    end: int
    offset: int
    inode: int
    major: int
    minor: int
    flags: int
    name: int
    name_length: int
    def __getitem__(self, index: int) -> vma: ...

class mapped_file:
    inode: int
    ipc_namespace: int
    major: int
    minor: int
    name: int
    name_length: int
    pid: int
    start: int
    end: int
    def __getitem__(self, index: int) -> mapped_file: ...

class mapped_files:
    def __getitem__(self, index: int) -> mapped_files: ...

class file_look:
    links: int
    size: int
    mode: int
    major: int
    minor: int
    mount_id: int
    def __getitem__(self, index: int) -> file_look: ...

class slices:
    def __getitem__(self, index: int) -> slices: ...

class walk:
    def __getitem__(self, index: int) -> walk: ...

class walk_job:
    pid: int
    leader: int
    owner: int
    cgroup: int
    start_ticks: int
    expected_pages: int
    twice: int
    stripe: int
    stripes: int
    idle_owner: int
    kept_owner: int
    cleared_by: int
    rss_pages: int
    hugetlb_pages: int
    swap_pages: int
    zero_pages: int
    refused: int
    entries: int
    vmas: int
    step: int
    error: int
    def __getitem__(self, index: int) -> walk_job: ...

class walk_host:
    proc_fd: int
    kpageflags_fd: int
    zero_pfn: int
    page_bytes: int
    huge_pages: int
    hugetlb_pages: int
    can_scan: int
    shm_major: int
    shm_minor: int
    hugetlb_major: CData
    hugetlb_minor: CData
    hugetlb_count: int
    hugetlb_pool: int
    def __getitem__(self, index: int) -> walk_host: ...

class walk_request:
    census: census
    jobs: walk_job
    count: int
    host: walk_host
    threads: int
    tasks: task_list
    apart: int
    slices: slices
    def __getitem__(self, index: int) -> walk_request: ...

class slice:
    job: int
    start: int
    end: int
    pfn: int
    kind: int
    huge: int
    def __getitem__(self, index: int) -> slice: ...

class cleared:
    slices: int
    refused: int
    longest_ns: int
    took_ns: int
    since_ns: int
    def __getitem__(self, index: int) -> cleared: ...

class page_run:
    start: int
    end: int
    def __getitem__(self, index: int) -> page_run: ...

class page_files:
    pidfd: int
    pagemap_fd: int
    kpageflags_fd: int
    def __getitem__(self, index: int) -> page_files: ...

class paged_out:
    slices: int
    cut: int
    tried_pages: int
    left_pages: int
    large_pages: int
    longest_ns: int
    runs: int
    def __getitem__(self, index: int) -> paged_out: ...

class mounts:
    def __getitem__(self, index: int) -> mounts: ...

class worker:
    def __getitem__(self, index: int) -> worker: ...

class page:
    address: int
    pfn: int
    mapcount: int
    kind: int
    huge: int
    def __getitem__(self, index: int) -> page: ...

class range_file:
    device: int
    inode: int
    size_bytes: int
    made_ns: int
    fs_kind: int
    fd: int
    pid: int
    def __getitem__(self, index: int) -> range_file: ...

class file_range:
    file: int
    owner: int
    first: int
    pages: int
    shared: int
    def __getitem__(self, index: int) -> file_range: ...

class ranges:
    def __getitem__(self, index: int) -> ranges: ...

class pagetable:
    def __getitem__(self, index: int) -> pagetable: ...

class pagetable_options:
    workers: int
    ram: frame_range
    ram_ranges: int
    boot_offset_ns: int
    pagemap_fd: int
    def __getitem__(self, index: int) -> pagetable_options: ...

class entry_layout:
    page_shift: int
    swap_offset_shift: int
    frame_mask: int
    migration_mask: int
    def __getitem__(self, index: int) -> entry_layout: ...

class iterated_task:
    pid: int
    threads: int
    start_ticks: int
    mm: int
    vsize_bytes: int
    rss_pages: int
    startstack: int
    cgroup: int
    uid: int
    euid: int
    command: CData
    def __getitem__(self, index: int) -> iterated_task: ...

class task_iterator:
    def __getitem__(self, index: int) -> task_iterator: ...

class Lib:
    KIND_ANON: int
    KIND_FILE: int
    KIND_SHMEM: int
    KIND_HUGETLB: int
    KIND_SWAP: int
    KINDS: int
    PAGE_ZERO: int
    PAGE_DEVICE: int
    MAPPED_1: int
    MAPPED_2: int
    MAPPED_3: int
    MAPPED_10: int
    MAPPED_100: int
    MAPPED_CLASSES: int
    FRAMES_ZONES_ANON: int
    FRAMES_ZONES_FILE: int
    FRAMES_ZONES_SHMEM: int
    FRAMES_ZONES_HUGETLB: int
    FRAMES_OTHERS_ANON: int
    FRAMES_OTHERS_FILE: int
    FRAMES_OTHERS_SHMEM: int
    FRAMES_OTHERS_HUGETLB: int
    FRAMES_BARE_ANON: int
    FRAMES_BARE_FILE: int
    FRAMES_BARE_SHMEM: int
    FRAMES_BARE_HUGETLB: int
    FRAMES_ZONES_KERNEL: int
    FRAMES_ZONES_RESERVED: int
    FRAMES_RESERVED: int
    FRAMES_FREE: int
    FRAMES_SLAB: int
    FRAMES_PAGE_TABLES: int
    FRAMES_OFFLINE: int
    FRAMES_POISONED: int
    FRAMES_ZERO: int
    FRAMES_KERNEL: int
    FRAMES_ABSENT: int
    FRAMES_CLASSES: int
    FRAMES_BY_ZONES: int
    FRAMES_BY_OTHERS: int
    FRAMES_BY_NOBODY: int
    VMA_READ: int
    VMA_WRITE: int
    VMA_EXEC: int
    VMA_SHARED: int
    STEP_NONE: int
    STEP_OPEN: int
    STEP_MAPS: int
    STEP_PAGEMAP: int
    STEP_CGROUP: int
    STEP_KPAGEFLAGS: int
    STEP_TABLES: int
    WALK_EXITED: int
    WALK_REUSED: int
    WALK_EXECED: int
    WALK_MOVED: int
    WALK_BUSY: int
    WALK_LEFT: int
    WALK_UNREACHED: int
    CLEARED_BY_COLD: int
    CLEARED_BY_CLEAR_REFS: int
    APART_NOT: int
    APART_BY_TOUCH: int
    APART_BY_CLASS: int
    PAGEOUT_PAGES: int
    FS_UNKNOWN: int
    FS_ORDINARY: int
    FS_TMPFS: int
    FS_RAMFS: int
    FS_ROOTFS: int
    FS_HUGETLBFS: int
    FS_OVERLAY: int
    FS_FUSE: int
    BY_CACHESTAT: int
    BY_MINCORE: int
    PAGETABLE_SETUP: int
    PAGETABLE_LOAD: int
    PAGETABLE_OLD_ITERATOR: int
    PAGETABLE_HIDDEN: int
    PAGETABLE_BASE: int
    PAGETABLE_BEYOND: int
    PAGETABLE_SELF: int
    PAGETABLE_PROTNONE: int
    PAGETABLE_READY: int
    def census_create(self, owners: int, ret: CData) -> int: ...
    def census_destroy(self, census: census) -> None: ...
    def census_restart(self, census: census, owners: int) -> int: ...
    def census_mark(self, census: census, owner: int, pfns: CData, kinds: CData, count: int) -> int: ...
    def census_parts(self, census: census, ret: CData) -> int: ...
    def census_bytes(self, census: census) -> int: ...
    def parts_create(self, owners: int, sets: int, ret: CData) -> int: ...
    def parts_free(self, parts: parts) -> None: ...
    def parts_sum(self, parts: parts, sums: owner_sum) -> int: ...
    def parts_together(self, parts: parts, chosen: CData, sum: owner_sum) -> None: ...
    def parts_filled(self, parts: parts, filled: CData) -> int: ...
    def parts_members(self, parts: parts, numbers: CData, count: int, ends: CData, members: CData, room: int) -> int: ...
    def parts_project(self, parts: parts, group_of: CData, groups: int, ret: CData) -> int: ...
    def parts_builder_create(self, ret: CData) -> int: ...
    def parts_builder_free(self, builder: parts_builder) -> None: ...
    def parts_builder_add(self, builder: parts_builder, owners: CData, count: int, pages: CData) -> int: ...
    def parts_builder_add_all(self, builder: parts_builder, parts: parts, kinds: int) -> int: ...
    def parts_builder_parts(self, builder: parts_builder, owners: int, ret: CData) -> int: ...
    def parts_pairs(self, parts: parts, largest: pair, room: int) -> int: ...
    def parts_tree(self, parts: parts, node_of: CData, nodes: int, node_parent: CData, sums: owner_sum) -> int: ...
    def census_overlaps(self, census: census, others: census, wanted: CData, sets: int, ret: CData) -> int: ...
    def overlaps_free(self, overlaps: overlap) -> None: ...
    def census_payers(self, census: census, kpagecgroup_fd: int, kpageflags_fd: int, ret: CData, count: CData) -> int: ...
    def payers_free(self, rows: payer) -> None: ...
    def census_mapcounts(self, census: census, kpagecount_fd: int, kpageflags_fd: int, ret: CData) -> int: ...
    def census_mark_several(self, census: census, owner: int, wanted: CData, kpagecount_fd: int) -> int: ...
    def census_ram(self, census: census, source: ram_source, pages: CData, payers: CData, payer_count: CData) -> int: ...
    def tasks_read(self, proc_fd: int, pids: CData, count: int, want_users: int, want_cgroups: int, ret: CData) -> int: ...
    def tasks_free(self, list: task_list) -> None: ...
    def tasks_count(self, list: task_list) -> int: ...
    def tasks_all(self, list: task_list) -> task: ...
    def tasks_cgroups(self, list: task_list) -> int: ...
    def tasks_cgroup(self, list: task_list, index: int, length: CData) -> CData: ...
    def task_parse_stat(self, text: CData | bytes, length: int, ret: task) -> int: ...
    def task_parse_users(self, text: CData | bytes, length: int, ret: task) -> int: ...
    def tasks_compare_mm(self, a: int, b: int) -> int: ...
    def maps_parse(self, text: CData | bytes, length: int, vmas: vma, room: int, bad: CData) -> int: ...
    def mapped_files_create(self, room: int, ret: CData) -> int: ...
    def mapped_files_destroy(self, files: mapped_files) -> None: ...
    def mapped_files_count(self, files: mapped_files) -> int: ...
    def mapped_files_all(self, files: mapped_files) -> mapped_file: ...
    def mapped_files_text(self, files: mapped_files) -> CData: ...
    def mapped_files_find(self, files: mapped_files, vma: vma, name: CData | bytes, ipc_namespace: int, pid: int) -> int: ...
    def file_look(self, dir: int, path: CData | bytes, ret: file_look) -> int: ...
    def pagemap_walk(self, request: walk_request, files: mapped_files, ret: CData) -> int: ...
    def walk_wait(self, walk: walk, timeout_ms: int) -> int: ...
    def walk_abandon(self, walk: walk, job: int) -> int: ...
    def walk_leave_overdue(self, walk: walk, patience_ns: int) -> int: ...
    def walk_waited_for(self, pids: CData, room: int) -> int: ...
    def walk_jobs(self, walk: walk) -> walk_job: ...
    def walk_end(self, walk: walk) -> None: ...
    def pagemap_can_scan(self, pagemap_fd: int, address: int, page_bytes: int) -> int: ...
    def slices_create(self, ret: CData) -> int: ...
    def slices_destroy(self, slices: slices) -> None: ...
    def slices_add(self, slices: slices, rows: slice, count: int) -> int: ...
    def slices_of(self, slices: slices, job: int, kind: int, ret: CData) -> int: ...
    def clear_by_cold(self, pidfd: int, pagemap_fd: int, slices: slice, count: int, rest: int, stop: CData, ret: cleared) -> int: ...
    def clear_by_clear_refs(self, clear_refs_fd: int, patience_ns: int, ret: cleared) -> int: ...
    def page_out(self, files: page_files, slices: slice, count: int, cut: int, most_pages: int, stop: CData, runs: page_run, ret: paged_out) -> int: ...
    def pages_present(self, pagemap_fd: int, runs: page_run, count: int, ret: CData) -> int: ...
    def mounts_create(self, ret: CData) -> int: ...
    def mounts_destroy(self, mounts: mounts) -> None: ...
    def mounts_forget(self, mounts: mounts) -> None: ...
    def mounts_add(self, mounts: mounts, text: CData | bytes, length: int) -> int: ...
    def mounts_read(self, mounts: mounts, worker: worker, fd: int) -> int: ...
    def mounts_find(self, mounts: mounts, mount_id: int, major: int, minor: int) -> int: ...
    def pages_read(self, pagemap_fd: int, kpagecount_fd: int, averages: int, vma: vma, host: walk_host, start: int, end: int, pages: page, room: int) -> int: ...
    def ranges_create(self, ret: CData) -> int: ...
    def ranges_destroy(self, ranges: ranges) -> None: ...
    def ranges_walk(self, ranges: ranges, request: walk_request, ret: CData) -> int: ...
    def ranges_files(self, ranges: ranges, ret: CData) -> int: ...
    def ranges_all(self, ranges: ranges, ret: CData) -> int: ...
    def incore_count(self, fd: int, means: int, page_bytes: int, first: CData, pages: CData, count: int, resident: CData) -> int: ...
    def incore_first(self, fd: int, page_bytes: int, first: int, pages: int) -> int: ...
    def incore_frame(self, fd: int, page: int, own_pagemap_fd: int, host: walk_host, pfn: CData) -> int: ...
    def open_below(self, directory: int, path: CData | bytes, resolve: int) -> int: ...
    def probe_function(self, pmu: int, function: CData | bytes, program: int) -> int: ...
    def pagetable_open(self, options: pagetable_options, stage: CData, ret: CData) -> int: ...
    def pagetable_set_ram(self, pagetable: pagetable, ram: frame_range, count: int) -> int: ...
    def pagetable_close(self, pagetable: pagetable) -> None: ...
    def pagetable_walk(self, pagetable: pagetable, request: walk_request, ret: CData) -> int: ...
    def pagetable_counts(self, pagetable: pagetable, faults: CData, retries: CData, reads: CData) -> None: ...
    def pagetable_layout(self, pagetable: pagetable) -> entry_layout: ...
    def task_iterator_open(self, boot_offset_ns: int, ret: CData) -> int: ...
    def task_iterator_close(self, iterator: task_iterator) -> None: ...
    def task_iterator_read(self, iterator: task_iterator, memory: int, rows: CData, count: CData) -> int: ...

ffi: FFI
lib: Lib
