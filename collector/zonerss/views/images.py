"""What containers of one image share: a table, or a document."""

from __future__ import annotations

from typing import Any

from zonerss.answers.images import ImageSharing, ImageUsage
from zonerss.views.columns import Column, sizes
from zonerss.views.document import gap_list, header
from zonerss.views.footer import footer
from zonerss.views.mappings import summary
from zonerss.views.share import holding_fields, named
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable, some_names

_SHORT_ID = 12


def render(
    sharing: ImageSharing, limit: int | None = None, in_bytes: bool = False, every: bool = False
) -> list[str]:
    """
    One row for each image, what all containers take, and the last lines.

    :param limit: so many images
    :param every: those with one container, too, which can save nothing
    """
    size = sizes(in_bytes)
    several = [usage for usage in sharing.images if every or len(usage.containers) > 1][:limit]
    rows = [
        [
            str(len(usage.containers)),
            size(usage.apart_bytes),
            size(usage.rss_bytes),
            size(usage.saved_bytes),
            image_name(usage),
            summary(usage.holds, "of a fork", named(), in_bytes) if usage.holds else "–",
        ]
        for usage in several
    ]
    headers = ["CONTAINERS", "APART", "TOGETHER", "SAVED", "IMAGE", "WHAT IS SHARED"]
    lines = render_rows(headers, rows, [False, False, False, False, True, True]) if rows else []
    others = len(sharing.images) - len(several)
    if others:
        lines.append(f"{'and ' if rows else ''}{others} more image{'s' * (others > 1)} (--all)")
    return [
        *lines,
        *([""] if lines else []),
        *_sentences(sharing, in_bytes),
        "",
        *footer(sharing.snapshot, in_bytes),
    ]


def image_columns(in_bytes: bool = False) -> tuple[Column, ...]:
    """Of :class:`zonerss.answers.images.ImageUsage`; in_bytes: sizes within WHAT IS SHARED."""
    return (
        Column("containers", "CONTAINERS", "how many are of it", lambda usage: len(usage.containers)),
        Column("apart", "APART", "without sharing", lambda usage: usage.apart_bytes, size=True),
        Column("together", "TOGETHER", "each page once", lambda usage: usage.rss_bytes, size=True),
        Column("saved", "SAVED", "the difference", lambda usage: usage.saved_bytes, size=True),
        Column("image", "IMAGE", "its name, or id", image_name, left=True),
        Column(
            "what",
            "WHAT IS SHARED",
            "what two or more of them map",
            lambda usage: summary(usage.holds, "of a fork", named(), in_bytes) if usage.holds else None,
            left=True,
        ),
    )


MORE_IMAGE_COLUMNS = (
    Column("names", "NAMES", "the containers", lambda usage: usage.containers, left=True, text=some_names),
    Column("shared", "SHARED", "what two or more map, each page once", lambda u: u.shared_bytes, size=True),
)
"""What else can be asked for of an image."""


def _sentences(sharing: ImageSharing, in_bytes: bool) -> list[str]:
    size, total = sizes(in_bytes), sharing.total
    if not total.containers:
        return ["No container runs here." if sharing.snapshot.past is None else "No container ran there."]
    between = total.saved_bytes - sum(usage.saved_bytes for usage in sharing.images)
    count = len(total.containers)
    who = f"{count} containers take" if count > 1 else "1 container takes"
    lines = [
        f"{who} {size(total.rss_bytes)}, each page once; without sharing "
        f"{size(total.apart_bytes)}: {size(total.saved_bytes)} saved, {size(between)} of it between images."
    ]
    if sharing.unknown:
        lines.append(f"Image unknown: {some_names(sharing.unknown)}.")
    return lines


def image_name(usage: ImageUsage) -> str:
    """What people call an image, or the short id of one that has no name any more; safe to print."""
    image = usage.image
    if image is None:
        return "–"
    return printable(image.name) if image.name else (image.id or "")[:_SHORT_ID]


def document(sharing: ImageSharing, limit: int | None = None) -> dict[str, Any]:
    """``zonerss.images/1`` (docs/share.md); limit: so many images."""
    return header("zonerss.images/1", sharing.snapshot) | {
        "total": _sums(sharing.total),
        "images": [
            {
                "name": None
                if usage.image is None or usage.image.name is None
                else encodable(usage.image.name),
                "id": usage.image and usage.image.id,
                **_sums(usage),
                "holds": holding_fields(usage.holds),
            }
            for usage in sharing.images[:limit]
        ],
        "unknown": [encodable(name) for name in sharing.unknown],
        "gaps": gap_list((*sharing.snapshot.gaps, *sharing.gaps)),
    }


def _sums(usage: ImageUsage) -> dict[str, Any]:
    return {
        "containers": [encodable(name) for name in usage.containers],
        "apart_bytes": usage.apart_bytes,
        "rss_bytes": usage.rss_bytes,
        "saved_bytes": usage.saved_bytes,
        "shared_bytes": usage.shared_bytes,
    }
