#!/usr/bin/python3 -B
"""packaging/deb/lifecycle.py OLD NEW: install, use, upgrade, remove and purge packages, under systemd.

OLD and NEW are directories with all three, of two versions. packaging/deb/test boots a throw-away Debian that has what
they depend on, and runs this as root. Each step tells what it has found; what is not as it should be ends it with
status 1.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

EXPORTER, CAP = "zonerss-exporter", "zonerss-cap"
PACKAGES = ("zonerss", EXPORTER, CAP)
STORE = f"/var/lib/{EXPORTER}/serve.zrec"
MOST_EXPOSED = 4.0
PATIENCE = 300
"""Seconds that anything may take here; nothing but a failure takes so long."""
KEPT_CAPABILITIES = {
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_PTRACE": 19,
    "CAP_DAC_READ_SEARCH": 2,
}  # linux/capability.h
OF_THE_BOOT = {"/run/zonerss-cap", "/run/zonerss-cap/lock", "/run/zonerss.cleared"}
"""Shared by all zonerss of a boot, which may hold the lock: no package removes it."""
# What a machine that runs writes, and dpkg's own records.
ELSEWHERE = re.compile(
    r"/(dev|proc|sys|tmp|boot|root|run/(?!zonerss)[^/]+|var/(tmp|log|cache)|usr/lib/modules"
    r"|var/lib/(dpkg|apt|prometheus|systemd/(?!deb-systemd)[^/]+)|etc/(machine-id|resolv.conf|mtab))(/|$)"
)


def say(text: str) -> None:
    print(text, flush=True)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=4 * PATIENCE)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}{log()}")
    return done.stdout.strip()


def log() -> str:
    command = [
        "journalctl",
        "--no-pager",
        "--output=cat",
        "--lines=40",
        f"--unit={EXPORTER}",
        f"--unit={CAP}",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def must(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"NOT SO: {what}\n{log()}")
    say(f"  {what}")


def wait(holds: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > limit:
            must(False, what)
        time.sleep(0.5)
    say(f"  {what}")


def files(but: str) -> Iterator[str]:
    """Every file and directory but those below `but`, and those of ELSEWHERE: mode, size and path."""

    def below(directory: str) -> Iterator[str]:
        for entry in os.scandir(directory):
            if ELSEWHERE.match(entry.path) or entry.path == but:
                continue
            found = entry.stat(follow_symlinks=False)
            is_directory = entry.is_dir(follow_symlinks=False)
            yield f"{found.st_mode:06o} {'' if is_directory else found.st_size} {entry.path}"
            if is_directory:
                yield from below(entry.path)

    yield from below("/")


def shown(unit: str, name: str) -> str:
    return run("systemctl", "show", unit, f"--property={name}", "--value")


def is_active(unit: str) -> bool:
    return shown(unit, "ActiveState") == "active"


def is_enabled(unit: str) -> bool:
    """As systemd says; its status is not 0 where the unit is disabled."""
    command = ["systemctl", "is-enabled", unit]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "enabled"


def ask(path: str, port: int = 9742) -> str | None:
    """What an address of this host answers; None: it does not, or not by 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as reply:
            return str(reply.read().decode())
    except (OSError, http.client.HTTPException):
        return None


def apt(*words: str) -> float:
    """Seconds that it took."""
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    began = time.monotonic()
    run("apt-get", "-qq", "-y", "--no-install-recommends", "-o", "APT::Sandbox::User=root", *words)
    return time.monotonic() - began


def install(directory: Path) -> None:
    packages = [str(path) for path in sorted(directory.glob("zonerss*.deb"))]
    must(len(packages) == len(PACKAGES), f"{directory.name} has {len(packages)} packages")
    say(f"  apt-get install took {apt('install', *packages):.0f} s here")


def recorded(at: str | None = None) -> dict[str, object]:
    """A moment of the store; None: the latest."""
    words = ["--at", at] if at else []
    return dict(json.loads(run("zonerss", "--json", "--from", STORE, *words)))


# ---- steps -----------------------------------------------------------------------------------------------


def first_installation(old: Path) -> None:
    install(old)
    must(run("zonerss", "--version") != "", f"it says {run('zonerss', '--version')}")
    for source in ("pagetable", "pagemap"):
        found = json.loads(run("zonerss", "--json", "--source", source))
        must(found["source"] == source and found["zones"], f"{len(found['zones'])} zones by {source}")
    must("/etc/zonerss/rules.d/local.toml" in run("zonerss", "check"), "check reads /etc/zonerss")
    must(is_enabled(f"{EXPORTER}.service"), "the exporter is enabled")
    must(is_active(f"{EXPORTER}.service"), "the exporter runs")
    for unit in (f"{EXPORTER}.socket", f"{CAP}.service"):
        must(
            not is_enabled(unit) and not is_active(unit), f"{unit} is there, is not enabled and does not run"
        )


def exposure() -> None:
    for unit in (f"{EXPORTER}.service", f"{CAP}.service"):
        told = run("systemd-analyze", "security", "--no-pager", unit)
        score = re.search(r"exposure level for \S+: ([\d.]+)", told)
        must(
            score is not None and float(score[1]) < MOST_EXPOSED,
            f"systemd-analyze security: {told.splitlines()[-1].strip('→ ')}",
        )


def sandbox() -> None:
    pid = shown(f"{EXPORTER}.service", "MainPID")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    must(status["Seccomp"] == "2", "a seccomp filter is in force")
    must(status["NoNewPrivs"] == "1", "no_new_privs is set")
    kept = sum(1 << bit for bit in KEPT_CAPABILITIES.values())
    must(int(status["CapEff"], 16) == kept, f"its capabilities are {', '.join(KEPT_CAPABILITIES)}")
    for place in ("/etc", "/usr", "/sys/fs/cgroup", "/proc/sys/kernel"):
        options = run("nsenter", "-t", pid, "-m", "findmnt", "-no", "VFS-OPTIONS", "-T", place)
        must("ro" in options.split(","), f"{place} is read-only for it")
    before = int(shown(f"{EXPORTER}.service", "WatchdogTimestampMonotonic"))
    wait(
        lambda: int(shown(f"{EXPORTER}.service", "WatchdogTimestampMonotonic")) > before,
        f"the watchdog ({shown(f'{EXPORTER}.service', 'WatchdogUSec')}) is fed",
    )
    bound = shown(f"{EXPORTER}.service", "MemoryMax")
    must(
        bound.isdigit(),
        f"MemoryMax is {bound}, of it {shown(f'{EXPORTER}.service', 'MemoryCurrent')} in use",
    )


def scrape() -> None:
    wait(lambda: ask("/-/ready") is not None, "the first walk is done")
    metrics = ask("/metrics") or ""
    must('source="pagetable"' in metrics, "frames come from page tables, by BPF, in the sandbox")
    must(f'zonerss_zone_processes{{zone="{EXPORTER}.service"}}' in metrics, "its own service is a zone")
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True, check=False
    )
    must(checked.returncode != 1, f"promtool parses {len(metrics.splitlines())} lines of it")
    place = Path("/tmp/prometheus")
    place.mkdir()
    target = '{"targets": ["127.0.0.1:9742"]}'
    (place / "prometheus.yml").write_text(
        "global: {scrape_interval: 2s}\n"
        f"scrape_configs: [{{job_name: zonerss, static_configs: [{target}]}}]\n"
    )
    command = ["prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data"]
    with subprocess.Popen(
        [*command, "--web.listen-address=127.0.0.1:9999"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            wait(lambda: queried("up") == ["1"], "Prometheus scrapes it")
            series = queried("count(zonerss_zone_rss_bytes)")
            must(bool(series), f"Prometheus has {series[0]} series of zonerss_zone_rss_bytes")
        finally:
            server.terminate()


def queried(query: str) -> list[str]:
    answer = ask(f"/api/v1/query?query={query}", 9999)
    return [result["value"][1] for result in json.loads(answer)["data"]["result"]] if answer else []


def administration() -> None:
    """What somebody does with it before the upgrade."""
    default = Path(f"/etc/default/{EXPORTER}")
    text = default.read_text().replace('ARGS=""', f'ARGS="--record {STORE} --interval 5s --max-cpu 50%"')
    default.write_text(text)
    Path("/etc/zonerss/rules.d/50-mine.toml").write_text("[[rule]]\nmatch = '^/mine'\nname = 'mine'\n")
    Path("/var/lib/zonerss").mkdir(mode=0o700)
    Path("/var/lib/zonerss/mine.zrec").write_text("")
    run("systemctl", "restart", f"{EXPORTER}.service")
    wait(
        lambda: Path(STORE).exists() and "zones walked" in shown(f"{EXPORTER}.service", "StatusText"),
        "it records",
    )
    must(Path(STORE).stat().st_mode & 0o077 == 0, "nobody but root may read the recording")


def capping() -> None:
    caps = Path("/etc/zonerss/caps.toml")
    caps.write_text('[[cap]]\nzone = "batch-*.service"\ncap = "1G"\noptional = true\n')
    caps.chmod(0o644)
    run("systemctl", "start", f"{CAP}.service")
    wait(
        lambda: Path("/run/zonerss-cap/status.json").exists(),
        "the capper runs under its unit and tells its status",
    )
    must(is_active(f"{CAP}.service"), "it goes on")
    run("zonerss", "cap", "--status")
    run("systemctl", "stop", f"{CAP}.service")
    must(shown(f"{CAP}.service", "Result") == "success", "it ends in order")


def upgrade(new: Path) -> None:
    moment = recorded()
    before = shown(f"{EXPORTER}.service", "MainPID")
    install(new)
    must(not Path("/usr/share/doc/zonerss/OLD").exists(), "what only the old version had is gone")
    must(is_active(f"{EXPORTER}.service"), "the exporter runs")
    must(shown(f"{EXPORTER}.service", "MainPID") != before, "it was started again")
    must(not is_active(f"{CAP}.service"), "the capper, which did not run, was not started")
    must(STORE in Path(f"/etc/default/{EXPORTER}").read_text(), "what was configured still is")
    same = recorded(str(moment["ended"]))
    must(
        same["zones"] == moment["zones"], f"the store has the moment {moment['ended']} of before the upgrade"
    )
    wait(lambda: str(recorded()["ended"]) > str(moment["ended"]), "and goes on")


def upgrade_of_what_was_stopped(old: Path, new: Path) -> None:
    run("systemctl", "stop", f"{EXPORTER}.service")
    must(shown(f"{EXPORTER}.service", "ExecMainStatus") == "0", "stopped, with status 0")
    package, newer = (next(directory.glob(f"{EXPORTER}_*.deb")) for directory in (old, new))
    run("dpkg", "--force-depends", "--force-downgrade", "--install", str(package))
    run("dpkg", "--install", str(newer))
    must(not is_active(f"{EXPORTER}.service"), "an exporter that was stopped is not started by an upgrade")
    must(is_enabled(f"{EXPORTER}.service"), "and is still enabled")


def removal(before: list[str], project: str) -> None:
    run("systemctl", "start", f"{EXPORTER}.service")
    apt("remove", *PACKAGES)
    must(not is_active(f"{EXPORTER}.service"), "remove: the exporter was stopped")
    must(
        not Path("/usr/bin/zonerss").exists() and not Path("/usr/lib/zonerss").exists(), "the program is gone"
    )
    must(
        Path(STORE).exists() and Path("/etc/zonerss/zonerss.toml").exists(),
        "store and configuration are there",
    )
    apt("purge", *PACKAGES)
    mine = {
        "/etc/zonerss",
        "/etc/zonerss/caps.toml",
        "/etc/zonerss/rules.d",
        "/etc/zonerss/rules.d/50-mine.toml",
        "/var/lib/zonerss",
        "/var/lib/zonerss/mine.zrec",
    }
    after = list(files(project))
    paths = {line.split(" ", 2)[2] for line in after}
    left = [
        line for line in sorted(set(after) ^ set(before)) if line.split(" ", 2)[2] not in mine | OF_THE_BOOT
    ]
    must(left == [], f"purge: {len(before)} files before, nothing is more or less or changed: {left}")
    must(paths >= mine, "but what the administrator wrote, which is still there,")
    must(paths >= OF_THE_BOOT, f"and until the next boot {', '.join(sorted(OF_THE_BOOT))}")


def main(old: Path, new: Path) -> None:
    project = str(Path(__file__).resolve().parents[2])
    subprocess.run(["systemctl", "stop", "prometheus.service"], check=False)
    before = list(files(project))
    steps: dict[str, Callable[[], None]] = {
        "installation": lambda: first_installation(old),
        "exposure": exposure,
        "sandbox": sandbox,
        "scrape": scrape,
        "use": administration,
        "cap": capping,
        "upgrade": lambda: upgrade(new),
        "upgrade of what was stopped": lambda: upgrade_of_what_was_stopped(old, new),
        "remove, purge": lambda: removal(before, project),
    }
    for title, step in steps.items():
        say(f"{title}:")
        step()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
