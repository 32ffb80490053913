"""What tracing knows of processors: frames in entries, and what is said of one that is not known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.errors import CannotServe
from zonerss.kernel.roots import HOST
from zonerss.motion import machines
from zonerss.motion.machines import MACHINES, machine_of

U64 = 2**64 - 1


def migrating(entry: int, defined: dict[str, int]) -> int:
    """The frame, as note_migrating() of bpf/churn.c takes it."""
    return (entry ^ defined["SWAP_INVERSION"]) >> defined["SWAP_OFFSET_SHIFT"] & defined["MIGRATION_MASK"]


@given(
    pfn=st.integers(0, 2**34 - 1),
    kind=st.integers(0, 31),
    young=st.booleans(),
    dirty=st.booleans(),
    low=st.integers(0, 255),
)
def test_a_migration_entry_of_x86_64(pfn, kind, young, dirty, low):
    """arch/x86/include/asm/pgtable_64.h: the type above, the inverted offset from bit 9 on, notes above the frame."""
    offset = pfn | young << 34 | dirty << 35
    entry = (kind << 59 | (~offset & 2**50 - 1) << 9 | low & ~1) & U64
    defined = MACHINES["x86_64"].entries(HOST)
    assert migrating(entry, defined) == pfn
    assert (pfn << 12 | 1 << 63 | 0x867) & defined["FRAME_MASK"] == pfn << 12


@pytest.mark.parametrize("shift", [8, 12])
@given(pfn=st.integers(0, 2**34 - 1), young=st.booleans())
def test_a_migration_entry_of_aarch64(shift, pfn, young):
    """arch/arm64/include/asm/pgtable.h; where the offset is was found out by reading a page table."""
    closed = []

    class Found:
        def __init__(self, roots, workers):
            assert workers == 1

        def __enter__(self):
            return self

        def __exit__(self, *_):
            closed.append(self)

        def layout(self):
            return SimpleNamespace(
                page_shift=14,
                swap_offset_shift=shift,
                frame_mask=(2**50 - 1) >> 14 << 14,
                migration_mask=2**34 - 1,
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machines, "PageTableSource", Found)
        defined = MACHINES["aarch64"].entries(HOST)
    assert len(closed) == 1
    entry = (pfn | young << 34) << shift | 27 << (shift - 6 if shift == 12 else 3)
    assert migrating(entry, defined) == pfn
    assert (pfn << 14 | 1 << 54 | 0x703) & defined["FRAME_MASK"] == pfn << 14


def test_a_processor_that_nothing_is_known_of():
    with pytest.raises(CannotServe, match="on x86_64 and aarch64 only, not on riscv64"):
        machine_of("riscv64")


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_faults_are_seen_in_one_way(machine):
    assert bool(machine.fault_tracepoints) != bool(machine.fault_functions)
    assert set(machine.registers) == {"FIRST_OF_FUNCTION", "THIRD_OF_FUNCTION", "SECOND_OF_CALL"}
