"""The few things that are asked of libbpf: where the members of the kernel's structs are, how to run programs, maps.

libbpf.so.1 is there wherever bcc is (Debian's libbcc links it). Source: bpf/btf.h, bpf/bpf.h of libbpf 1.x.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cffi import FFI

from zonerss.closing import Closing
from zonerss.errors import CannotServe

_DECLARATIONS = """
struct btf;
struct btf_type { uint32_t name_off; uint32_t info; uint32_t size_or_type; };
struct btf_member { uint32_t name_off; uint32_t type; uint32_t offset; };
struct btf_array { uint32_t type; uint32_t index_type; uint32_t nelems; };
struct btf *btf__load_vmlinux_btf(void);
void btf__free(struct btf *);
int32_t btf__find_by_name_kind(const struct btf *, const char *name, uint32_t kind);
const struct btf_type *btf__type_by_id(const struct btf *, uint32_t id);
const char *btf__name_by_offset(const struct btf *, uint32_t offset);
int libbpf_num_possible_cpus(void);
int bpf_map_create(uint32_t type, const char *name, uint32_t key_size, uint32_t value_size, uint32_t max_entries,
                   const void *opts);
struct bpf_test_run_opts { size_t sz; const void *data_in; void *data_out; uint32_t data_size_in;
    uint32_t data_size_out; const void *ctx_in; void *ctx_out; uint32_t ctx_size_in; uint32_t ctx_size_out;
    uint32_t retval; int repeat; uint32_t duration; uint32_t flags; uint32_t cpu; uint32_t batch_size; };
int bpf_prog_test_run_opts(int prog_fd, struct bpf_test_run_opts *opts);
int bpf_raw_tracepoint_open(const char *name, int prog_fd);
int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags);
int bpf_map_lookup_elem(int fd, const void *key, void *value);
int bpf_map_lookup_and_delete_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values, uint32_t *count,
                                    const void *opts);
typedef int (*libbpf_print_fn_t)(int level, const char *format, void *args);
libbpf_print_fn_t libbpf_set_print(libbpf_print_fn_t fn);
"""
_STRUCT, _ARRAY = 4, 3  # include/uapi/linux/btf.h, BTF_KIND_*
_PERCPU_ARRAY = 6  # include/uapi/linux/bpf.h, BPF_MAP_TYPE_PERCPU_ARRAY
_BATCH = 4096  # elements of a hash table that are taken out at once; a bucket holds a few


class Btf:
    """The kernel's types."""

    def __init__(self, ffi: Any, lib: Any, handle: Any) -> None:
        self._ffi, self._lib, self._handle = ffi, lib, handle

    def offset(self, struct: str, member: str) -> int:
        """
        Where a member of a struct begins, in bytes; members of nameless structs inside it are its own.

        :raises CannotServe: the kernel has no such struct or member
        """
        return self._member(struct, member)[0]

    def type_of(self, struct: str, member: str) -> str:
        """The name of a member's type, of its elements where it is an array; "" where it has none."""
        kind, number = _ARRAY, self._member(struct, member)[1]
        while kind == _ARRAY:
            found = self._lib.btf__type_by_id(self._handle, number)
            kind = found.info >> 24 & 0x1F
            if kind == _ARRAY:
                number = self._ffi.cast("struct btf_array *", found + 1).type
        return self._name(found.name_off)

    def size(self, struct: str) -> int:
        """Of a struct, in bytes."""
        return int(self._lib.btf__type_by_id(self._handle, self._find(struct)).size_or_type)

    def _find(self, struct: str) -> int:
        number = int(self._lib.btf__find_by_name_kind(self._handle, struct.encode(), _STRUCT))
        if number < 0:
            raise CannotServe(f"the kernel's BTF has no struct {struct}")
        return number

    def _member(self, struct: str, member: str) -> tuple[int, int]:
        found = self._search(self._find(struct), member)
        if found is None:
            raise CannotServe(f"the kernel's struct {struct} has no member {member}")
        return found

    def _search(self, number: int, wanted: str) -> tuple[int, int] | None:
        struct = self._lib.btf__type_by_id(self._handle, number)
        members = self._ffi.cast("struct btf_member *", struct + 1)
        bit_fields = struct.info >> 31
        for index in range(struct.info & 0xFFFF):
            member = members[index]
            at = (member.offset & 0xFFFFFF if bit_fields else member.offset) // 8
            name = self._name(member.name_off)
            if name == wanted:
                return at, member.type
            if not name and (inner := self._search(member.type, wanted)):
                return at + inner[0], inner[1]
        return None

    def _name(self, offset: int) -> str:
        return bytes(self._ffi.string(self._lib.btf__name_by_offset(self._handle, offset))).decode()


class Libbpf(Closing):
    """libbpf, loaded; use it as a context manager."""

    def __init__(self) -> None:
        """:raises CannotServe: there is no libbpf"""
        self._ffi = FFI()
        self._ffi.cdef(_DECLARATIONS)
        self._lib: Any
        try:
            self._lib = self._ffi.dlopen("libbpf.so.1")
        except OSError as err:
            raise CannotServe("there is no libbpf.so.1: install Debian's python3-bpfcc") from err
        self._lib.libbpf_set_print(self._ffi.NULL)

    def close(self) -> None:
        """Unload it."""
        self._ffi.dlclose(self._lib)

    @contextmanager
    def kernel_types(self) -> Iterator[Btf]:
        """
        The running kernel's BTF.

        :raises CannotServe: it has none
        """
        handle = self._lib.btf__load_vmlinux_btf()
        if handle == self._ffi.NULL:
            raise CannotServe("the kernel tells nothing of its types: it needs CONFIG_DEBUG_INFO_BTF")
        try:
            yield Btf(self._ffi, self._lib, handle)
        finally:
            self._lib.btf__free(handle)

    def possible_cpus(self) -> int:
        """How many processors the kernel has made room for."""
        return int(self._lib.libbpf_num_possible_cpus())

    def per_cpu_map(self, name: str) -> int:
        """A per-cpu array of one word: its descriptor."""
        fd = int(self._lib.bpf_map_create(_PERCPU_ARRAY, name.encode(), 4, 8, 1, self._ffi.NULL))
        if fd < 0:
            raise CannotServe(
                f"the kernel lets us make no BPF map: {os.strerror(-fd)}; CAP_BPF or root is needed"
            )
        return fd

    def run_raw_tracepoint(self, fd: int) -> None:
        """Run a program once, with no arguments."""
        options: Any = self._ffi.new("struct bpf_test_run_opts *")
        options.sz = self._ffi.sizeof("struct bpf_test_run_opts")
        error = int(self._lib.bpf_prog_test_run_opts(fd, options))
        if error < 0:
            raise CannotServe(f"the kernel does not run a BPF program for us: {os.strerror(-error)}")

    def attach_raw_tracepoint(self, name: str, program: int) -> int:
        """
        Run a program at each event; until the descriptor that comes back is closed.

        :raises CannotServe: there is no such tracepoint, or it is not for us
        """
        fd = int(self._lib.bpf_raw_tracepoint_open(name.encode(), program))
        if fd < 0:
            raise CannotServe(f"the kernel does not let us use its tracepoint {name}: {os.strerror(-fd)}")
        return fd

    def update(self, table: int, key: bytes, value: bytes) -> None:
        """
        Set an element of a map.

        :raises CannotServe: the kernel does not
        """
        error = int(self._lib.bpf_map_update_elem(table, key, value, 0))
        if error < 0:
            raise CannotServe(f"the kernel does not set an element of a BPF map: {os.strerror(-error)}")

    def lookup(self, table: int, key: bytes, value_bytes: int) -> bytes | None:
        """The value of a key; None: there is none."""
        value = bytearray(value_bytes)
        error = int(self._lib.bpf_map_lookup_elem(table, key, self._ffi.from_buffer(value)))
        return bytes(value) if error == 0 else None

    def drain(self, table: int, key_bytes: int, value_bytes: int) -> Iterator[tuple[bytes, bytes]]:
        """
        All keys and values of a hash table, which are taken out of it.

        :raises CannotServe: the kernel does not give them
        """
        keys, values = bytearray(_BATCH * key_bytes), bytearray(_BATCH * value_bytes)
        place, begun, count, error = self._ffi.new("uint64_t *"), False, self._ffi.new("uint32_t *"), 0
        while not error:
            count[0] = _BATCH
            error = int(
                self._lib.bpf_map_lookup_and_delete_batch(
                    table,
                    place if begun else self._ffi.NULL,
                    place,
                    self._ffi.from_buffer(keys),
                    self._ffi.from_buffer(values),
                    count,
                    self._ffi.NULL,
                )
            )
            if error not in (0, -errno.ENOENT):  # ENOENT: that was the last of it
                raise CannotServe(f"the kernel does not empty a BPF map: {os.strerror(-error)}")
            for at in range(count[0]):
                yield (
                    bytes(keys[at * key_bytes : (at + 1) * key_bytes]),
                    bytes(values[at * value_bytes : (at + 1) * value_bytes]),
                )
            begun = True
