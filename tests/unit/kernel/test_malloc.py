"""Large blocks go back to the kernel, whatever was freed before."""

from __future__ import annotations

import subprocess
import sys

import pytest

FREED = """
import re, sys
from zonerss.kernel.malloc import map_large_blocks
if sys.argv[1] == "yes":
    assert map_large_blocks()
def rss():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
bytearray(8 << 20)  # freed: glibc takes blocks of less than 8 MiB from its heap from now on
before = rss()
large, small = [], []
for _ in range(200):
    large.append(bytearray(b"x") * (256 << 10))
    small.append(bytearray(2000))  # what stays keeps the heap from shrinking
del large
print(rss() - before)
"""


@pytest.mark.parametrize("asked", ["yes", "no"])
def test_freed_blocks_are_not_kept(asked: str) -> None:
    done = subprocess.run([sys.executable, "-c", FREED, asked], capture_output=True, text=True, check=True)
    if asked == "yes":
        assert int(done.stdout) < 10_000
    else:
        assert int(done.stdout) > 10_000  # what the setting is for
