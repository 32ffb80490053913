"""Requests and connections for real, over sockets of the test's own, with looks made by hand: no kernel is asked."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.builders import look
from tests.unit.serve.certificates import self_signed
from tests.unit.serve.test_auth import hashed, header

from zonerss.plain import dataclass
from zonerss.serve import app, connections
from zonerss.serve.addresses import TcpAddress
from zonerss.serve.app import App, path_of
from zonerss.serve.auth import Passwords
from zonerss.serve.connections import Acceptor
from zonerss.serve.limits import LINE_BYTES, RateLimit
from zonerss.serve.moving import Traffic
from zonerss.serve.sockets import address_of, listen
from zonerss.serve.ticker import Pace
from zonerss.serve.tls import Certificates
from zonerss.serve.webconfig import TlsConfig, WebConfig

MOST = 64


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Site:
    """A server on a port of its own, within the event loop of the test."""

    def __init__(self, certificates: Certificates | None = None) -> None:
        self.traffic = Traffic()
        self.executor = ThreadPoolExecutor(1)
        self.passwords = Passwords()
        self.pace = Pace(30.0, 0.01)
        self.complaints: list[str] = []
        self.app = App(self.traffic, self.passwords, self.executor, self.pace, self.complaints.append)
        protocols = self.app.protocols(access_log=None, lingering_time=0, max_line_size=LINE_BYTES)
        self.acceptor = Acceptor(protocols, self.app.meet, lambda: certificates, self.traffic, MOST)
        self.socket = listen(TcpAddress("127.0.0.1", 0))
        address = address_of(self.socket)
        assert isinstance(address, TcpAddress)
        self.port = address.port

    async def raw(self, sent: bytes) -> bytes:
        """Everything that comes back until the server ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            return await reader.read()
        finally:
            writer.close()

    async def ask(self, path: str, method: str = "GET", **headers: str) -> Reply:
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: x",
            *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
        ]
        head, _, body = (await self.raw("\r\n".join([*lines, "", ""]).encode())).partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        return Reply(int(first.split()[1]), dict(line.split(": ", 1) for line in rest), body)


def visit(what: Callable[[Site], Awaitable[None]], certificates: Certificates | None = None) -> None:
    """Run a visit to a site of its own; whatever is left over at its end, or complained about, is an error."""
    complaints: list[dict[str, object]] = []

    async def main() -> None:
        site = Site(certificates)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        accepting = loop.create_task(site.acceptor.accept(site.socket))
        try:
            await asyncio.wait_for(what(site), 120)
        finally:
            accepting.cancel()
            await site.acceptor.close()
            site.socket.close()
            site.executor.shutdown()
            site.passwords.close()
        assert site.traffic.connections == 0
        assert not site.app._conversations

    asyncio.run(main())
    gc.collect()  # tasks whose errors nobody has asked for
    assert not complaints


def test_before_the_first_walk_it_is_healthy_and_not_ready() -> None:
    async def what(site: Site) -> None:
        assert (await site.ask("/-/healthy")).status == 200
        for path in ("/-/ready", "/metrics", "/snapshot.json", "/"):
            reply = await site.ask(path)
            assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        site.app.publish(look())
        for path in ("/-/healthy", "/-/ready", "/metrics", "/snapshot.json", "/"):
            assert (await site.ask(path)).status == 200

    visit(what)


def test_metrics_come_as_they_are_asked_for() -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        classic = await site.ask("/metrics?x=1")
        assert classic.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert classic.headers["Vary"] == "Accept, Accept-Encoding"
        assert b"\nzonerss_walk_age_seconds " in classic.body
        packed = await site.ask("/metrics", Accept="application/openmetrics-text", Accept_Encoding="gzip")
        assert packed.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert int(packed.headers["Content-Length"]) == len(packed.body)
        text = gzip.decompress(packed.body)
        assert text.endswith(b"# EOF\n")
        assert text.count(b"# EOF") == 1
        assert b'zonerss_http_answers_total{code="200"} 1.0' in text

    visit(what)


def test_no_other_page_may_hold_ours() -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        reply = await site.ask("/")
        assert reply.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert b'http-equiv="Content-Security-Policy" content="default-src &#x27;none&#x27;' in reply.body

    visit(what)


def test_the_snapshot_is_the_document_of_show() -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        reply = await site.ask("/snapshot.json", Accept_Encoding="gzip")
        document = json.loads(gzip.decompress(reply.body))
        assert (document["schema"], reply.headers["Content-Type"]) == (
            "zonerss.snapshot/1",
            "application/json",
        )

    visit(what)


def test_other_paths_and_methods() -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        for path in (
            "/favicon.ico",
            "/metrics/",
            "/%6detrics",
            "//",
            "/-/quit",
            "http://x/quit",
            "ftp://x/metrics",
        ):
            assert (await site.ask(path)).status == 404, path
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
            reply = await site.ask("/metrics", method)
            assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")
        whole, head = await site.ask("/snapshot.json"), await site.ask("/snapshot.json", "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == str(len(whole.body))

    visit(what)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"A: a\r\n" * 100_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 600,
        b"hello\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
    ],
    ids=["path", "header", "headers", "tls", "words", "star", "version"],
)
def test_what_is_no_request_is_refused_and_the_next_one_answered(sent: bytes) -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(sent)
        try:
            reply = await reader.read()
        except ConnectionError:  # it had not read all of it
            reply = b""
        writer.close()
        assert reply == b"" or b" 400 " in reply.splitlines()[0]
        assert (await site.ask("/metrics")).status == 200

    visit(what)


def test_one_request_a_connection_and_no_body_is_read() -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        twice = await site.raw(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        assert twice.count(b"HTTP/1.1 ") == 1
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n")
        assert b" 405 " in await reader.readline()
        writer.close()

    visit(what)


def test_an_error_of_ours_is_said_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.MAKERS, "page", lambda _: b""[1])  # type: ignore[arg-type, return-value]

    async def what(site: Site) -> None:
        site.app.publish(look())
        assert (await site.ask("/")).status == 500
        assert "IndexError" in site.complaints[0]
        assert (await site.ask("/metrics")).status == 200
        assert site.traffic.answers == {500: 1, 200: 1}

    visit(what)


def test_passwords_are_asked_for_on_every_page() -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        site.app.configure(WebConfig(users={"alice": hashed(b"secret")}, headers={"X-Frame-Options": "deny"}))
        for path in ("/metrics", "/", "/-/healthy", "/nowhere"):
            reply = await site.ask(path)
            assert reply.status == 401
            assert reply.headers["WWW-Authenticate"].startswith("Basic ")
            assert reply.headers["X-Frame-Options"] == "deny"
            assert (await site.ask(path, Authorization=header("alice", "guess"))).status == 401
        assert (await site.ask("/metrics", Authorization=header("alice", "secret"))).status == 200
        flood = [site.ask("/metrics", Authorization=header("alice", str(n))) for n in range(40)]
        right = site.ask("/metrics", Authorization=header("alice", "secret"))
        *wrong, last = await asyncio.gather(*flood, right)
        assert last.status == 200
        assert {reply.status for reply in wrong} == {401, 429}
        site.app.configure(WebConfig())
        assert (await site.ask("/metrics")).status == 200

    visit(what)


def test_a_rate_limit_is_for_all_requests() -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        site.app.configure(WebConfig(rate_limit=RateLimit(3600.0, 2)))
        assert [(await site.ask("/metrics")).status for _ in range(3)] == [200, 200, 429]

    visit(what)


def test_a_target_with_scheme_and_host_is_that_path() -> None:
    """RFC 9112, 3.2.2: a server must take it, whoever sends it."""
    targets = {
        "http://x/metrics?a=http://b/c": "/metrics",
        "HTTPS://x:1/": "/",
        "http://x": "/",
        "/a://b": "/a://b",
        "*": "*",
    }
    assert {target: path_of(target) for target in targets} == targets

    async def what(site: Site) -> None:
        site.app.publish(look())
        assert (await site.ask("http://x/metrics")).status == 200

    visit(what)


def test_a_client_may_end_its_side_behind_the_request() -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        request = b"GET /snapshot.json HTTP/1.1\r\nHost: x\r\n\r\n"
        for sent, begins in (
            (request, b"HTTP/1.1 200 "),
            (b"hello\r\n\r\n", b"HTTP/1.0 400 "),
            (b"GET /", b""),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(sent)
            writer.write_eof()
            assert (await reader.read())[: len(b"HTTP/1.1 200 ")] == begins
            writer.close()
        while site.traffic.connections:
            await asyncio.sleep(0.01)
        assert site.traffic.lost == {"unfinished": 1}

    visit(what)


def test_what_is_no_request_is_answered_and_counted_as_any_other() -> None:
    async def what(site: Site) -> None:
        site.app.configure(WebConfig(headers={"X-Own": "1"}))
        for sent in (
            b"hello\r\n\r\n",
            b"GET /<x> HTTP/9.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\n a\r\n\r\n",
        ):
            head, _, body = (await site.raw(sent)).partition(b"\r\n\r\n")
            assert b" 400 " in head.splitlines()[0]
            assert head.count(b"Server: ") == head.count(b"Server: zonerss\r\n") == 1
            assert b"\r\nX-Content-Type-Options: nosniff" in head
            assert b"\r\nX-Own: 1" in head
            assert body == b"this is no request of HTTP/1.1\n"
        assert site.traffic.answers == {400: 3}
        while site.traffic.connections:
            await asyncio.sleep(0.01)
        assert not site.traffic.lost

    visit(what)


def test_silent_clients_make_room_for_those_who_ask() -> None:
    async def what(site: Site) -> None:
        site.app.publish(look())
        silent = []
        for _ in range(MOST + 20):
            silent.append(await asyncio.open_connection("127.0.0.1", site.port))
        replies = await asyncio.gather(*(site.ask("/metrics") for _ in range(10)))
        assert {reply.status for reply in replies} == {200}
        assert site.traffic.lost["evicted"] >= 20
        assert site.traffic.connections <= MOST
        assert await silent[0][0].read() == b""  # the first to come had to go
        for _, writer in silent:
            writer.close()

    visit(what)


def test_each_part_of_a_request_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connections, "FIRST_BYTE_SECONDS", 0.2)

    async def what(site: Site) -> None:
        site.app.publish(look())
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        with pytest.raises(ConnectionError):
            await _dribble(writer)
        writer.close()
        assert site.traffic.lost["silent"] == 1
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        assert await reader.read() == b""
        writer.close()
        assert site.traffic.lost["silent"] == 2
        assert site.traffic.answers.total() == 0
        del reader

    visit(what)


def test_one_who_does_not_take_the_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.3)

    async def what(site: Site) -> None:
        site.app.publish(look(build=look().build))
        site.app._rendered.get = _large  # type: ignore[union-attr, method-assign, assignment]
        with socket.create_connection(("127.0.0.1", site.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"GET /snapshot.json HTTP/1.1\r\nHost: x\r\n\r\n")
            while not site.traffic.lost["slow"]:
                await asyncio.sleep(0.02)
        assert site.traffic.connections == 0

    visit(what)


def test_tls_clients_of_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HANDSHAKE_SECONDS", 0.5)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    made = self_signed(tmp_path, "server")
    said = list[str]()
    certificates = Certificates(TlsConfig(str(made.cert), str(made.key)), said.append)
    tls = ssl.create_default_context(cafile=made.cert)

    async def what(site: Site) -> None:
        site.app.publish(look())

        async def talk(sent: bytes) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=tls)
            try:
                writer.write(sent)
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()

        request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        whole, half, words, long_path = await asyncio.gather(
            talk(request), talk(request[:-2]), talk(b"hello\r\n\r\n"), talk(b"GET /" + b"a" * 1_000_000)
        )
        assert whole.startswith(b"HTTP/1.1 200 ")
        assert half == b""
        for refused in (words, long_path):
            assert refused == b"" or b" 400 " in refused[:16]
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", site.port, ssl=ssl.create_default_context())
        assert b"HTTP" not in await site.raw(request)  # in the clear
        assert await site.raw(b"\x16\x03\x01\x02\x00\x01") == b""  # half a handshake
        assert site.traffic.lost["handshake"] >= 2
        assert site.traffic.lost["silent"] == 1
        assert (await talk(request)).startswith(b"HTTP/1.1 200 ")

    visit(what, certificates)


async def _dribble(writer: asyncio.StreamWriter) -> None:
    for byte in b"GET /metrics HTTP/1.1\r\nHost: a.very.slow.client\r\n\r\n" * 100:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.02)


async def _large(name: str) -> object:
    from zonerss.serve.rendered import Encoded

    return Encoded(b"x" * 50_000_000)
