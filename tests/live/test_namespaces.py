"""zonerss in a pid namespace of its own, with the host's /proc and with its own; in a cgroup namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.cgroups import move
from zonerss.kernel.namespaces import is_first_namespace
from zonerss.kernel.roots import HOST

PROJECT = Path(__file__).parents[2]
ZONERSS = (sys.executable, "-m", "zonerss")


def run(prefix: tuple[str, ...], *arguments: str) -> str:
    command = [*prefix, *ZONERSS, *arguments]
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def _on_the_host() -> None:
    if not is_first_namespace(HOST, "pid"):
        needs.skip("needs_host", "we are in a pid namespace ourselves")


def test_its_own_proc_is_not_the_whole_host():
    prefix = ("unshare", "--pid", "--fork", "--mount-proc")
    document = json.loads(run(prefix, "--by", "cgroup", "--source", "pagemap", "--json"))
    (warning,) = document["warnings"]
    assert warning["name"] == "pid_namespace"
    assert document["total"]["processes"] == 1
    assert warning["text"] in run(prefix, "--by", "cgroup", "--source", "pagemap")
    assert "one pid namespace only" in run(prefix, "check")


def test_the_hosts_proc_in_another_pid_namespace(zone, mem):
    """Its pids are others to kcmp(2): a zone is the same as seen from the host."""
    mem.map("anon 1009")
    arguments = ("--by", "cgroup", "--zone", zone.name, "--source", "pagemap", "--json")
    outer, inner = (json.loads(run(prefix, *arguments)) for prefix in ((), ("unshare", "--pid", "--fork")))
    assert outer["warnings"] == inner["warnings"] == []
    for name in ("rss_bytes", "anon_bytes", "processes"):
        assert outer["zones"][0][name] == inner["zones"][0][name]


def test_where_no_cgroups_are_mounted_nobody_has_moved(mem):
    """All is one zone then."""
    script = 'for i in 1 2 3; do umount -R -l /sys/fs/cgroup; done 2>/dev/null; exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", script, "sh")
    document = json.loads(run(prefix, "--by", "cgroup", "--source", "pagemap", "--json"))
    assert [zone["zone"] for zone in document["zones"]] == ["/"]
    assert not [gap for gap in document["gaps"] if gap["cause"] == "moved"]


class Pod:
    """Runs commands in a cgroup, and in a cgroup namespace whose root that is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *command: str, checked: bool = True, **environment: str) -> str:
        return subprocess.run(
            ("unshare", "--cgroup", *command),
            cwd=PROJECT,
            env=os.environ | environment,
            preexec_fn=lambda: move(os.getpid(), self.path),
            check=checked,
            capture_output=True,
            text=True,
        ).stdout

    def fact(self, *prefix: str, **environment: str) -> dict[str, object]:
        document = self.run(*prefix, *ZONERSS, "check", "--json", checked=not prefix, **environment)
        parts = json.loads(document)["parts"]
        (cgroups,) = (part for part in parts if part["part"] == "cgroups")
        (found,) = (fact for fact in cgroups["facts"] if fact["name"] == "cgroup_namespace")
        return found


@pytest.fixture
def pod(make_zone) -> Pod:
    return Pod(make_zone("pod").path)


def of_cgroup(text: str, name: str) -> dict[str, object] | None:
    found = [zone for zone in json.loads(text)["zones"] if zone["zone"] == name]
    return found[0] if found else None


def test_in_a_cgroup_namespace_zones_are_called_as_on_the_host(zone, mem, pod, source):
    mem.map("anon 1009")
    arguments = (*ZONERSS, "--by", "cgroup", "--source", source, "--json")
    outer = of_cgroup(run((), *arguments[3:]), zone.name)
    inner = of_cgroup(pod.run(*arguments), zone.name)
    assert outer is not None
    assert inner is not None
    assert outer["rss_bytes"] == inner["rss_bytes"]
    assert (outer["charged_bytes"] is None) == (inner["charged_bytes"] is None)
    assert pod.fact()["holds"] is True
    assert "went over" in str(pod.fact()["text"])


def test_a_cgroup_namespace_is_kept_where_that_is_wanted(zone, mem, pod):
    document = pod.run(*ZONERSS, "--by", "cgroup", "--json", ZONERSS_CGROUPNS="own")
    assert of_cgroup(document, zone.name) is None
    assert any(found["zone"].startswith("/../") for found in json.loads(document)["zones"])
    said = [warning for warning in json.loads(document)["warnings"] if warning["name"] == "cgroups"]
    assert any("ZONERSS_CGROUPNS is own" in warning["text"] for warning in said)
    assert pod.fact(ZONERSS_CGROUPNS="own")["holds"] is False


def test_without_cap_sys_admin_check_says_why_it_is_not_left(pod):
    found = pod.fact("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    assert found["holds"] is False
    assert "CAP_SYS_ADMIN" in str(found["text"])


def test_a_command_is_in_the_cgroup_namespace_that_we_began_in(pod):
    look = "readlink /proc/self/ns/cgroup; cat /proc/self/cgroup"
    command = (
        "sh",
        "-c",
        f"readlink /proc/self/ns/cgroup; exec {' '.join(ZONERSS)} record -- sh -c '{look}'",
    )
    began, ran, *lines = pod.run(*command).splitlines()
    assert began == ran != os.readlink("/proc/self/ns/cgroup")
    assert any("/zonerss-run-" in line for line in lines)
