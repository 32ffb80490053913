"""A Prometheus server of the test's own: in a directory of its own, on a port that is free, ended by its pid.

Debian's prometheus package; its service is neither needed nor touched.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.own import NAME

PROJECT = Path(__file__).resolve().parents[2]
RULES = (
    PROJECT / "packaging/prometheus/zonerss.rules.yml",
    PROJECT / "packaging/prometheus/zonerss.alerts.yml",
)
START_SECONDS, ANSWER_SECONDS = 60, 60


def is_installed() -> bool:
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


class Prometheus:
    """Scrapes the targets at an interval and evaluates the project's rules as often, while it is open."""

    def __init__(
        self,
        targets: Iterable[tuple[str, str]],
        rules: Sequence[Path] = RULES,
        interval: str = "2s",
    ) -> None:
        """:param targets: address and path of each exporter"""
        self._targets, self._rules, self._interval = tuple(targets), rules, interval
        self.time: float | None = None
        """The moment that queries are about, in seconds of Unix time; None: now."""
        self.directory = Path(tempfile.mkdtemp(prefix=f"{NAME}-prometheus-"))
        self.data = self.directory / "data"

    def __enter__(self) -> Prometheus:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = getattr(self, "process", None)
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def rest(self) -> None:
        """No more scrapes and rules: what it does from now on, it does for queries. They are about the last moment."""
        self.time = time.time()
        self._targets, self._rules = (), ()
        self._configure()
        self.process.send_signal(signal.SIGHUP)
        until(lambda: not self.targets() and not self.rules(), "Prometheus rests")

    def _configure(self) -> Path:
        config = self.directory / "prometheus.yml"
        config.write_text(json.dumps(self._configuration()))  # JSON is YAML
        return config

    def _start(self) -> None:
        config = self._configure()
        log = (self.directory / "log").open("wb")
        with log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={self.data}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
            )
        self._url = f"http://{self._address()}"
        until(lambda: self._get("/-/ready", plain=True), "Prometheus is ready")

    def _configuration(self) -> dict[str, Any]:
        jobs = [
            {
                "targets": [address],
                "labels": {
                    "__metrics_path__": path,
                    **({"instance": path.strip("/")} if path != "/metrics" else {}),
                },
            }
            for address, path in self._targets
        ]
        return {
            "global": {"scrape_interval": self._interval, "evaluation_interval": self._interval},
            "rule_files": [str(path) for path in self._rules],
            "scrape_configs": [{"job_name": "zonerss", "static_configs": jobs}],
        }

    def _address(self) -> str:
        """Where it listens, as its log says: it took a port that was free."""

        def found() -> str | None:
            text = (self.directory / "log").read_text()
            match = re.search(r'msg="Listening on" address=(\S+)', text)
            if match is None and self.process.poll() is not None:
                raise RuntimeError(f"Prometheus ended:\n{text}")
            return match and match[1]

        return until(found, "Prometheus listens")

    def _get(self, path: str, plain: bool = False) -> Any:
        try:
            with urllib.request.urlopen(self._url + path, timeout=ANSWER_SECONDS) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise RuntimeError(f"{path}: {error.read().decode()}") from error
        return body if plain else json.loads(body)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The series of an instant query, and their values."""
        moment = {} if self.time is None else {"time": f"{self.time:.3f}"}
        parameters = urllib.parse.urlencode({"query": expression} | moment)
        data = self._get(f"/api/v1/query?{parameters}")["data"]
        assert data["resultType"] == "vector", expression
        return [(one["metric"], float(one["value"][1])) for one in data["result"]]

    def rules(self) -> list[dict[str, Any]]:
        """Each rule, with its health."""
        groups = self._get("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """Each target, with its health and last error."""
        found: list[dict[str, Any]] = self._get("/api/v1/targets")["data"]["activeTargets"]
        return found

    def status(self) -> dict[str, Any]:
        """Of the database's head: numSeries, chunkCount and others."""
        stats: dict[str, Any] = self._get("/api/v1/status/tsdb")["data"]["headStats"]
        return stats


def until(condition: Any, what: str, seconds: float = START_SECONDS) -> Any:
    """What the condition gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"in vain waited until {what}")
        threading.Event().wait(0.05)
    return found
