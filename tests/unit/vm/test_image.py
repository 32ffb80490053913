"""The Python tools under vm/image: apt sources, the initrd's archive, the kernel in a bzImage."""

from __future__ import annotations

import gzip
import lzma
import stat
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

IMAGE = Path(__file__).parents[3] / "vm/image"


def load(name: str) -> ModuleType:
    """A tool of vm/image as a module; its name has no .py."""
    loader = SourceFileLoader(name.replace("-", "_"), str(IMAGE / name))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    written = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


# ---- sources -----------------------------------------------------------------------------------------

DEB822 = """\
# a comment
Types: deb deb-src
URIs: mirror://one/debian
Suites: bookworm bookworm-updates
Components: main contrib
# another one
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: mirror://one/other
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: mirror://one/vendor
Suites: nodistro
Components: main
"""

ONE_LINE = """\
# deb mirror://one/commented bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg,/usr/share/keyrings/b.gpg] mirror://one/debian bookworm main # why
deb-src mirror://one/debian bookworm main
deb mirror://one/security bookworm-security main
"""


def printed_for(text: str, file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    file.write_text(text)
    return subprocess.run(
        [sys.executable, IMAGE / "sources", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"ZONERSS_APT_SOURCES": str(file)},
    )


def test_deb822_sources_are_cut_down_to_bookworm_and_main(tmp_path: Path) -> None:
    answer = printed_for(DEB822, tmp_path / "debian.sources")
    assert answer.stdout == (
        "Types: deb\nUris: mirror://one/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
        "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )


def test_one_line_sources_become_stanzas(tmp_path: Path) -> None:
    answer = printed_for(ONE_LINE, tmp_path / "sources.list")
    assert answer.stdout == (
        "Types: deb\nUris: mirror://one/debian\nSuites: bookworm\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/a.gpg /usr/share/keyrings/b.gpg\n"
        "\n"
        "Types: deb\nUris: mirror://one/security\nSuites: bookworm-security\nComponents: main\n"
    )


def test_backports_come_from_the_archive_of_bookworm(tmp_path: Path) -> None:
    suites = [
        line
        for line in printed_for(ONE_LINE, tmp_path / "sources.list", "--backports").stdout.splitlines()
        if line.startswith("Suites")
    ]
    assert suites == ["Suites: bookworm bookworm-backports", "Suites: bookworm-security"]


@pytest.mark.parametrize("text", ["", "\n\n", "deb mirror://one/debian trixie main\n", "Types:\n\n:\n x\n"])
def test_sources_without_bookworm_are_one_sentence(text: str, tmp_path: Path) -> None:
    answer = printed_for(text, tmp_path / "some")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.count("\n") == 1
    assert "ZONERSS_APT_SOURCES" in answer.stderr


# ---- initrd ------------------------------------------------------------------------------------------


def parse_cpio(data: bytes) -> dict[str, tuple[int, bytes]]:
    """The members of a newc archive, read by its definition (cpio(5))."""
    members: dict[str, tuple[int, bytes]] = {}
    offset = 0
    while True:
        assert data[offset : offset + 6] == b"070701"
        assert offset % 4 == 0
        fields = [int(data[offset + 6 + 8 * n : offset + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = data[offset + 110 : offset + 110 + length - 1].decode()
        start = offset + 110 + length
        start += -start % 4
        if name == "TRAILER!!!":
            return members
        members[name] = (mode, data[start : start + size])
        offset = start + size
        offset += -offset % 4


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A kernel with three modules: virtio_pci needs virtio-ring, which needs virtio; 9p is built in."""
    root = tmp_path / "modules"
    root.mkdir()
    (root / "modules.dep").write_text(
        "kernel/virtio-pci.ko: kernel/virtio-ring.ko.xz kernel/virtio.ko\n"
        "kernel/virtio-ring.ko.xz: kernel/virtio.ko\n"
        "kernel/virtio.ko:\n"
    )
    (root / "modules.builtin").write_text("kernel/fs/9p/9p.ko\n")
    (root / "kernel").mkdir()
    (root / "kernel/virtio-pci.ko").write_bytes(b"pci")
    (root / "kernel/virtio-ring.ko.xz").write_bytes(lzma.compress(b"ring"))
    (root / "kernel/virtio.ko").write_bytes(b"virtio")
    return root


def build_initrd(modules: Path, target: Path) -> bytes:
    busybox = modules.parent / "busybox"
    busybox.write_bytes(b"\x7fELF busybox")
    subprocess.run([sys.executable, IMAGE / "make-initrd", modules, busybox, target], check=True)
    return target.read_bytes()


def test_the_initrd_holds_each_module_after_those_it_needs(modules: Path, tmp_path: Path) -> None:
    members = parse_cpio(gzip.decompress(build_initrd(modules, tmp_path / "initrd")))
    loaded = {name: data for name, (_, data) in members.items() if name.endswith(".ko")}
    assert loaded == {
        "modules/00-virtio.ko": b"virtio",
        "modules/01-virtio_ring.ko": b"ring",
        "modules/02-virtio_pci.ko": b"pci",
    }
    assert members["init"][1] == (IMAGE / "initrd-init").read_bytes()
    assert stat.S_ISLNK(members["bin/sh"][0])
    assert members["bin/busybox"][0] == stat.S_IFREG | 0o755


def test_the_same_input_gives_the_same_initrd(modules: Path, tmp_path: Path) -> None:
    assert build_initrd(modules, tmp_path / "one") == build_initrd(modules, tmp_path / "other")


# ---- vmlinux -----------------------------------------------------------------------------------------


def extract(image: bytes, directory: Path) -> tuple[int, bytes]:
    (directory / "bzImage").write_bytes(image)
    target = directory / "vmlinux"
    command = [sys.executable, IMAGE / "extract-vmlinux", directory / "bzImage", target]
    answer = subprocess.run(command, capture_output=True, check=False)
    return answer.returncode, target.read_bytes() if target.exists() else answer.stderr


def test_the_kernel_is_found_among_other_packed_things(tmp_path: Path) -> None:
    kernel = b"\x7fELF" + bytes(range(256)) * 64
    image = (
        b"setup"
        + lzma.compress(b"not a kernel")
        + b"\xfd7zXZ\x00 a false start"
        + lzma.compress(kernel)
        + b"tail"
    )
    assert extract(image, tmp_path) == (0, kernel)


def test_an_image_without_a_kernel_is_one_sentence(tmp_path: Path) -> None:
    status, told = extract(b"\x7fELF is not packed", tmp_path)
    assert status == 1
    assert told.decode().count("\n") == 1


# ---- compare-tars ------------------------------------------------------------------------------------


def test_two_root_archives_are_compared_file_by_file(tmp_path: Path) -> None:
    for name, content in (("one", "a"), ("other", "b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same").write_text("same")
        (tmp_path / name / "changed").write_text(content)
        (tmp_path / name / name).touch()
        subprocess.run(
            [
                "tar",
                "-C",
                tmp_path / name,
                "--mtime=@0",
                "-cf",
                tmp_path / f"{name}.tar",
                "same",
                "changed",
                name,
            ],
            check=True,
        )
    one, other = tmp_path / "one.tar", tmp_path / "other.tar"
    told = subprocess.run(
        [sys.executable, IMAGE / "compare-tars", one, other], capture_output=True, text=True, check=True
    )
    assert told.stdout == f"changed: content\none: only in {one}\nother: only in {other}\n"
