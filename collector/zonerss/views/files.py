"""Which files are mapped: a table, or a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zonerss.answers.files import FileUsage
from zonerss.records import Gap
from zonerss.snapshot import Snapshot
from zonerss.views.columns import Column
from zonerss.views.document import Listing, gap_list, header
from zonerss.views.footer import footer
from zonerss.views.mappings import full_name
from zonerss.views.table import render_table
from zonerss.views.text import encodable, some_names


def render(
    snapshot: Snapshot, files: Sequence[FileUsage], zone: str | None, in_bytes: bool = False
) -> list[str]:
    """The table, and the last lines; parameters as for :func:`render_files`."""
    return [*render_files(files, zone, in_bytes), "", *footer(snapshot, in_bytes)]


def render_files(
    files: Sequence[FileUsage], zone: str | None, in_bytes: bool = False, width: int | None = None
) -> list[str]:
    """One row for each file; zone: whose, None: all zones'; width: see :func:`zonerss.views.table.render_rows`."""
    if not files:
        return ["No file is mapped."]
    return render_table(file_columns(zone), files, in_bytes, width)


def file_columns(zone: str | None) -> tuple[Column, ...]:
    """
    The columns of files.

    :param zone: whose files they are, None: all zones'
    """

    def mapped_by(usage: FileUsage) -> tuple[str, ...] | None:
        return tuple(name for name, _ in usage.mapped_by if name != zone) or None

    return (
        Column("size", "SIZE", "how much of the file is mapped", lambda usage: usage.bytes, size=True),
        Column("exclusive", "EXCL", "of it: mapped by no other zone", lambda u: u.exclusive_bytes, size=True),
        Column("kind", "KIND", "file, tmpfs, memfd, ...", lambda u: u.file and u.file.kind, left=True),
        Column("file", "FILE", "its name", lambda u: full_name(u.file), left=True),
        Column(
            "mapped_by",
            "MAPPED BY" if zone is None else "ALSO MAPPED BY",
            "zones that map it",
            mapped_by,
            left=True,
            text=some_names,
        ),
    )


MORE_FILE_COLUMNS = (
    Column(
        "shared", "SHARED", "of it: mapped by others, too", lambda u: u.bytes - u.exclusive_bytes, size=True
    ),
    Column("length", "LENGTH", "the size of the file", lambda u: u.file and u.file.size_bytes, size=True),
    Column("inode", "INODE", "its inode", lambda u: u.file and u.file.inode),
)
"""What else can be asked for of a file, by -o and --sort."""


def document(
    snapshot: Snapshot, zone: str | None, files: Sequence[FileUsage], gaps: tuple[Gap, ...] = ()
) -> dict[str, Any]:
    """``zonerss.files/1`` (docs/files.md)."""
    fields = {
        "zone": None if zone is None else encodable(zone),
        "files": [file_fields(usage) for usage in files],
        "gaps": gap_list((*snapshot.gaps, *gaps)),
    }
    return Listing(header("zonerss.files/1", snapshot) | fields)


def file_fields(usage: FileUsage) -> dict[str, Any]:
    """One file for JSON."""
    file = usage.file
    return {
        "name": file and encodable(file.name),
        "kind": file and str(file.kind),
        "aliases": [encodable(name) for name in file.aliases] if file else [],
        "inode": file and file.inode,
        "size_bytes": file and file.size_bytes,
        "bytes": usage.bytes,
        "exclusive_bytes": usage.exclusive_bytes,
        "shared_bytes": usage.bytes - usage.exclusive_bytes,
        "mapped_by": [{"zone": encodable(name), "bytes": size} for name, size in usage.mapped_by],
    }
