"""Functions of the kernel: whether they can be probed, and what is said where they cannot."""

from __future__ import annotations

import pytest

from zonerss.errors import CannotServe
from zonerss.kernel.functions import attach_function, can_probe
from zonerss.kernel.roots import Roots


def place(sys):
    directory = sys / "bus/event_source/devices/kprobe"
    directory.mkdir(parents=True)
    return directory / "type"


def test_a_kernel_without_kprobes(tmp_path):
    roots = Roots(sys=tmp_path)
    assert not can_probe(roots)
    with pytest.raises(CannotServe, match="CONFIG_KPROBES"):
        attach_function(roots, "handle_mm_fault", -1)


def test_a_kernel_that_refuses(tmp_path):
    """No kind of event has this number."""
    place(tmp_path).write_text(f"{2**31 - 1}\n")
    roots = Roots(sys=tmp_path)
    assert can_probe(roots)
    with pytest.raises(CannotServe, match="does not let us probe its function handle_mm_fault: "):
        attach_function(roots, "handle_mm_fault", -1)
