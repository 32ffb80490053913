"""zonerss.explain-process/1: one process's RSS three ways."""

from __future__ import annotations

from zonerss.schemas.words import MACHINE, STEP, count, document, rows, size

SCHEMA = document(
    "explain-process",
    "zonerss explain --pid PID --json",
    "explain.md",
    {
        "pid": count("process id"),
        "machine": MACHINE,
        "statm_bytes": size("its RSS by the kernel's counters, which ps prints"),
        "smaps_bytes": size("its RSS by smaps"),
        "translations_bytes": size("page table entries that map anything, as pagemap shows them"),
        "pfnmap_bytes": size("mappings by frame number (VM_PFNMAP), of which pagemap shows nothing"),
        "steps": rows("statm_bytes and all steps add up to translations_bytes", STEP),
    },
)
