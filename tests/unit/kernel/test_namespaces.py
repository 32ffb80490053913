"""Which pid namespace a /proc shows, by what it says of process 1 and of us."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zonerss.kernel.namespaces import shows_our_pids, shows_whole_host
from zonerss.kernel.roots import HOST, Roots


@pytest.mark.parametrize(
    ("link", "whole"), [("pid:[4026531836]", True), ("pid:[4026532999]", False), (None, None)]
)
def test_the_namespace_of_process_1(tmp_path: Path, link: str | None, whole: bool | None) -> None:
    (tmp_path / "1/ns").mkdir(parents=True)
    if link:
        (tmp_path / "1/ns/pid").symlink_to(link)
    assert shows_whole_host(Roots(proc=tmp_path)) is whole


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("NSpid:\tPID\n", True),
        ("NSpid:\t4711\tPID\n", False),
        ("NSpid:\tPID\tPID\n", False),
        ("", True),
    ],
)
def test_pids_are_ours(tmp_path: Path, line: str, ours: bool) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text(f"Name:\tx\n{line.replace('PID', str(os.getpid()))}VmSize:\t1 kB\n")
    assert shows_our_pids(Roots(proc=tmp_path)) is ours


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary()
    | st.lists(
        st.sampled_from([b"NSpid:", b"\t", b"1", str(os.getpid()).encode(), b"\n", b"\r", b"9" * 5000])
    ).map(b"".join)
)
def test_any_status_says_yes_or_no(tmp_path: Path, text: bytes) -> None:
    """A process chooses its name, which stands above; it cannot make a line of it."""
    (tmp_path / "self").mkdir(exist_ok=True)
    (tmp_path / "self/status").write_bytes(text)
    assert shows_our_pids(Roots(proc=tmp_path)) in (True, False)


def test_a_proc_without_us(tmp_path: Path) -> None:
    assert not shows_our_pids(Roots(proc=tmp_path))


def test_our_own_proc() -> None:
    assert shows_our_pids(HOST)
