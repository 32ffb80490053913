"""The two sides of bpf/pagetable.h and bpf/processes.h: what C makes of them here, and clang for the kernel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cffi
import pytest

from zonerss.walk.host import MOST_THREADS

PROJECT = Path(__file__).resolve().parents[3]
PROGRAMS = ("pagetable", "processes")
STRUCTS = (
    "pagetable_copy",
    "pagetable_worker",
    "pagetable_search",
    "pagetable_ram",
    "pagetable_settings",
    "pagetable_reader",
    "pagetable_state",
    "processes_row",
)
NOT_IN_BTF = ("pagetable_copy", "processes_row")
"""Of these the programs only know pointers, or only the stack has them; their sizes are asserted there."""
BPFTOOL = shutil.which("bpftool") or shutil.which("bpftool", path="/usr/sbin:/sbin")


@pytest.fixture(scope="module")
def wire() -> cffi.FFI:
    ffi = cffi.FFI()
    for name in PROGRAMS:
        ffi.cdef((PROJECT / "bpf" / f"{name}.h").read_text())
    return ffi


@pytest.fixture(scope="module")
def built() -> dict[str, Any]:
    """The structs of the object's BTF, by name."""
    found = PROJECT / "bpf" / ".output" / "pagetable.bpf.o"
    if not found.exists() or not BPFTOOL:
        pytest.skip("the BPF object was not built, or there is no bpftool to read it")
    told = subprocess.run([BPFTOOL, "-j", "btf", "dump", "file", found], capture_output=True, check=True)
    return {t["name"]: t for t in json.loads(told.stdout)["types"] if t["kind"] == "STRUCT"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_header_has_no_guards_and_no_includes(program: str) -> None:
    assert not re.search(r"^\s*#", (PROJECT / "bpf" / f"{program}.h").read_text(), re.MULTILINE)


def test_the_copy_is_as_small_as_it_says(wire: cffi.FFI) -> None:
    assert wire.sizeof("struct pagetable_copy") == 16
    assert wire.offsetof("struct pagetable_copy", "entries") == 8


@pytest.mark.parametrize("name", STRUCTS)
def test_no_hidden_padding(wire: cffi.FFI, name: str) -> None:
    end = 0
    for _, field in wire.typeof(f"struct {name}").fields:
        assert field.offset == end
        end = field.offset + wire.sizeof(field.type)
    assert wire.sizeof(f"struct {name}") == end


@pytest.mark.parametrize("name", [name for name in STRUCTS if name not in NOT_IN_BTF])
def test_the_kernel_side_has_the_same_layout(wire: cffi.FFI, built: dict[str, Any], name: str) -> None:
    if name not in built:
        pytest.fail(f"struct {name} is not in the object")
    here = [(field, info.offset * 8) for field, info in wire.typeof(f"struct {name}").fields]
    assert [(member["name"], member["bits_offset"]) for member in built[name]["members"]] == here
    assert built[name]["size"] == wire.sizeof(f"struct {name}")


def test_the_buffer_can_hold_a_whole_table(wire: cffi.FFI) -> None:
    table = 512 * 8 + wire.sizeof("struct pagetable_copy")
    limits = wire.typeof("enum pagetable_limit").relements
    assert limits["PAGETABLE_BUFFER_BYTES"] >= 2 * table
    assert limits["PAGETABLE_BUFFER_BYTES"] % 4096 == 0


def test_lengths_are_the_limits(wire: cffi.FFI) -> None:
    limits = wire.typeof("enum pagetable_limit").relements
    state = dict(wire.typeof("struct pagetable_state").fields)
    assert state["readers"].type.length == limits["PAGETABLE_WORKERS"]
    assert state["guesses"].type.length == limits["PAGETABLE_GUESSES"]
    assert dict(wire.typeof("struct pagetable_settings").fields)["ram"].type.length == limits["PAGETABLE_RAM"]
    assert limits["PAGETABLE_WORKERS"] == MOST_THREADS


def test_workers_fit_in_the_state(wire: cffi.FFI) -> None:
    limits = wire.typeof("enum pagetable_limit").relements
    workers = dict(wire.typeof("struct pagetable_state").fields)["workers"]
    assert workers.type.length == limits["PAGETABLE_WORKERS"]


def test_what_is_held_in_one_go_is_bounded(wire: cffi.FFI) -> None:
    """At most 4 MiB of tables while the process's mmap lock is held."""
    assert wire.typeof("enum pagetable_limit").relements["PAGETABLE_BUFFER_BYTES"] <= 4 << 20


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_names_no_kernel_version_and_no_header_of_the_kernel(program: str) -> None:
    source, common = ((PROJECT / "bpf" / name).read_text() for name in (f"{program}.bpf.c", "kernel.h"))
    assert "LINUX_VERSION_CODE" not in source + common
    assert included(source) == {"kernel.h", f"{program}.h"}
    assert included(common) == {"stdbool.h", "stdint.h", "bpf/bpf_helpers.h", "bpf/bpf_core_read.h"}


def included(source: str) -> set[str]:
    return set(re.findall(r"^#include [<\"](.*?)[>\"]", source, re.MULTILINE))


def test_no_two_files_of_the_core_and_of_its_programs_have_one_name() -> None:
    found = [
        path for place in ("bpf", "collector/zonerss/_core") for path in (PROJECT / place).glob("*.[ch]")
    ]
    names = [path.name for path in found]
    assert len(names) > 50
    assert {name for name in names if names.count(name) > 1} == set()


def test_a_row_has_the_size_that_the_program_asserts(wire: cffi.FFI) -> None:
    source = (PROJECT / "bpf" / "processes.bpf.c").read_text()
    assert f"sizeof(struct processes_row) == {wire.sizeof('struct processes_row')}" in source
