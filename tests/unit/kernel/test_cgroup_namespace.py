"""When the host's cgroup namespace is entered, whose that is, and what is said where it is not: setns(2) is a fake."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from zonerss.kernel import cgroup_namespace as module
from zonerss.kernel.cgroup_namespace import (
    Entry,
    cgroup_namespace_caveats,
    enter_host,
    entry,
    go_back,
    spelled_from_below,
)
from zonerss.kernel.namespaces import FIRST_CGROUP_NAMESPACE
from zonerss.kernel.roots import HOST, Roots

BELOW = b"0::/../../init.scope\n"
ROOT = b"0::/\n"


class Machine:
    """A /proc of process 1, kthreadd and us; setns changes what it says of us and of process 1."""

    def __init__(self, proc: Path) -> None:
        self.roots = Roots(proc=proc)
        self.entered: list[str] = []
        self.refuse = 0
        self.after = {"1": b"0::/init.scope\n", "self": b"0::/kubepods/pod/c\n"}
        for name in ("1", "2", "self"):
            (proc / name / "ns").mkdir(parents=True)
            (proc / name / "ns/cgroup").write_text(name)
        (proc / "self/task/7").mkdir(parents=True)
        self.say("1", BELOW)
        self.say("self", ROOT)

    def say(self, process: str, cgroup: bytes) -> None:
        (self.roots.proc / process / "cgroup").write_bytes(cgroup)

    def setns(self, fd: int) -> None:
        if self.refuse:
            raise OSError(self.refuse, os.strerror(self.refuse))
        self.entered.append(os.pread(fd, 16, 0).decode())
        if self.entered[-1] != "self":
            for process, cgroup in self.after.items():
                self.say(process, cgroup)
        else:
            self.say("1", BELOW)
            self.say("self", ROOT)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    monkeypatch.setattr(module, "_setns", made.setns)
    monkeypatch.setattr(module, "_entry", None)
    monkeypatch.delenv("ZONERSS_CGROUPNS", raising=False)
    yield made
    if (left := entry()) is not None and left.left_fd >= 0:
        os.close(left.left_fd)


@pytest.mark.parametrize(
    ("cgroup", "below"),
    [
        (b"0::/init.scope\n", False),
        (ROOT, False),
        (b"", False),
        (b"0::/..\n", True),
        (BELOW, True),
        (b"4:memory:/..\n0::/\n", True),
        (b"4:memory:/\n0::/../x\n", True),
        (b"0::/a/../b\n", False),
        (b"0::/..a\n", False),
        (b"1:name=a:b:/../x\n", False),  # no cgroup is called so: a controller's name has no colon
    ],
)
def test_how_process_1_is_spelled(machine: Machine, cgroup: bytes, below: bool) -> None:
    machine.say("1", cgroup)
    assert spelled_from_below(machine.roots) is below


def test_the_hosts_is_entered(machine: Machine) -> None:
    found = enter_host(machine.roots)
    assert found is not None
    assert (found.why_not, machine.entered) == ("", ["1"])
    assert entry() is found
    assert cgroup_namespace_caveats(machine.roots) == ()


def test_a_child_goes_back(machine: Machine) -> None:
    enter_host(machine.roots)
    go_back()
    assert machine.entered == ["1", "self"]


@pytest.mark.parametrize("cgroup", [ROOT, b"0::/init.scope\n"])
def test_where_process_1_is_with_us_nothing_is_done(machine: Machine, cgroup: bytes) -> None:
    machine.say("1", cgroup)
    assert enter_host(machine.roots) is None
    go_back()
    assert machine.entered == []
    assert cgroup_namespace_caveats(machine.roots) == ()


def test_a_proc_without_process_1(tmp_path: Path) -> None:
    assert not spelled_from_below(Roots(proc=tmp_path))


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, *processes: str) -> None:
    real = os.open

    def opened(path: os.PathLike[str] | str, flags: int) -> int:
        if any(str(path).endswith(f"/{process}/ns/cgroup") for process in processes):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags)

    monkeypatch.setattr(module.os, "open", opened)


def test_where_process_1_may_not_be_opened_kthreadd_is(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_open(monkeypatch, "1")
    inode = (machine.roots.proc / "2/ns/cgroup").stat().st_ino
    monkeypatch.setattr(module, "FIRST_CGROUP_NAMESPACE", inode)
    found = enter_host(machine.roots)
    assert found is not None
    assert (found.why_not, machine.entered) == ("", ["2"])


def test_a_process_2_that_is_not_kthreadd_is_not_followed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_open(monkeypatch, "1")
    found = enter_host(machine.roots)
    assert found == Entry(f"the host's cannot be opened: {machine.roots.proc}/1/ns/cgroup: Permission denied")
    assert machine.entered == []


def test_process_1_of_another_container_is_left_again(machine: Machine) -> None:
    machine.after = {"1": ROOT, "self": b"0::/../c\n"}
    assert enter_host(machine.roots) == Entry("process 1 is that of another container")
    assert machine.entered == ["1", "self"]
    (said,) = cgroup_namespace_caveats(machine.roots)
    assert "another container" in said.text


def test_without_the_capability_it_is_said(machine: Machine) -> None:
    machine.refuse = errno.EPERM
    found = enter_host(machine.roots)
    assert found is not None
    assert "CAP_SYS_ADMIN" in found.why_not
    (said,) = cgroup_namespace_caveats(machine.roots)
    assert (said.name, found.why_not in said.text) == ("cgroups", True)


def test_a_process_of_threads_stays(machine: Machine) -> None:
    (machine.roots.proc / "self/task/8").mkdir()
    assert enter_host(machine.roots) == Entry("this process has threads already")
    assert machine.entered == []


def test_who_wants_to_stay_stays(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert enter_host(machine.roots, keep=True) == Entry("ZONERSS_CGROUPNS is own")
    monkeypatch.setenv("ZONERSS_CGROUPNS", "own")
    assert enter_host(machine.roots) == Entry("ZONERSS_CGROUPNS is own")
    assert machine.entered == []


def test_no_file_stays_open(machine: Machine) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = count()
    machine.refuse = errno.EPERM
    enter_host(machine.roots)
    assert count() == before


def test_the_first_namespaces_number() -> None:
    """On the host, and in a container with --cgroupns=host; elsewhere it is another."""
    assert (
        spelled_from_below(HOST) is False or os.stat("/proc/self/ns/cgroup").st_ino != FIRST_CGROUP_NAMESPACE
    )
