"""The words that schemas are written in, and what several documents have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zonerss.records import Cause
from zonerss.records.files import FileKind

Schema = dict[str, Any]
Fields = Mapping[str, Schema]

NO_CHARGE = "the zone has no charge of its own"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text(help: str) -> Schema:
    """A string."""
    return {"type": "string", "description": help}


def one_of(help: str, *words: str) -> Schema:
    """One of some strings."""
    return {"enum": list(words), "description": help}


def flag(help: str) -> Schema:
    """True or false."""
    return {"type": "boolean", "description": help}


def count(help: str) -> Schema:
    """How many; never negative."""
    return {"type": "integer", "minimum": 0, "description": help}


def integer(help: str) -> Schema:
    """A whole number of any sign."""
    return {"type": "integer", "description": help}


def number(help: str) -> Schema:
    """A number that is not whole, and not negative."""
    return {"type": "number", "minimum": 0, "description": help}


def size(help: str) -> Schema:
    """Bytes; never negative."""
    return count(f"{help}; bytes")


def difference(help: str) -> Schema:
    """Bytes more, or less where it is negative."""
    return integer(f"{help}; bytes, negative for less")


def pages(help: str) -> Schema:
    """Base pages, of page_size bytes each."""
    return count(f"{help}; base pages")


def time(help: str) -> Schema:
    """A moment."""
    return {"type": "string", "format": "date-time", "description": f"{help}; RFC 3339, in UTC"}


def or_null(schema: Schema, when: str = "unknown") -> Schema:
    """The same, or null; when: what null means."""
    described = {"description": f"{schema['description']}. null: {when}"}
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]} | described
    return schema | {"type": [schema["type"], "null"]} | described


def record(help: str, fields: Fields, may_lack: Fields | None = None) -> Schema:
    """
    An object with these fields and no others.

    :param may_lack: fields that are not always there
    """
    return {
        "type": "object",
        "description": help,
        "properties": {**fields, **(may_lack or {})},
        "required": list(fields),
        "additionalProperties": False,
    }


def rows(help: str, item: Schema) -> Schema:
    """An array, in an order that help tells where there is one."""
    return {"type": "array", "description": help, "items": item}


def texts(help: str, item: str) -> Schema:
    """An array of strings, each of which is ``item``."""
    return rows(help, text(item))


def document(name: str, command: str, page: str, fields: Fields, may_lack: Fields | None = None) -> Schema:
    """
    The schema of ``zonerss.NAME/1``.

    :param command: what prints it
    :param page: the page that tells more
    """
    schema = f"zonerss.{name}/1"
    return {
        "$schema": DIALECT,
        "$id": f"urn:zonerss:{name}:1",
        "title": schema,
        **record(
            f"{command}; docs/{page}",
            {"schema": {"const": schema, "description": "the name of this schema"}, **fields},
            may_lack,
        ),
    }


# ---- what several documents have in common ------------------------------------------------------------------

GAPS = rows(
    "what could not be seen",
    record(
        "a process of which something is missing",
        {
            "pid": count("process id"),
            "step": text("where it was met: list, open, maps, pagemap, cgroup, tables"),
            "cause": one_of("why", *map(str, Cause)),
            "detail": text("what the kernel said; may be empty"),
        },
    ),
)

MACHINE = or_null(
    record(
        "the memory of the whole machine by the kernel's counters, which need not add up",
        {
            "memory_bytes": size("all memory that the kernel manages"),
            "free_bytes": size("MemFree"),
            "available_bytes": or_null(
                size("what programs could get without swapping, as the kernel estimates")
            ),
            "page_cache_bytes": size("page cache of files and of block devices, mapped or not"),
            "shmem_bytes": size("tmpfs, memfds, System V and anonymous shared memory, mapped or not"),
            "kernel_bytes": size("slab, page tables, stacks, per-cpu memory, vmalloc"),
            "hugetlb_bytes": size("hugetlb pools of all sizes, in use or not"),
            "swap_bytes": size("all swap"),
            "swap_free_bytes": size("of it: free"),
            "pressure_some": or_null(number("of the last ten seconds: some task waited for memory; percent")),
            "pressure_full": or_null(number("of the last ten seconds: all tasks waited for memory; percent")),
            "host_name": text("as the kernel has it"),
        },
    ),
    "there is no /proc/meminfo",
)
HEADER: Fields = {
    "began": time("when the figures began to be read"),
    "ended": time("when the last figure was read"),
    "source": one_of("where frames came from", "pagetable", "pagemap"),
    "basis": one_of(
        "what counts: what page tables map, or also cached pages of mapped files", "mapped", "incore"
    ),
    "by": text("the first --by"),
    "page_size": size("a base page"),
    "machine": MACHINE,
    "uncertainty": or_null(
        one_of("how uncertainty_bytes was found: a bound, or an estimate", "traced", "net"), "not requested"
    ),
    "warnings": rows(
        "what holds for the whole snapshot",
        record("a warning", {"name": text("for programs: stays the same"), "text": text("for people")}),
    ),
}
"""What every document of a snapshot begins with, after ``schema``."""
MAY_BE_IN_HEADER: Fields = {
    "unsettled_bytes": size(
        "how much of each uncertainty_bytes is there because processors did not come to rest in time; "
        "missing where it is 0"
    ),
}

_MAPPED: Fields = {
    "rss_bytes": size("every frame that it maps, once: anon, file and shmem"),
    "anon_bytes": size("private memory that no file backs"),
    "file_bytes": size("page cache of files"),
    "shmem_bytes": size("tmpfs, memfd, System V and anonymous shared memory"),
    "hugetlb_bytes": size("hugetlb pages; not part of rss_bytes"),
}
ZONE_FIELDS: Fields = {
    "zone": text("its name, unique within a grouping"),
    "cgroup": or_null(text("path of the cgroup that is the zone"), "the zone is no cgroup"),
    "id": or_null(text("a container's full id"), "it has none"),
    "kind": text("what it is: docker, podman, service, cgroup, user, total, ..."),
    "processes": count("processes that were walked"),
    "process_rss_bytes": size("sum of its processes' RSS, which counts a shared page once for each process"),
    **_MAPPED,
    "exclusive_bytes": or_null(size("of rss_bytes: mapped by no other zone"), "others were not walked"),
    "shared_bytes": or_null(size("of rss_bytes: mapped by other zones, too"), "others were not walked"),
    "proportional_bytes": or_null(
        size("each frame divided by the number of zones that map it, rounded"), "others were not walked"
    ),
    "swap_bytes": size("swap slots that its page tables point at, each once"),
    "charged_bytes": or_null(
        size("what the kernel charges to its cgroup, less what it charges to other zones below it")
    ),
    "limit_bytes": or_null(size("the smallest memory limit from its cgroup up"), "none, or unknown"),
    "high_bytes": or_null(size("the smallest memory.high from its cgroup up"), "none, or unknown"),
    "pressure_some": or_null(number("of the last ten seconds: some task of it waited for memory; percent")),
    "pressure_full": or_null(number("of the last ten seconds: all tasks of it waited for memory; percent")),
    "oom_kills": or_null(count("processes of it that were killed for want of memory")),
    "cache_unmapped_bytes": or_null(size("page cache and shared memory on its bill that no process maps")),
    "dead_cgroups_bytes": or_null(size("on its bill: charged to cgroups that were removed")),
    "dying_cgroups": or_null(
        count("cgroups below it that were removed and are still charged or referred to")
    ),
    "uncertainty_bytes": or_null(
        size("how far rss_bytes can be from its value at any one moment of the walk"),
        "unknown, or not requested",
    ),
}
ZONE = record("what a zone uses", ZONE_FIELDS)
PROCESS = record(
    "what a process maps",
    {
        "pid": count("process id"),
        "zone": text("its zone"),
        "uid": or_null(count("real user id")),
        "command": text("the kernel's comm"),
        "size_bytes": size("virtual size"),
        **_MAPPED,
        "rss_bytes": size("page table entries that map memory, as smaps counts them"),
        "exclusive_bytes": size("frames that no other address space maps (USS)"),
        "proportional_bytes": size("each frame divided by the number of address spaces that map it, rounded"),
        "swap_bytes": size("swap slots that its page tables point at, each once"),
    },
)
STEP = record(
    "a step",
    {"step": text("its name, for programs"), "bytes": difference("what it adds")},
)
FILE_KIND = one_of("what is mapped (docs/files.md)", *map(str, FileKind))
HOLDS = or_null(
    rows(
        "what it consists of, most first",
        record(
            "a file, or private memory",
            {
                "kind": or_null(
                    one_of("what it is: as in docs/files.md, or anon", "anon", *map(str, FileKind)),
                    "its file was not found again",
                ),
                "name": or_null(text("of the file"), "private memory, or a file that was not found again"),
                "bytes": size("how much of it is here"),
            },
        ),
    ),
    "not looked up",
)
"""What a part of memory consists of."""
_NOT_FOUND = "the file was not found again"
FILE = record(
    "a file",
    {
        "name": or_null(text("the shortest of its names"), _NOT_FOUND),
        "kind": or_null(FILE_KIND, _NOT_FOUND),
        "aliases": texts("its other names", "a name"),
        "inode": or_null(count("as /proc/PID/maps has it; of a System V segment its id"), _NOT_FOUND),
        "size_bytes": or_null(size("its length")),
        "bytes": size("what is mapped of it, each frame once"),
        "exclusive_bytes": size("of it: mapped by no other zone"),
        "shared_bytes": size("of it: mapped by other zones, too"),
        "mapped_by": rows(
            "each zone that maps it, most first",
            record("a zone", {"zone": text("its name"), "bytes": size("what it maps of the file")}),
        ),
    },
)
CHAIN: Fields = {
    "steps": rows(
        "process_rss_bytes and all steps and residual_bytes add up to what is charged",
        record(
            "a step",
            {
                "step": text("its name, for programs"),
                "bytes": difference("what it adds"),
                "cgroup": or_null(text("the other party"), "there is none"),
            },
            {"zones": texts("other zones that it is about", "a zone")},
        ),
    ),
    "residual_bytes": or_null(difference("what is left over"), NO_CHARGE),
    "residual_bound_bytes": or_null(size("how much the kernel's own rounding can be"), NO_CHARGE),
}
"""From the sum of process RSS to what the kernel charges."""

_NO_KPAGECOUNT = "the kernel does not tell how often pages are mapped"
MAPCOUNTS: Fields = {
    "mapcounts": or_null(
        rows(
            "its memory by how often pages are mapped on the whole machine (ps: with --mapcounts)",
            record(
                "a class of pages",
                {
                    "least": count("they are mapped at least so often"),
                    "most": or_null(count("they are mapped at most so often"), "there is no end"),
                    "bytes": size("how much memory they are"),
                },
            ),
        ),
        _NO_KPAGECOUNT,
    ),
    "mapcount_unknown_bytes": or_null(
        size("pages of which it is not known how often they are mapped (ps: with --mapcounts)"),
        _NO_KPAGECOUNT,
    ),
}
"""How often pages are mapped; where it was asked for."""
