"""Writes what bash, zsh and fish complete zonerss with: the templates beside this, filled from the faces of verbs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from shlex import quote

from faces import Argument, Face, Values, faces

HERE = Path(__file__).parent


def main(directory: Path) -> None:
    """Write the three files."""
    every = faces()
    for file, text in (
        ("zonerss", bash(every)),
        ("_zonerss", zsh(every)),
        ("zonerss.fish", fish(every)),
    ):
        (directory / file).write_text(text)


def fill(template: str, **places: str) -> str:
    """A template with its @PLACES@ filled."""
    text = (HERE / template).read_text()
    return re.sub(r"@([A-Z]+)@", lambda match: places[match[1]], text)


def first_clause(help: str) -> str:
    """What a menu has room for."""
    return re.split(r"[;:(]|\. |, as in", help)[0].strip()[:72]


# ---- bash ------------------------------------------------------------------------------------------------


def bash(every: list[Face]) -> str:
    """The script for bash."""
    options = "\n".join(
        f"    [{face.verb}]={quote(' '.join(name for option in face.options for name in option.options))}"
        for face in every
    )
    values = "\n".join(
        f"    [{quote(key)}]={quote(' '.join((values.kind, *values.words)))}"
        for face in every
        for key, values in _bash_values(face)
    )
    return fill("bash.in", OPTIONS=options, VALUES=values, VERBS=" ".join(face.verb for face in every))


def _bash_values(face: Face) -> list[tuple[str, Values]]:
    return [
        *((face.verb, argument.values) for argument in face.positionals[:1]),
        *(
            (f"{face.verb} {name}", option.values)
            for option in face.options
            if option.metavar
            for name in option.options
        ),
    ]


# ---- zsh -------------------------------------------------------------------------------------------------


def zsh(every: list[Face]) -> str:
    """The script for zsh."""
    verbs = "\n".join(f"        {_single(f'{face.verb}:{face.summary}')}" for face in every)
    return fill("zsh.in", VERBS=verbs, FUNCTIONS="\n\n".join(map(_zsh_function, every)))


def _zsh_function(face: Face) -> str:
    specs = [_single(_zsh_spec(option, name)) for option in face.options for name in option.options]
    specs += [_single(f"*:{arg.metavar}:{_zsh_action(arg.values)}") for arg in face.positionals[:1]]
    if face.takes_command:
        specs += [_single("(-)*::command:_normal")]
    lines = " \\\n".join(f"        {spec}" for spec in specs)
    return f"_zonerss_verb_{face.verb}() {{\n    _arguments -s -S \\\n{lines}\n}}"


def _zsh_spec(option: Argument, name: str) -> str:
    told = re.sub(r"([\[\]:\\])", r"\\\1", first_clause(option.help))
    if option.metavar is None:
        return f"*{name}[{told}]"
    joined = "=" if name.startswith("--") else ""
    metavar = option.metavar.replace(":", r"\:")
    return f"*{name}{joined}[{told}]:{metavar}:{_zsh_action(option.values)}"


def _zsh_action(values: Values) -> str:
    words = " ".join(values.words)
    return {
        "words": f"({words})",
        "list": f"_values -s , column {words}",
        "zones": "_zonerss_zones",
        "caps": "_zonerss_caps",
        "pids": "_pids",
        "files": "_files",
    }.get(values.kind, " ")


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# ---- fish ------------------------------------------------------------------------------------------------


def fish(every: list[Face]) -> str:
    """The script for fish."""
    lines = []
    for face in every:
        lines.append(
            f"complete -c zonerss -n __zonerss_first -a {face.verb} -d {_fish_quote(first_clause(face.summary))}"
        )
    for face in every:
        lines += [_fish_option(face, option) for option in face.options]
        lines += [
            f"{_fish_start(face)}{_fish_action(argument.values)}"
            for argument in face.positionals[:1]
            if argument.values.kind != "any"
        ]
        if face.takes_command:
            lines.append(f"{_fish_start(face)} -xa '(__fish_complete_subcommand)'")
    lines.append("complete -c zonerss -n __zonerss_first -a '(__zonerss_zones)' -d zone")
    return fill("fish.in", VERBS=" ".join(face.verb for face in every), COMPLETIONS="\n".join(lines))


def _fish_start(face: Face) -> str:
    return f"complete -c zonerss -n '__zonerss_verb {face.verb}'"


def _fish_option(face: Face, option: Argument) -> str:
    names = "".join(
        f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in option.options
    )
    value = _fish_action(option.values) if option.metavar else ""
    return f"{_fish_start(face)}{names}{value} -d {_fish_quote(first_clause(option.help))}"


def _fish_action(values: Values) -> str:
    words = " ".join(values.words)
    return {
        "words": f" -xa '{words}'",
        "list": f" -xa '(__zonerss_list {words})'",
        "zones": " -xa '(__zonerss_zones)'",
        "caps": " -xa '(__zonerss_caps)'",
        "pids": " -xa '(__fish_complete_pids)'",
        "files": " -rF",
    }.get(values.kind, " -x")


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
