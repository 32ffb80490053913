"""What is told of a command."""

from __future__ import annotations

import pytest
from tests.unit.builders import snapshot, usage
from tests.unit.documents import ODD, UNSEEN, looks, run_of

from zonerss.answers.run import Looks
from zonerss.views.run import command_text, document, render, seconds_text
from zonerss.views.terminal import Terminal, printing_to
from zonerss.views.text import fit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.000 s"),
        (0.0123, "0.012 s"),
        (0.9999, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 m 0 s"),
        (730, "12 m 10 s"),
        (3600, "1 h 0 m"),
        (7500, "2 h 5 m"),
        (273_600, "3 d 4 h"),
    ],
)
def test_how_long(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_command_of_many_or_hostile_words() -> None:
    assert command_text(["make", "-j4"]) == "make -j4"
    assert command_text(["a\x1b[2Jb", "c\nd"]) == "a\\x1b[2Jb c\\x0ad"
    assert len(command_text(["x" * 50] * 9)) == 60


def test_all_that_is_known() -> None:
    lines = render(run_of(looks()))
    assert lines[0].endswith("was ended by signal 9 after 12.2 s (user 20.1 s, system 3.5 s)")
    text = "\n".join(lines)
    assert "PEAK RSS    85K  after 3.0 s: anon 47K, file 31K, shmem 7K" in text
    assert "of it no other zone maps" in text
    assert "PROCESS     63K" in text
    assert "PEAK BILL  211K  the kernel's own peak" in text
    assert "GROWTH      24K  from 61K at first to 85K at last; 4 looks" in text
    assert "FILES" in text
    assert "SHARED" in text
    assert "1 of 5 snapshots could not be kept." in lines
    assert "1 process of it killed for want of memory (OOM)." in text
    assert lines[-1] == "It left 2 processes behind (23 42), and so its cgroup /session/web."
    assert "\x1b" not in text
    assert "\n\n" not in text


def test_what_is_not_known_is_said_and_no_figure() -> None:
    seen = Looks("web")
    seen.add(0.1, snapshot(usage("db")), lambda: (None, ()))
    lines = render(run_of(seen, **UNSEEN))
    assert lines == [
        "true ended with status 0 after 12.2 s (user 20.1 s, system 3.5 s)",
        "PEAK RSS   –  unknown: it was over before a look could see it (1 look)",
        "PEAK BILL  –  unknown: its cgroup has no bill of its own",
    ]


def test_a_peak_that_no_look_saw_is_said() -> None:
    says = "more than any look saw, so its peak was between two looks"
    assert says not in "\n".join(render(run_of(looks())))
    assert says in "\n".join(render(run_of(looks(), largest_process_bytes=86 * 1024)))


def test_a_kernel_that_does_not_tell_the_peak() -> None:
    assert "–  unknown: this kernel does not tell" in "\n".join(
        render(run_of(looks(), peak_charged_bytes=None))
    )


def test_whole_bytes() -> None:
    assert "87040" in "\n".join(render(run_of(looks()), in_bytes=True))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    with printing_to(Terminal(width)):
        assert all(len(line) <= width for line in fit(render(run_of(looks())), width))


def test_the_document_of_what_nobody_saw() -> None:
    read = document(run_of(Looks("web"), **UNSEEN))
    nothing = (
        "source",
        "first",
        "peak",
        "last",
        "growth_bytes_per_minute",
        "peak_charged_bytes",
        "files_seconds",
    )
    assert [read[name] for name in nothing] == [None] * len(nothing)
    assert (read["files"], read["shared_with"], read["looks"]) == ([], [], 0)


def test_hostile_words_in_the_document() -> None:
    read = document(run_of(looks()))
    assert read["command"][-1] != ODD
    assert read["command"][-1].isprintable() or "\\xff" in read["command"][-1]
