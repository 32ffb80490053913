"""A real Chromium without a window, told what to do over its DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/ (Page, Runtime, Log, Network, Emulation).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS, ANSWER_SECONDS = 120.0, 300.0
OWN = ("file:", "data:", "about:", "blob:")
"""Requests that leave no machine."""


def find() -> str:
    """
    Where it is.

    :raises SystemExit: nowhere; says what to install
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise SystemExit("tests/browser/check needs a browser: apt-get install chromium fonts-dejavu-core")
    return found


class Tab:
    """One page, and what went wrong in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self.errors: list[str] = []
        """Of the console: errors, warnings, exceptions, and what the policy forbade."""
        self.requests: list[str] = []
        """All addresses that were asked for, but for those of OWN."""
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, **parameters: Any) -> Any:
        """The answer to a command."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        return await asyncio.wait_for(answer, ANSWER_SECONDS)

    async def _read(self) -> None:
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                answer = self._answers.pop(said["id"])
                if "error" in said:
                    answer.set_exception(RuntimeError(str(said["error"])))
                else:
                    answer.set_result(said["result"])
            else:
                self._note(said["method"], said["params"])

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Runtime.exceptionThrown":
            told = said["exceptionDetails"]
            self.errors.append(told.get("exception", {}).get("description") or told["text"])
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(one.get("value", one)) for one in said["args"]))
        elif method == "Log.entryAdded":
            self.errors.append(f"{said['entry']['level']}: {said['entry']['text']}")
        elif method == "Page.javascriptDialogOpening":
            self.errors.append(f"a dialog: {said['message']}")
        elif method == "Network.requestWillBeSent" and not said["request"]["url"].startswith(OWN):
            self.requests.append(said["request"]["url"])

    async def open(self, url: str) -> None:
        """Load a page, until its scripts have run."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), ANSWER_SECONDS)

    async def value(self, expression: str) -> Any:
        """What an expression is, in the page; of a promise: what it becomes."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    async def look(self, width: int, height: int, dark: bool = False, media: str = "") -> None:
        """As a window of this size shows it."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", media=media, features=scheme)
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        await asyncio.sleep(0.5)

    async def picture(self, path: Path, height: int | None = None, top: int = 0) -> None:
        """
        A PNG of the page.

        :param height: of so many pixels; None: of all of it
        """
        size = (await self.call("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": top, "width": size["width"], "height": height or size["height"], "scale": 1}
        shot = await self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    async def print(self, path: Path) -> None:
        """A PDF of the page, on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}
        found = await self.call("Page.printToPDF", **paper)
        path.write_bytes(base64.b64decode(found["data"]))


@contextlib.asynccontextmanager
async def browser(scripts: bool = True) -> AsyncIterator[Tab]:
    """
    A tab of a browser of its own, which has never been anywhere.

    :param scripts: False: pages run none
    """
    with tempfile.TemporaryDirectory(prefix="zonerss-chromium-", ignore_cleanup_errors=True) as home:
        process = await asyncio.create_subprocess_exec(
            find(),
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--remote-debugging-port=0", f"--user-data-dir={home}", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            address = await asyncio.wait_for(_address(Path(home)), START_SECONDS)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{address}/json/list") as found:
                    tabs = await found.json()
                url = next(tab for tab in tabs if tab["type"] == "page")["webSocketDebuggerUrl"]
                async with session.ws_connect(url, max_msg_size=1 << 28) as socket:
                    tab = Tab(socket)
                    for domain in ("Page", "Runtime", "Log", "Network"):
                        await tab.call(f"{domain}.enable")
                    if not scripts:
                        await tab.call("Emulation.setScriptExecutionDisabled", value=True)
                    yield tab
                    tab._reader.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _address(home: Path) -> str:
    while True:
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
            return f"http://127.0.0.1:{int((home / 'DevToolsActivePort').read_text().split()[0])}"
        await asyncio.sleep(0.05)
