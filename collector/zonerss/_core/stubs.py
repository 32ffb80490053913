"""Makes the type stub of the C core from its public headers: `python -m zonerss._core.stubs`.

Pointers to a struct and the struct itself are one class, as in cffi: fields are attributes, elements are indexed.
Integers are int, everything else that is pointed at is CData. A test compares the stub with what the headers say.
"""

from __future__ import annotations

from pathlib import Path

from pycparser import c_ast, c_parser

from zonerss._core.build import BPF_HEADERS, HEADERS

HERE = Path(__file__).resolve().parent
_HEAD = '''"""Made by stubs.py from {headers}."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

class CData:
    def __getitem__(self, index: int) -> Any: ...
    def __setitem__(self, index: int, value: Any) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __add__(self, elements: int) -> CData: ...

class FFI:
    NULL: Any
    def new(self, cdecl: str, init: Any = ...) -> Any: ...
    def cast(self, cdecl: str, source: Any) -> Any: ...
    def gc(self, cdata: Any, destructor: Any) -> Any: ...
    def release(self, cdata: Any) -> None: ...
    def buffer(self, cdata: Any, size: int = ...) -> Any: ...
    def from_buffer(self, cdecl: Any, python_buffer: Any = ...) -> Any: ...
    def string(self, cdata: Any) -> bytes: ...
    def unpack(self, cdata: Any, length: int) -> Any: ...
    def addressof(self, cdata: Any) -> Any: ...
    def sizeof(self, cdecl: Any) -> int: ...
'''
_TYPES = "".join(
    f"typedef {kind} {name};\n"
    for kind, names in {
        "signed char": ("int8_t",),
        "unsigned char": ("uint8_t",),
        "short": ("int16_t",),
        "unsigned short": ("uint16_t",),
        "int": ("int32_t",),
        "unsigned": ("uint32_t",),
        "long": ("int64_t", "ssize_t"),
        "unsigned long": ("uint64_t", "size_t"),
    }.items()
    for name in names
)


def stub(headers: tuple[str, ...]) -> str:
    """The text of a module's stub: enums, structs, functions, in the headers' order."""
    text = "".join(_without_comments((HERE / header).read_text()) for header in headers)
    tree = c_parser.CParser().parse(_TYPES + text)
    structs: dict[str, list[str]] = {}
    constants: list[str] = []
    functions: list[str] = []
    for node in tree.ext:
        if isinstance(node, c_ast.Decl):
            _declaration(node, structs, constants, functions)
    lines = [_HEAD.format(headers=", ".join(headers))]
    for name, fields in structs.items():
        lines += [f"class {name}:", *(f"    {field}" for field in fields)]
        lines += [f"    def __getitem__(self, index: int) -> {name}: ...", ""]
    lines += ["class Lib:", *(f"    {name}: int" for name in constants)]
    lines += [f"    {function}" for function in functions]
    return "\n".join([*lines, "", "ffi: FFI", "lib: Lib", ""])


def _without_comments(text: str) -> str:
    lines = (line.split("//")[0] for line in text.splitlines() if not line.startswith("#"))
    return "\n".join(lines) + "\n"


def _declaration(
    node: c_ast.Decl, structs: dict[str, list[str]], constants: list[str], functions: list[str]
) -> None:
    kind = node.type
    if isinstance(kind, c_ast.Enum):
        constants += [value.name for value in kind.values.enumerators]
    elif isinstance(kind, c_ast.Struct):
        fields = structs.setdefault(kind.name, [])
        fields += [f"{field.name}: {_python_type(field.type)}" for field in kind.decls or ()]
    elif isinstance(kind, c_ast.FuncDecl):
        arguments = [
            f"{argument.name}: {_python_type(argument.type)}"
            for argument in kind.args.params
            if argument.name
        ]
        result = _python_type(kind.type).removesuffix(" | bytes")
        functions.append(f"def {node.name}({', '.join(['self', *arguments])}) -> {result}: ...")


def _python_type(kind: c_ast.Node) -> str:
    if isinstance(kind, c_ast.PtrDecl):
        pointed = kind.type.type if isinstance(kind.type, c_ast.TypeDecl) else None
        if isinstance(pointed, c_ast.Struct):
            return str(pointed.name)
        return "CData | bytes" if getattr(pointed, "names", None) == ["char"] else "CData"
    if isinstance(kind, c_ast.ArrayDecl):
        return "CData"
    inner = kind.type
    if isinstance(inner, c_ast.Struct):
        return str(inner.name)
    if isinstance(inner, c_ast.Enum):
        return "int"
    names = getattr(inner, "names", ["int"])
    return {"void": "None", "double": "float", "char": "bytes"}.get(names[0], "int")


def main() -> None:
    """Write the stub beside the headers."""
    (HERE / "_lib.pyi").write_text(stub((*HEADERS, *BPF_HEADERS)))


if __name__ == "__main__":
    main()
