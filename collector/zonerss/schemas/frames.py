"""zonerss.frames/1: the pages of one process."""

from __future__ import annotations

from zonerss.schemas.words import MACHINE, count, document, or_null, pages, record, rows, size, text

SCHEMA = document(
    "frames",
    "zonerss frames PID --json",
    "json.md",
    {
        "pid": count("process id"),
        "page_size": size("a base page"),
        "machine": MACHINE,
        "vmas": rows(
            "its mappings, in the order of their addresses",
            record(
                "a mapping",
                {
                    "start": count("its first address"),
                    "end": count("the address after its last"),
                    "permissions": text("as in /proc/PID/maps"),
                    "offset": count("where in the file it begins; bytes"),
                    "inode": count("of the file; 0: there is none"),
                    "name": text("of the file; [heap], [stack], ...; empty: private memory"),
                    "anon_pages": pages("private memory that no file backs"),
                    "file_pages": pages("page cache of files"),
                    "shmem_pages": pages("tmpfs, memfd, System V and anonymous shared memory"),
                    "hugetlb_pages": pages("hugetlb"),
                    "swap_pages": pages("in swap"),
                    "zero_pages": pages("entries of the zero page"),
                    "device_pages": or_null(
                        pages("not memory"), "mapped by frame number (VM_PFNMAP): pagemap shows nothing of it"
                    ),
                    "huge_pages": pages("of the present ones: mapped by a PMD or larger"),
                    "mapcounts": rows(
                        "how many pages have which mapcount on the whole machine",
                        record(
                            "a mapcount",
                            {
                                "mapcount": or_null(count("how many page table entries map each of them")),
                                "pages": pages("how many they are"),
                            },
                        ),
                    ),
                },
                {
                    "runs": rows(
                        "with --pfn: the frames of pages that follow each other in memory, too",
                        record(
                            "a run",
                            {
                                "address": count("of its first page"),
                                "pfn": count("frame number of its first page: sensitive host information"),
                                "pages": pages("how long it is"),
                            },
                        ),
                    )
                },
            ),
        ),
    },
)
