"""The verbs of the command line, and where its configuration is."""

from __future__ import annotations

VERBS = {
    "show": "what each zone uses (the default)",
    "zone": "all about a zone on one page",
    "ps": "what each process maps",
    "frames": "the pages of one process, mapping by mapping",
    "share": "who shares what with whom",
    "files": "which files a zone maps, and who else maps them",
    "whatif": "what would be freed if zones ended",
    "wss": "how much of its memory each zone touches in a time",
    "cap": "hold zones under a cap by their real RSS",
    "top": "what each zone uses, live",
    "serve": "metrics for Prometheus and a page for browsers, kept up to date",
    "record": "keep snapshots in a file, or look at a command while it runs",
    "report": "is it a leak? what became of each zone in a recording",
    "autopsy": "the minutes before the kernel killed a process (OOM)",
    "export": "a recording as a table for other programs: Parquet or CSV",
    "explain": "from the RSS that ps shows to what the kernel charges",
    "check": "what this kernel and these privileges allow",
    "schema": "the JSON Schema of each document",
    "help": "what a verb does, and what the words mean that zonerss uses",
}
PAGE = "zone"
"""The verb of a command that begins with the name of a zone."""
CONFIGURATION = "/etc/zonerss/zonerss.toml"
NOT_CONFIGURED = ("check", "help")
"""Verbs that no configuration changes: the first one says what it is."""
