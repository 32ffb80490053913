#!/usr/bin/python3
"""The kernels zonerss is tested on, and what it can use on each.

One tuple of kernels and one of features. A test compares docs/support-matrix.md with them, and the guest takes its
kernel from them. zonerss itself never looks at a kernel's version: it tries a feature. This table is for people.

    vm/kernels.py            every series, one a line
    vm/kernels.py 6.12       the Debian suite that this series comes from
    vm/kernels.py 6.12-16k arm64   likewise for another architecture
    vm/kernels.py --matrix   the table of docs/support-matrix.md
"""

import sys
from dataclasses import dataclass
from typing import NewType

Version = NewType("Version", tuple[int, int])


def v(major: int, minor: int) -> Version:
    return Version((major, minor))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel that the tests run on."""

    version: Version
    suite: str | None
    """Debian suite that has it; None: no guest, only hosts run it."""
    where: str

    @property
    def series(self) -> str:
        return ".".join(map(str, self.version))


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A kernel feature that zonerss uses where it exists."""

    name: str
    since: Version
    used_for: str
    otherwise: str
    """What zonerss does on a kernel without it."""


KERNELS = (
    Kernel(version=v(6, 1), suite="bookworm", where="guest; Debian 12"),
    Kernel(version=v(6, 12), suite="bookworm-backports", where="guest; Debian 12 backports"),
    Kernel(version=v(6, 18), suite=None, where="host"),
)

ARCHITECTURES = {"amd64": ("6.1", "6.12"), "arm64": ("6.1", "6.12", "6.12-16k")}
"""The guests of each, by series, and the flavour where there are several: pages of 16 KiB."""

FEATURES = (
    Feature(
        name="frame numbers in pagemap",
        since=v(2, 6),
        used_for="the pagemap source",
        otherwise="zonerss cannot work",
    ),
    Feature(
        name="memory.reclaim",
        since=v(5, 19),
        used_for="tests that push pages to swap",
        otherwise="those tests lower memory.high",
    ),
    Feature(
        name="BPF iterator over one task, bpf_loop",
        since=v(6, 1),
        used_for="the page-table source",
        otherwise="the pagemap source",
    ),
    Feature(
        name="resident pages counted per processor",
        since=v(6, 2),
        used_for="counting changes event by event",
        otherwise="what threads hold back is read at each switch",
    ),
    Feature(
        name="cachestat",
        since=v(6, 5),
        used_for="--basis incore",
        otherwise="mincore through map_files",
    ),
    Feature(
        name="PAGEMAP_SCAN",
        since=v(6, 7),
        used_for="skipping holes, huge pages in one step",
        otherwise="pagemap is read word by word, large holes only "
        "[within a bound](patience.md#mappings-that-are-nearly-all-holes)",
    ),
)


def matrix() -> str:
    """The table of docs/support-matrix.md."""
    heads = [
        "what the kernel offers",
        "since",
        *(kernel.series for kernel in KERNELS),
        "used for",
        "otherwise",
    ]
    rows = [heads, ["---"] * len(heads)]
    for feature in FEATURES:
        offered = ["yes" if kernel.version >= feature.since else "–" for kernel in KERNELS]
        since = ".".join(map(str, feature.since))
        rows.append([feature.name, since, *offered, feature.used_for, feature.otherwise])
    rows.append(["tested in", "", *(kernel.where for kernel in KERNELS), "", ""])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main(arguments: list[str]) -> int:
    if not arguments:
        print(*(kernel.series for kernel in KERNELS if kernel.suite), sep="\n")
        return 0
    if arguments == ["--matrix"]:
        print(matrix())
        return 0
    series, architecture = arguments[0], (arguments[1:] or ["amd64"])[0]
    known = ARCHITECTURES.get(architecture, ())
    for kernel in KERNELS:
        if series in known and kernel.series == series.partition("-")[0]:
            print(kernel.suite)
            return 0
    print(
        f"vm/kernels.py: there is no guest kernel {series}: take one of {', '.join(known)}.",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
