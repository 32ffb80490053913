"""The glossary as text; that docs/glossary.md says the same is tested in test_docs.py."""

from __future__ import annotations

from zonerss.views.glossary import WORDS, render


def test_lines_fit_and_say_everything() -> None:
    for width in (60, 80, 100):
        lines = render(width=width)
        assert max(map(len, lines)) <= width
        assert " ".join(" ".join(lines).split()) == " ".join(f"{word} {text}" for word, text in WORDS.items())
