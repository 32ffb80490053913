"""What is answered to which request. aiohttp has parsed it; every answer ends its connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from aiohttp.web import BaseRequest, RequestHandler, Response, Server, StreamResponse

from zonerss.plain import dataclass, field
from zonerss.serve.auth import Passwords, Verdict
from zonerss.serve.connections import Conversation
from zonerss.serve.limits import Bucket
from zonerss.serve.look import Look
from zonerss.serve.metrics import exposition
from zonerss.serve.moving import END, Traffic, moving_exposition
from zonerss.serve.negotiate import CLASSIC, OPENMETRICS, takes_gzip, wants_openmetrics
from zonerss.serve.page import render as render_page
from zonerss.serve.rendered import Pieces, Rendered
from zonerss.serve.ticker import Pace
from zonerss.serve.webconfig import WebConfig
from zonerss.views.document import render_json
from zonerss.views.show import document

_CHUNK_BYTES = 64 * 1024
_ALWAYS = {
    "Server": "zonerss",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page itself has the rest (serve/style.py)
    "Cache-Control": "no-store",
    "Vary": "Accept, Accept-Encoding",
}
_TEXT, _JSON, _HTML = "text/plain; charset=utf-8", "application/json", "text/html; charset=utf-8"
MAKERS = {
    "classic": lambda look: exposition(look, openmetrics=False),
    "openmetrics": lambda look: exposition(look, openmetrics=True).removesuffix(END),
    "snapshot": lambda look: (render_json(document(look.snapshot)) + "\n").encode(),
    "page": lambda look: render_page(look).encode(),
}
"""What is made from a look, by name. Metrics are without those of :mod:`zonerss.serve.moving`, which end them."""
_PATHS = ("/", "/metrics", "/snapshot.json", "/-/healthy", "/-/ready")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to a client."""

    status: int
    body: Pieces
    content_type: str = _TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


class App:
    """Answers requests from the latest look."""

    def __init__(
        self,
        traffic: Traffic,
        passwords: Passwords,
        executor: Executor,
        pace: Pace,
        complain: Callable[[str], None],
    ) -> None:
        """
        :param executor: where what is not yet made of a look is made
        :param complain: takes a sentence about an error of ours
        """
        self._traffic, self._passwords, self._executor, self._pace = traffic, passwords, executor, pace
        self._complain = complain
        self._conversations: dict[object, Conversation] = {}
        self._rendered: Rendered | None = None
        self._headers: Mapping[str, str] = {}
        self._bucket = Bucket(None, time.monotonic)

    def configure(self, config: WebConfig) -> None:
        """From now on this web configuration holds."""
        self._headers = dict(config.headers)
        self._bucket = Bucket(config.rate_limit, time.monotonic)
        self._passwords.use(config.users)

    def publish(self, look: Look) -> None:
        """From now on this is the latest look."""
        self._rendered = Rendered(look, MAKERS, self._executor, self._pace.spend_besides)

    def meet(self, conversation: Conversation) -> None:
        """A connection has begun."""
        self._conversations[conversation.inner] = conversation
        conversation.ended.add_done_callback(lambda _: self._conversations.pop(conversation.inner, None))

    def protocols(self, **options: Any) -> Callable[[], RequestHandler]:
        """
        What makes aiohttp's side of a connection, in the event loop that runs.

        :param options: of aiohttp.web.Server
        """
        server, loop = Server(self.handle), asyncio.get_running_loop()
        return lambda: _Protocol(server, self._refused, loop=loop, **options)

    def _refused(self, request: BaseRequest, response: StreamResponse) -> StreamResponse:
        """Instead of what aiohttp answers to what it cannot parse, and has handed to nobody."""
        conversation = self._conversations.get(request.protocol)
        if conversation is None or conversation.has_asked:
            return response
        conversation.begin()
        self._traffic.answers[response.status] += 1
        refusal = Response(
            status=response.status,
            text="this is no request of HTTP/1.1\n",
            headers={**_ALWAYS, **self._headers},
        )
        refusal.force_close()
        return refusal

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Answer a request; see aiohttp.web.Server."""
        conversation = self._conversations.get(request.protocol)
        if conversation is not None:
            conversation.begin()
        try:
            answer = await self._answer(request, conversation.client if conversation else None)
        except Exception as err:
            self._complain(f"an answer could not be made: {err!r}")
            answer = Answer(500, (b"an error of zonerss: its log has more\n",))
        self._traffic.answers[answer.status] += 1
        return await _send(request, answer, self._headers)

    async def _answer(self, request: BaseRequest, client: object) -> Answer:
        if not self._bucket.take():
            return Answer(429, (b"too many requests: rate_limit of the web configuration\n",))
        verdict = await self._passwords.verdict(request.headers.get("Authorization"), client)
        if verdict is Verdict.BUSY:
            return Answer(429, (b"too many passwords are being checked\n",), headers={"Retry-After": "2"})
        if verdict is Verdict.WRONG:
            return Answer(
                401,
                (b"name and password are needed\n",),
                headers={"WWW-Authenticate": 'Basic realm="zonerss", charset="UTF-8"'},
            )
        path = path_of(request.raw_path)
        if path not in _PATHS:
            return Answer(404, (b"there is no such page: see /, /metrics and /snapshot.json\n",))
        if request.method not in ("GET", "HEAD"):
            return Answer(405, (b"only GET and HEAD are answered\n",), headers={"Allow": "GET, HEAD"})
        return await self._page(path, request)

    async def _page(self, path: str, request: BaseRequest) -> Answer:
        if path == "/-/healthy":
            return Answer(200, (b"zonerss is healthy\n",))
        if (rendered := self._rendered) is None:
            return Answer(503, (b"the first walk is not done yet\n",), headers={"Retry-After": "1"})
        if path == "/-/ready":
            return Answer(200, (b"zonerss is ready\n",))
        more = b""
        if path == "/metrics":
            openmetrics = wants_openmetrics(request.headers.get("Accept"))
            name, content_type = ("openmetrics", OPENMETRICS) if openmetrics else ("classic", CLASSIC)
            more = moving_exposition(rendered.look.age_seconds(time.monotonic()), self._traffic, openmetrics)
        else:
            name, content_type = ("page", _HTML) if path == "/" else ("snapshot", _JSON)
        encoded = await rendered.get(name)
        if takes_gzip(request.headers.get("Accept-Encoding")):
            return Answer(200, encoded.gzip(more), content_type, {"Content-Encoding": "gzip"})
        return Answer(200, encoded.plain(more), content_type)


class _Protocol(RequestHandler):
    """aiohttp's side of a connection, but for what is answered to what it cannot parse."""

    def __init__(
        self,
        server: Server,
        refused: Callable[[BaseRequest, StreamResponse], StreamResponse],
        **options: Any,
    ) -> None:
        super().__init__(server, **options)
        self._refused = refused

    def handle_error(self, request: BaseRequest, *args: Any, **fields: Any) -> StreamResponse:
        """See aiohttp.web.RequestHandler."""
        return self._refused(request, super().handle_error(request, *args, **fields))


def path_of(target: str) -> str:
    """
    The path of a request's target, whether that begins with it or with scheme and host. Pure.

    Source: RFC 9112, 3.2.1 and 3.2.2.
    """
    path = target.partition("?")[0]
    scheme, mark, rest = path.partition("://")
    if mark and scheme.lower() in ("http", "https"):
        return "/" + rest.partition("/")[2]
    return path


async def _send(request: BaseRequest, answer: Answer, headers: Mapping[str, str]) -> StreamResponse:
    """In pieces, each as soon as the client has taken those before: so a slow one holds little memory."""
    response = StreamResponse(status=answer.status, headers={**_ALWAYS, **headers, **answer.headers})
    response.headers["Content-Type"] = answer.content_type
    response.content_length = sum(map(len, answer.body))
    response.force_close()
    await response.prepare(request)
    if request.method != "HEAD":
        for piece in answer.body:
            for at in range(0, len(piece), _CHUNK_BYTES):
                await response.write(piece[at : at + _CHUNK_BYTES])
    await response.write_eof()
    return response
