"""The image, run by podman: by hand with the least privileges, and as the manifests for Kubernetes have it.

`vm/package image test` and `vm/package kubernetes test` make both and run this. A pod here is a container with what the
manifest says and a cgroup namespace of its own; no API server, kubelet or other engine has a part in it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live import needs
from tests.live.cgroups import move
from tests.live.pods import Derived, Probe, derive, documents
from tests.live.test_containers import Engine, no_cgroup_leftovers
from tests.own import NAME
from tests.workloads.mem import Mem
from zonerss.plain import dataclass, field

pytestmark = pytest.mark.same_in_container

ULIMITS = ("--ulimit", "nofile=16384:16384", "--ulimit", "nproc=4096:4096")
"""podman's defaults are refused where root lacks CAP_SYS_RESOURCE."""
LEAST = (
    *("--pid=host", "--cgroupns=private", "--network=none", "--read-only"),
    *(
        "--cap-drop",
        "ALL",
        "--cap-add",
        "SYS_ADMIN",
        "--cap-add",
        "SYS_PTRACE",
        "--cap-add",
        "DAC_READ_SEARCH",
    ),
    *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup:ro"),
)
GET = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=20).read().decode())"
OVERLAYS = ("containerd", "docker", "crio", "k3s")
PAGES = 1009
ROUNDS = 7


@dataclass
class Image:
    """Runs it, and removes what was run."""

    name: str
    engine: Engine = field(default_factory=Engine)
    pid: int = 0
    """The first process of the container that runs."""

    def run(self, options: tuple[str, ...], *words: str) -> str:
        return self.engine.run("run", "--rm", *ULIMITS, *options, self.name, *words)

    @contextmanager
    def running(self, options: tuple[str, ...], *words: str, called: str = "image") -> Iterator[str]:
        name = f"{NAME}-{called}"
        self.engine.run("run", "--detach", "--name", name, *ULIMITS, *options, self.name, *words)
        try:
            self.pid = int(self.engine.run("inspect", "--format", "{{.State.Pid}}", name))
            yield name
        finally:
            self.engine.remove(name)

    def within(self, container: str, *command: str) -> str:
        return self.engine.run("exec", container, *command)

    def get(self, container: str, path: str, port: int = 9742) -> str:
        """From within its network."""
        within = ("nsenter", "--net", "--target", str(self.pid))
        return said(*within, "python3", "-c", GET, f"http://127.0.0.1:{port}{path}")

    def wait_for(self, container: str, probe: Probe) -> str:
        for _ in range(300):
            try:
                return self.get(container, probe.path, probe.port)
            except subprocess.CalledProcessError:
                time.sleep(0.2)
        logs = self.engine.run("logs", container)
        raise AssertionError(f"{probe} does not answer: {logs}")


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    name = os.environ.get("ZONERSS_IMAGE")
    if not name:
        needs.skip("needs_image")
    with no_cgroup_leftovers():
        yield Image(name)


@pytest.fixture
def manifests() -> Path:
    place = os.environ.get("ZONERSS_MANIFESTS")
    if not place:
        needs.skip("needs_image", "ZONERSS_MANIFESTS names no rendered manifests")
    return Path(place)


def zone_of(text: str, cgroup: str) -> dict[str, Any]:
    (found,) = (zone for zone in json.loads(text)["zones"] if zone["cgroup"] == cgroup)
    return found


def said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def on_the_host(*words: str) -> str:
    return said(sys.executable, "-m", "zonerss", *words)


SAME = ("rss_bytes", "anon_bytes", "file_bytes", "processes", "process_rss_bytes", "swap_bytes")


def agrees(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    return all(inner[name] == outer[name] for name in SAME) and inner["charged_bytes"] is not None


# ---- by hand -------------------------------------------------------------------------------------------


def test_what_is_in_it(image):
    look = (
        "import shutil, sys; print(*(n for n in sys.argv[1:] if shutil.which(n, path='/usr/bin:/usr/sbin')))"
    )
    tools = ("python3", "sh", "bash", "gcc", "cc", "clang", "ld", "apt", "dpkg", "perl", "pip")
    found = image.run((*LEAST, "--entrypoint", "/usr/bin/python3"), "-c", look, *tools).split()
    assert found == ["python3"]
    (config,) = json.loads(image.engine.run("image", "inspect", image.name))
    assert config["Labels"]["org.opencontainers.image.title"] == "zonerss"
    version = config["Labels"]["org.opencontainers.image.version"]
    assert re.match(rf"zonerss {re.escape(version)}\b", image.run(LEAST, "--version"))
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", config["Labels"]["org.opencontainers.image.revision"])


def test_with_the_least_privileges_it_sees_the_hosts_zones(image, zone, mem, source):
    mem.map(f"anon {PAGES}")
    words = ("--by", "cgroup", "--source", source, "--json")
    inner = json.loads(image.run(LEAST, "show", *words))
    outer = zone_of(on_the_host(*words), zone.name)
    assert agrees(zone_of(json.dumps(inner), zone.name), outer)
    assert inner["source"] == source
    assert [warning for warning in inner["warnings"] if warning["name"] != "names"] == []


def test_check_says_where_its_cgroups_are(image):
    parts = {part["part"]: part for part in json.loads(image.run(LEAST, "check", "--json"))["parts"]}
    facts = {fact["name"]: fact for part in parts.values() for fact in part["facts"]}
    assert facts["cgroup_namespace"]["holds"] is True
    assert "went over" in facts["cgroup_namespace"]["text"]
    assert parts["pagemap"]["serves"]
    assert facts["pagetable_built"]["holds"] is True
    assert facts["bcc"]["holds"] is False  # docs/image.md says so


def test_the_line_of_the_page_runs(image):
    """With another verb, so that it takes no port of the host, and in the local engine."""
    page = (Path(__file__).parents[2] / "docs" / "image.md").read_text("utf-8")
    (line,) = re.findall(
        r"^    docker run -d --name zonerss (.*) localhost/zonerss-image$", page, re.MULTILINE
    )
    told = json.loads(image.run(tuple(shlex.split(line)), "check", "--json"))
    serving = {part["part"] for part in told["parts"] if part["serves"]}
    assert {"pagemap", "pagetable"} <= serving


def test_with_nothing_said_it_serves(image, zone, mem):
    mem.map(f"anon {PAGES}")
    with image.running(LEAST) as container:
        image.wait_for(container, Probe("/-/ready", 9742))
        assert "\nzonerss_zone_rss_bytes{" in image.get(container, "/metrics")
        served = json.loads(image.get(container, "/snapshot.json"))
        outer = json.loads(on_the_host("--json"))
        called = {found["zone"] for found in outer["zones"] if found["cgroup"] == zone.name}
        assert called & {found["zone"] for found in served["zones"]} == called
        assert image.within(container, "zonerss", "check").startswith("Linux")


TIME = """
import os, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(os.times().children_user + os.times().children_system)
"""


def test_how_long_it_takes_to_start(image):
    """No bound: what docs/image.md has is printed here. In the image and of the checkout, turn about."""
    inside, host = [], []
    with image.running(
        (*LEAST, "--entrypoint", "/usr/bin/python3"), "-c", "import time; time.sleep(600)"
    ) as container:
        for _ in range(ROUNDS):
            inside.append(float(image.within(container, "python3", "-c", TIME, "zonerss", "--json")))
            host.append(float(said(sys.executable, "-c", TIME, sys.executable, "-m", "zonerss", "--json")))
    for name, seconds in (("in the image", inside), ("the checkout", host)):
        print(
            f"\n{name}: zonerss --json: {statistics.median(seconds) * 1000:.0f} ms of processor time, of {ROUNDS} runs"
        )
    assert min(*inside, *host) > 0


# ---- as the manifests have it ---------------------------------------------------------------------------


@pytest.fixture
def pod_of_kubernetes(cgroups, neighbour) -> Iterator[Callable[[Path], tuple[str, str]]]:
    """A process in the cgroup of a container of a pod, and what kubelet would have written of its name."""
    uid, id = "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f", "ab" * 32
    paths = [cgroups.make(name) for name in ("kubepods", f"kubepods/pod{uid}", f"kubepods/pod{uid}/{id}")]
    mem = Mem(before_exec=lambda: move(os.getpid(), paths[-1]))
    mem.map(f"anon {PAGES}")

    def write(stand_ins: Path) -> tuple[str, str]:
        logs, links = stand_ins / "var/log/pods", stand_ins / "var/log/containers"
        for place in (logs / f"shop_cart-0_{uid}", links):
            place.mkdir(parents=True)
        (links / f"cart-0_shop_web-{id}.log").touch()
        return cgroups.name_of(paths[-1]), "shop/cart-0/web"

    yield write
    mem.end()
    for path in reversed(paths):
        cgroups.remove(path)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_sees_the_hosts_zones(image, manifests, overlay, pod_of_kubernetes, tmp_path):
    cgroup, name = pod_of_kubernetes(tmp_path)
    pod = derive(documents(manifests / f"{overlay}.yaml"), tmp_path)
    assert pod.liveness is not None
    assert pod.readiness is not None
    with image.running(("--network=none", *pod.options), *pod.arguments) as container:
        image.wait_for(container, pod.readiness)
        image.wait_for(container, pod.liveness)
        served = json.loads(image.get(container, "/snapshot.json"))
        outer = zone_of(on_the_host("--by", "cgroup", "--json"), cgroup)
        inner = zone_of(json.dumps(served), cgroup)
        assert inner["zone"] == name
        assert agrees(inner, outer)
        assert [warning for warning in served["warnings"] if warning["name"] != "names"] == []
        for source in ("pagemap", "pagetable"):
            words = ("zonerss", "--by", "cgroup", "--source", source, "--json")
            assert agrees(zone_of(image.within(container, *words), cgroup), outer)
        if overlay == OVERLAYS[0]:
            tell_memory(image, container, pod)


def tell_memory(image: Image, container: str, pod: Derived) -> None:
    """What it uses after scrapes, as docs/kubernetes.md has it, and that it is within the manifest's limit."""
    for _ in range(20):
        image.get(container, "/metrics")
    status = Path(f"/proc/{image.pid}/status").read_text()
    (peak,) = (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    print(f"\nthe exporter's largest RSS after twenty scrapes: {peak >> 20} MiB")
    assert peak < pod.memory_bytes


def test_a_pod_that_caps(image, manifests, tmp_path):
    """As it is applied it caps nothing, and says that it is there."""
    with image.running(*capper(manifests, tmp_path)) as container:
        wait_for_status(image, container, tmp_path)
        said = json.loads(image.within(container, "zonerss", "cap", "--status", "--json"))
        assert said["zones"] == []


def test_the_exporters_pod_tells_of_the_capper_beside_it(image, manifests, pod_of_kubernetes, tmp_path):
    """Both as their DaemonSets have them; both find names and /run/zonerss-cap of the node in `tmp_path`."""
    _, name = pod_of_kubernetes(tmp_path)
    how = capper(manifests, tmp_path)
    (tmp_path / "etc/zonerss/caps.toml").write_text(f'[[cap]]\nzone = "{name}"\ncap = "1G"\n')
    pod = derive(documents(manifests / "containerd.yaml"), tmp_path)
    assert pod.readiness is not None
    with image.running(*how, called="capper") as acting:
        wait_for_status(image, acting, tmp_path)
        said = json.loads(image.within(acting, "zonerss", "cap", "--status", "--json"))
        assert [(zone["zone"], zone["cap_bytes"]) for zone in said["zones"]] == [(name, 1 << 30)]
        with image.running(("--network=none", *pod.options), *pod.arguments) as telling:
            image.wait_for(telling, pod.readiness)
            metrics = image.get(telling, "/metrics")
            (cap,) = re.findall(r'^zonerss_zone_cap_bytes{zone="(.+)"} (\S+)$', metrics, re.MULTILINE)
            assert (cap[0], float(cap[1])) == (name, 1 << 30)
            # It may read what the other says, and no more.
            with pytest.raises(subprocess.CalledProcessError):
                image.within(telling, "python3", "-c", "open('/run/zonerss-cap/status.json', 'a')")


def capper(manifests: Path, node: Path) -> tuple[tuple[str, ...], *tuple[str, ...]]:
    """What podman is told, and what zonerss is told there."""
    pod = derive(documents(manifests / "cap.yaml"), node)
    return ("--network=none", *pod.options), *pod.arguments


def wait_for_status(image: Image, container: str, node: Path) -> None:
    status = node / "run/zonerss-cap/status.json"
    for _ in range(300):
        if status.exists():
            return
        time.sleep(0.2)
    raise AssertionError(image.engine.run("logs", container))
