"""A throw-away PostgreSQL whose clients have all read every shared buffer: the classical double count.

Every backend maps the same shared buffers, so the sum of the processes' RSS is many times the memory there is.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.own import NAME

SETTINGS = {
    "listen_addresses": "",
    "huge_pages": "off",
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "checkpoint_timeout": "1d",
}
ROWS_PER_BUFFER = 8  # of 900 bytes each, so that a scan touches both frames of a buffer of 8 KiB


def programs() -> Path | None:
    """Where Debian keeps the newest PostgreSQL that is installed, if there is any."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Postgres:
    """A server, and clients that stay connected."""

    def __init__(self, shared_buffers_mib: int, enter: Callable[[], None], enter_client: Callable[[], None]):
        """
        :param enter: what a process of the server does first, as to move into a cgroup
        :param enter_client: the same for a client
        """
        self.shared_buffers_mib = shared_buffers_mib
        self._bin = programs()
        self._enter, self._enter_client = enter, enter_client
        self._clients: list[subprocess.Popen] = []
        self._server: subprocess.Popen | None = None
        self._user = next(name for name in ("postgres", "nobody") if has_user(name))
        self._directory = Path(tempfile.mkdtemp(prefix=f"{NAME}-"))
        shutil.chown(self._directory, self._user)

    def start(self, clients: int) -> None:
        """Fill all buffers but a few with one table, and let each client read all of it."""
        data = self._directory / "data"
        initdb = [self._bin / "initdb", "-D", data, "-A", "trust", "-U", "test", "-N", "-E", "UTF8"]
        subprocess.run(self._as_user(*initdb), check=True, capture_output=True, cwd="/")
        self._serve(data, clients)
        buffers = self.shared_buffers_mib * 128 - 2500  # the system's own tables take some
        client = self._connect()
        # A table that is made with data in one go is copied through a small ring of buffers: pg_prewarm then
        # reads all of it into the buffers proper.
        ask(client, "create extension pg_prewarm")
        ask(client, "create unlogged table pages (id int, filler text)")
        rows = buffers * ROWS_PER_BUFFER
        ask(client, f"insert into pages select i, repeat('x', 900) from generate_series(1, {rows}) i")
        ask(client, "vacuum (freeze) pages")
        ask(client, "select pg_prewarm('pages')")
        for _ in range(clients - 1):
            self._connect()
        for client in self._clients:
            ask(client, "select count(*) from pages")

    def stop(self) -> None:
        """At once; nothing that it wrote is worth keeping."""
        for client in self._clients:
            client.stdin.close()
            client.wait()
            client.stdout.close()
        if self._server:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait()
        shutil.rmtree(self._directory)

    def _serve(self, data: Path, clients: int) -> None:
        settings = {
            **SETTINGS,
            "shared_buffers": f"{self.shared_buffers_mib}MB",
            "max_connections": str(clients + 5),
            "unix_socket_directories": str(self._directory),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("wb") as log:
            self._server = subprocess.Popen(
                self._as_user(self._bin / "postgres", "-D", data, *options),
                preexec_fn=self._enter,
                stdout=log,
                stderr=log,
                cwd="/",
            )
        is_ready = [self._bin / "pg_isready", "-q", "-h", self._directory]
        while subprocess.run(is_ready, check=False).returncode:
            if self._server.poll() is not None:
                raise ChildProcessError((self._directory / "log").read_text())

    def _connect(self) -> subprocess.Popen:
        psql = [self._bin / "psql", "-XqAt", "-h", self._directory, "-U", "test", "-d", "postgres"]
        client = subprocess.Popen(
            [*psql, "-v", "ON_ERROR_STOP=1"],
            preexec_fn=self._enter_client,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
        )
        self._clients.append(client)
        ask(client, "select 1")
        return client

    def _as_user(self, *command: str | Path) -> list[str]:
        user = pwd.getpwnam(self._user)
        become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        return [*become, *map(str, command)]


def has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def ask(client: subprocess.Popen, statement: str) -> list[str]:
    """The answer of one statement, line by line."""
    client.stdin.write(f"{statement};\n\\echo end of answer\n".encode())
    client.stdin.flush()
    lines = []
    while (line := os.fsdecode(client.stdout.readline()).rstrip("\n")) != "end of answer":
        if client.poll() is not None:
            raise ChildProcessError(f"psql ended at {statement!r}")
        lines.append(line)
    return lines
