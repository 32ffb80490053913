"""Writes the man pages: zonerss(1), zonerss-VERB(1), zonerss.toml(5), zonerss-exporter(8).

Options and descriptions come from the parsers; what a program cannot say of itself stands in *.in beside this.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from faces import Argument, Face, Group, faces

from zonerss import __version__
from zonerss.commands.configuration import COMMON

HERE = Path(__file__).parent


def main(directory: Path) -> None:
    """Write all pages."""
    every = faces()
    for face in every:
        (directory / f"zonerss-{face.verb}.1").write_text(verb_page(face))
    verbs = "\n".join(term(f"{reference(f'zonerss-{face.verb}', 1)}", face.summary) for face in every)
    tables = "\n".join(map(_table_of, every))
    options = "\n".join(argument(option) for face in every if face.verb == "serve" for option in face.options)
    for page, section, places in (
        ("zonerss", 1, {"VERBS": verbs}),
        ("zonerss.toml", 5, {"COMMON": ", ".join(map(bold, COMMON)), "TABLES": tables}),
        ("zonerss-exporter", 8, {"OPTIONS": options}),
    ):
        text = (HERE / f"{page}.{section}.in").read_text()
        text = re.sub(r"@([A-Z]+)@", lambda match, places=places: places[match[1]], text)
        (directory / f"{page}.{section}").write_text(heading(page, section) + text)


def verb_page(face: Face) -> str:
    """The page of a verb."""
    also = [(f"zonerss-{name}", 1) for name in _named(face) if name != face.verb]
    return "\n".join(
        [
            heading(f"zonerss-{face.verb}", 1) + ".SH NAME",
            escape(f"zonerss-{face.verb} - {face.summary}").replace(r" \- ", r" \- ", 1),
            ".SH SYNOPSIS",
            "\n.br\n".join(map(synopsis, face.usages)),
            ".SH DESCRIPTION",
            paragraphs(face.description),
            *(
                section
                for group in face.groups
                for section in (_title(group), *map(argument, group.arguments))
            ),
            ".SH EXIT STATUS",
            exit_status(face),
            ".SH SEE ALSO",
            ",\n".join(reference(*page) for page in (("zonerss", 1), *also, ("zonerss.toml", 5))),
            "",
        ]
    )


def exit_status(face: Face) -> str:
    """What the status of a verb says."""
    statuses = {"0": "done", "1": "could not, with one line on standard error", "2": "wrong usage"}
    if face.verb == "report":
        statuses["3"] = "a condition of --fail-on holds"
    if face.takes_command:
        statuses["other"] = "with COMMAND: its status"
    return "\n".join(term(bold(status), meaning) for status, meaning in statuses.items())


def _named(face: Face) -> list[str]:
    """Other verbs that its description names."""
    return re.findall(r"\bzonerss ([a-z]+)\b(?=[^a-z])", face.description)


def _title(group: Group) -> str:
    if group.title:
        return f".SS {escape(group.title[0].upper() + group.title[1:])}"
    return ".SH OPTIONS" if group.arguments[0].options else ".SH ARGUMENTS"


def _table_of(face: Face) -> str:
    keys = [
        option.options[-1][2:]
        if option.options[-1].startswith("--")
        else next((name[2:] for name in option.options if name.startswith("--")), "")
        for option in face.options
    ]
    kept = [
        f'"{key}"' if "." in key else key for key in keys if key not in ("", "help", "config", "no-config")
    ]
    return term(bold(f"[{face.verb}]"), ", ".join(kept)) if kept else ""


# ---- roff ------------------------------------------------------------------------------------------------


def heading(page: str, section: int) -> str:
    """The first lines of a page. SOURCE_DATE_EPOCH, where it is set, gives the date."""
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    return (
        '.\\" Made by packaging/man from the parsers of the verbs.\n'
        f'.TH {escape(page.upper())} {section} {date} "zonerss {__version__}" "zonerss manual"\n'
        ".nh\n.ad l\n"
    )


def escape(text: str) -> str:
    """Text as roff prints it."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    text = text.replace("–", r"\(en").replace("±", r"\(+-").replace("…", "...")
    return "\n".join(rf"\&{line}" if line.startswith((".", "'")) else line for line in text.splitlines())


def prose(text: str) -> str:
    """The same, with what stands between backticks, and each option, in bold."""
    pieces = re.split(r"`([^`\n]+)`|(?<![\w-])(--?[a-zA-Z][\w.-]*\w|-[a-zA-Z])(?![\w-])", text)
    plain, quoted, option = pieces[::3], pieces[1::3], pieces[2::3]
    marked = [bold(a or b or "") for a, b in zip(quoted, option, strict=True)]
    return "".join(escape(a) + b for a, b in zip(plain, [*marked, ""], strict=True))


def bold(text: str) -> str:
    """In bold."""
    return rf"\fB{escape(text)}\fR"


def reference(page: str, section: int) -> str:
    """To another page."""
    return rf"{bold(page)}({section})"


def term(label: str, text: str) -> str:
    """A paragraph with a label. The label is roff, the text is not."""
    return f".TP\n{label}\n{prose(text)}"


def argument(one: Argument) -> str:
    """An argument and what it does."""
    value = rf"\fI{escape(one.metavar)}\fR" if one.metavar else ""
    names = [f"{bold(name)} {value}".rstrip() for name in one.options]
    return term(", ".join(names) or value, one.help)


def synopsis(usage: str) -> str:
    """A usage, whose bracketed parts are not divided between lines."""
    words = re.findall(r"\[[^\]]*\](?: \.\.\.\])?|\S+", usage)
    return "\n".join([f".B {escape(' '.join(words[:2]))}", *map(_unbroken, words[2:])])


def _unbroken(word: str) -> str:
    return escape(word).replace(" ", r"\ ").replace(r"\ |\ ", r"\ | ")


def paragraphs(text: str) -> str:
    """Paragraphs, and tables (lines with gaps in them) as they are."""
    return "\n.PP\n".join(map(_paragraph, text.split("\n\n")))


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if any("  " in line.strip() for line in lines):
        return "\n".join((".RS 4", ".nf", *(escape(line) for line in _dedented(lines)), ".fi", ".RE"))
    return prose(" ".join(line.strip() for line in lines))


def _dedented(lines: Iterable[str]) -> list[str]:
    lines = list(lines)
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return [line[indent:] for line in lines]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
