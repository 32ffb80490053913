"""A real `zonerss serve` for a test or a benchmark, and those who ask it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from zonerss.plain import dataclass

PATIENCE = 120  # seconds; no test depends on it but to fail
LISTENING = re.compile(r"listening on (https?)://(\S+)")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str):
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class Served:
    """A server of this checkout; use it as a context manager."""

    # through: a command that becomes the one which follows it

    def __init__(
        self,
        *words: str,
        environ: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ):
        self._log = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed with the server
        self.process = subprocess.Popen(
            [*through, sys.executable, "-m", "zonerss", "serve", "--no-config", *words],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **(environ or {})},
            pass_fds=pass_fds,
        )
        self.pid = self.process.pid

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._log.close()

    @property
    def log(self) -> str:
        """What it has said so far."""
        self._log.flush()
        return os.pread(self._log.fileno(), 1 << 20, 0).decode()

    def wait(self, true, what: str) -> None:
        """Until something is true."""
        limit = time.monotonic() + PATIENCE
        while not true():
            assert self.process.poll() is None, f"it has ended, waiting for {what}:\n{self.log}"
            assert time.monotonic() < limit, f"waited for {what}:\n{self.log}"
            time.sleep(0.02)

    def addresses(self, count: int = 1) -> list[str]:
        """Where it listens, once it says so."""
        self.wait(lambda: len(LISTENING.findall(self.log)) >= count, "it to listen")
        return [address for _, address in LISTENING.findall(self.log)]

    @property
    def port(self) -> int:
        """Of the first address."""
        return int(self.addresses()[0].rpartition(":")[2])

    def connection(self, address: str | None = None, tls: ssl.SSLContext | None = None):
        """A connection to one of its addresses, by default the first."""
        address = address or self.addresses()[0]
        if address.startswith("unix:"):
            return UnixConnection(address.removeprefix("unix:"))
        host, _, port = address.rpartition(":")
        host = host.strip("[]") or "127.0.0.1"
        if tls is not None:
            return http.client.HTTPSConnection(host, int(port), timeout=PATIENCE, context=tls)
        return http.client.HTTPConnection(host, int(port), timeout=PATIENCE)

    def ask(
        self, path: str, address: str | None = None, tls: ssl.SSLContext | None = None, **headers: str
    ) -> Reply:
        """Ask for a page. Underscores of header names stand for dashes."""
        connection = self.connection(address, tls)
        try:
            connection.request(
                "GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()}
            )
            found = connection.getresponse()
            return Reply(found.status, dict(found.getheaders()), found.read())
        finally:
            connection.close()

    def metric(self, name: str, **how) -> float:
        """The value of a series."""
        text = self.ask("/metrics", **how).text
        (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(value)

    def be_ready(self, **how) -> None:
        """Wait until the first walk is done."""
        self.addresses()
        self.wait(lambda: self.ask("/-/ready", **how).status == 200, "the first walk")

    def tell(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end; its exit status."""
        self.tell(number)
        return self.process.wait(PATIENCE)

    @property
    def rss_bytes(self) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[0]) * 1024

    @property
    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    @property
    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))
