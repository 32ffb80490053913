"""What zonerss means by its words, each said once: `zonerss help words` prints them, docs/glossary.md repeats them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

WORDS = {
    "zone": "A set of processes that is asked about: a container, a service, a user. --by says how processes are "
    "grouped into zones.",
    "task": "A process as it was listed: pid, start time, user, cgroup, command.",
    "member": "A task with its zones and its owner, and what the walk found of its address space.",
    "frame": "A page of physical memory. Its number is the pfn.",
    "kind": "What a frame holds: anon (private memory that no file backs), file (page cache) or shmem (tmpfs, memfd, "
    "System V and anonymous shared memory). hugetlb pages and swap slots are counted beside these.",
    "walk": "Reading the page tables of all processes once. It takes time, so a snapshot is of an interval.",
    "source": "Where frame numbers come from: pagetable (the page tables themselves, read by BPF) or pagemap "
    "(/proc/PID/pagemap). Both give the same figures.",
    "basis": "What counts: mapped (what page tables map) or incore (also cached pages of mapped file ranges).",
    "owner": "The number that a walk marks frames with. It stands for one combination of zones, or for one address "
    "space.",
    "set": "A set of owners that map the same frames.",
    "part": "A set and the frames that exactly its owners map. Every figure is a sum over the parts.",
    "census": "The table of frames and their sets that a walk fills.",
    "overlap": "The frames of a part of one census that are in a part of another census. It tells which files a part "
    "holds.",
    "snapshot": "The result of one walk: what each zone uses, the parts, and the gaps.",
    "gap": "Something that a snapshot does not cover: a process that left, began or could not be read.",
    "rss": "Frames that a zone maps, each counted once however many of its processes map it.",
    "exclusive": "The part of rss that no other zone maps. If the zone ends, all of it but tmpfs and System V memory "
    "is freed or can be reclaimed.",
    "shared": "The part of rss that other zones map, too: rss less exclusive.",
    "proportional": "Each frame divided by the number of zones that map it. It adds up over zones.",
    "charged": "What the kernel bills a zone's cgroup: memory.current or memory.usage_in_bytes. The first cgroup to "
    "touch a page is charged for all of it.",
    "payer": "The cgroup that a frame is charged to.",
    "touched": "Of rss: what was used through page tables in a time, as their accessed bits tell.",
    "process rss": "The sum of the RSS of a zone's processes, as ps tells it: a shared page counts once per process.",
    "uncertainty": "How far rss can be from its value at any one moment of the walk, because processes go on running.",
    "mapped file": "A file, memfd, System V segment or device that processes map, under whatever names.",
    "known tables": "Page tables of a content that was met before in the same walk; frames are not counted again.",
    "job queue": "The address spaces that are still to be walked. Threads take the next one from it.",
    "table copy": "One record of raw page table entries that the BPF program hands to user space.",
    "host": "What this host offers (files, kernel features, privileges), found once.",
    "place": "Where zonerss runs: host, guest or container.",
}
"""Each word and one or two sentences, in the order in which they are best read."""


def render(words: Iterable[str] = WORDS, width: int = 80) -> list[str]:
    """The words and what they mean, a paragraph each, wrapped at ``width`` columns."""
    indent = " " * (max(map(len, WORDS)) + 2)
    lines = []
    for word in words:
        text = f"{word:<{len(indent)}}{WORDS[word]}"
        lines += textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)
    return lines
