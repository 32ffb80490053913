"""Bars of memory by kind: three glyphs, so that they read the same without colours."""

from __future__ import annotations

from zonerss.records import Usage
from zonerss.views.terminal import Style

GLYPHS = {"anon": "█", "file": "▓", "shmem": "░"}
LEGEND = " ".join(kind + glyph for kind, glyph in GLYPHS.items())


def legend(width: int, style: Style) -> str:
    """What the glyphs mean, as far as there is room."""
    if width >= len(LEGEND):
        return " ".join(style.paint(kind + glyph, kind) for kind, glyph in GLYPHS.items())
    glyphs = "".join(GLYPHS.values())
    return "".join(style.paint(glyph, kind) for kind, glyph in GLYPHS.items()) if width >= len(glyphs) else ""


def bar(usage: Usage, most_bytes: int, width: int, style: Style) -> str:
    """
    What a zone uses, by kind; as much of its end as other zones map, too, is dim.

    :param most_bytes: what a bar of the whole width stands for
    """
    rss = usage.rss_bytes
    length = min(max(round(width * rss / most_bytes), 1), width) if rss and most_bytes else 0
    own = length - round(length * (usage.shared_bytes or 0) / max(rss, 1))
    text, begin, so_far = "", 0, 0
    for kind, glyph in GLYPHS.items():
        so_far += getattr(usage, f"{kind}_bytes")
        end = round(length * so_far / max(rss, 1))
        bright = max(min(end, own) - begin, 0)
        text += style.paint(glyph * bright, kind) + style.paint(
            glyph * (end - begin - bright), kind, "shared"
        )
        begin = end
    return text
