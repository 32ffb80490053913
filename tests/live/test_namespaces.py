"""zonerss in a pid namespace of its own, with the host's /proc and with its own; and without cgroups."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import needs
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
