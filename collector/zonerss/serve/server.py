"""The server as a whole: it listens, walks, answers, and gives up what it does not need."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import os
import platform
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from zonerss import __version__
from zonerss.answers.paces import LONGEST_PAUSE_SECONDS, Allowance
from zonerss.answers.recording import Refusals
from zonerss.cap.status import read_status
from zonerss.errors import UsageError, ZonerssError
from zonerss.history.blackbox import BlackBox, Kills, opening_sentences
from zonerss.history.keeper import Keeper
from zonerss.history.moment import Moment, take_moment
from zonerss.history.ring import Ring
from zonerss.kernel.malloc import map_large_blocks
from zonerss.kernel.patience import retire_threads
from zonerss.kernel.privileges import CAPABILITIES, allow_files, drop_privileges, open_files, privileges
from zonerss.kernel.safely import read_named
from zonerss.plain import dataclass, replace
from zonerss.serve.addresses import Address
from zonerss.serve.app import App
from zonerss.serve.auth import Passwords
from zonerss.serve.camera import Camera
from zonerss.serve.clock import WalkClock
from zonerss.serve.connections import Acceptor
from zonerss.serve.limits import HEADERS, LINE_BYTES, MOST_CONNECTIONS
from zonerss.serve.logs import ERROR, NOTICE, WARNING, Log
from zonerss.serve.look import Build, Look
from zonerss.serve.moving import Traffic
from zonerss.serve.needs import KEPT, LOADING
from zonerss.serve.notify import Notifier, watchdog_seconds
from zonerss.serve.sockets import address_of, listen, passed, remove
from zonerss.serve.ticker import Pace, Ticker
from zonerss.serve.tls import Certificates
from zonerss.serve.webconfig import TlsConfig, WebConfig, parse_web_config
from zonerss.snapshot import Session, Snapshot
from zonerss.zones.rules import Rule

_FILE_BYTES = 1 << 20
_OWN_FILES = 64
_LAST_WAIT_SECONDS = 0.3
"""For a walk that is under way when the server is told to end."""
_BEAT_SECONDS = 1.0
_KEEPING_SECONDS, _KEEPING_SHARE = 30.0, 0.05
"""Processor time for keeping what was before kills, beside --max-cpu, and how much of a processor it comes back by."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What serve was asked for."""

    listen: Sequence[Address]
    """Beside what a service manager hands over."""
    interval_seconds: float
    share: float
    """Of one processor's time."""
    pairs: int
    web_config_file: str | None
    read_rules: Callable[[], Sequence[Rule]]
    """
    Reads the rules anew.

    :raises UsageError: there is an error in them
    """
    source: str
    way: str
    basis: str
    patience_seconds: float
    threads: int | None = None
    """None: as many as there are processors for us."""
    record: str | None = None
    keep_seconds: float | None = None
    max_bytes: int | None = None
    black_box: tuple[float, float] | None = None
    """How long it remembers, and how often it looks, in seconds; with a recording only."""


def read_web_config(path: str | None) -> WebConfig:
    """
    The web configuration; that of nobody where there is no file.

    :raises UsageError: it cannot be read, or there is an error in it
    """
    if path is None:
        return WebConfig()
    try:
        content = read_named(path, _FILE_BYTES)
    except (OSError, ValueError) as err:
        raise UsageError(f"cannot read the web configuration {path}: {err}") from err
    return parse_web_config(content, path)


class Server:
    """All that serve needs, opened in the constructor, while there is still every privilege."""

    _box: BlackBox | None = None

    def __init__(self, settings: Settings, log: Log) -> None:
        """
        :raises UsageError: an error in the rules or in the web configuration
        :raises CannotServe: an address is in use, not root, a source that cannot serve here
        """
        self._settings, self._log = settings, log
        self._notifier = Notifier(os.environ)
        self._watchdog_seconds = watchdog_seconds(os.environ, os.getpid())
        self._traffic = Traffic()
        clock = WalkClock()
        clock.leave_out()  # this thread is that of the event loop
        self._passwords = Passwords(clock.leave_out)
        self._certificates: Certificates | None = None
        # Each of the two stays within its own half: so both together do within what is allowed.
        share = settings.share if settings.black_box is None else settings.share / 2
        self._pace = Pace(settings.interval_seconds, share)
        self._clock = clock
        self._apart_seconds, self._allowance = (
            0.0,
            Allowance(_KEEPING_SECONDS, _KEEPING_SHARE, time.monotonic()),
        )
        self._executor = ThreadPoolExecutor(1, "render", clock.leave_out)
        self._app = App(
            self._traffic,
            self._passwords,
            self._executor,
            self._pace,
            lambda sentence: log.say_once("answer", sentence, ERROR),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        ring, kills = _begin_black_box(settings, log)  # while we may lock memory, and read the kernel's log
        map_large_blocks()  # asyncio takes 256 KiB for each TLS connection
        drop_privileges(LOADING, executed=LOADING)
        # As many again for walks, and for the files of others that they read.
        self._most = min(
            MOST_CONNECTIONS, max(allow_files(2 * MOST_CONNECTIONS + _OWN_FILES) // 2 - _OWN_FILES, 16)
        )
        with ExitStack() as stack:
            self._configure(read_web_config(settings.web_config_file))
            self._listening = stack.enter_context(ExitStack())
            self._sockets = list(_listen_all(settings.listen, self._listening))
            self._keeper, self._refusals = None, Refusals()
            if settings.record is not None:
                self._keeper = Keeper(settings.record, settings.keep_seconds, settings.max_bytes)
                stack.callback(self._keeper.close)
            if self._keeper is not None and settings.black_box and ring is not None and kills is not None:
                stack.callback(kills.close)
                stack.callback(ring.close)
                interval = settings.black_box[1]
                self._box_pace = Pace(interval, share)
                self._box = BlackBox(
                    self._keeper,
                    ring,
                    kills,
                    interval,
                    lambda sentence: log.say(sentence, WARNING),
                    lambda: self._ticker.is_ending,
                )
            self._session = Session(
                settings.source,
                settings.read_rules(),
                threads=settings.threads,
                patience=settings.patience_seconds,
                uncertainty=True,
                follow=True,
            )
            stack.callback(self._session.close)
            self._session.load()
            self._open = stack.pop_all()
        retire_threads()
        gc.freeze()  # what is there now stays: it need not be looked through again and again
        drop_privileges(KEPT)
        camera = Camera(
            self._take,
            self._pace,
            settings.pairs,
            _build(),
            self._found,
            self._failed,
            self._paced_seconds,
            read_status,
            self._say_no_caps,
        )
        more = ((self._box_look, self._box_pace),) if self._box else ()
        self._ticker = Ticker((camera.walk, self._pace), *more)

    def report(self) -> list[str]:
        """What it may still do, as the kernel tells of this thread, and why."""
        held = privileges()
        lines = [f"{name}: {KEPT.get(name, 'not known what for')}" for name in sorted(held.effective)]
        given_up = len(CAPABILITIES) - len(held.permitted)
        lines.append(f"{given_up} of {len(CAPABILITIES)} capabilities are given up")
        executed = ", ".join(sorted(held.bounding)) or "none"
        lines.append(
            f"programs that it executes can have: {executed if held.no_new_privs else 'more than it has'}"
        )
        lines.append(f"{open_files()} files are open")
        return lines

    def close(self) -> None:
        """Give back what is held, where it was not run."""
        self._notifier.close()
        self._passwords.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._open.close()

    def run(self) -> int:
        """Serve until told to end."""
        asyncio.run(self._main())
        ended = self._ticker.stop(_LAST_WAIT_SECONDS)
        if not ended:  # a walk is under way: the kernel takes back all that it holds
            sys.stderr.flush()
            os._exit(0)
        if self._box is not None:
            with contextlib.suppress(ZonerssError):  # nobody is left who could be told
                self._box.keep_kills()
        self.close()
        if self._ticker.error is not None:
            raise self._ticker.error
        if (
            threading.active_count() > 1
        ):  # a password is being checked or an answer made: exit would wait for it
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        return 0

    # ---- walking: in the ticker's thread ----

    def _take(self) -> Snapshot:
        if self._keeper is None:
            return self._session.take(
                self._settings.way, self._settings.basis, controls=True
            ).without_evidence()
        moment = take_moment(self._session)
        self._keep(self._keeper, moment)
        taken = moment.snapshot
        return replace(taken, groupings=taken.groupings[:1], processes=None)

    def _keep(self, keeper: Keeper, moment: Moment) -> None:
        """What goes wrong with that is said, and ends nothing."""
        try:
            if self._box is not None:
                with self._kept_apart(self._box):
                    self._box.seen(moment)
            keeper.add(moment)
        except ZonerssError as err:
            if self._refusals.refused(err):
                self._log.say(f"not recorded: {err}", WARNING)
        else:
            if over := self._refusals.kept():
                self._log.say(over, NOTICE)

    def _box_look(self) -> None:
        assert self._box is not None
        before = self._paced_seconds()
        try:
            with self._kept_apart(self._box):
                self._box.look(self._session, self._clock.seconds)
        except (ZonerssError, OSError, MemoryError) as err:
            self._log.say_once("box", f"the black box could not look: {err}", WARNING)
        else:
            self._log.say_once("box", "")
        pace = self._box_pace
        pace.spend(self._paced_seconds() - before)
        self._log.say_once("box pace", box_pace_sentence(pace, self._settings.share), NOTICE)

    def _paced_seconds(self) -> float:
        """Processor time that is paid for by the pause behind it."""
        return self._clock.seconds() - self._apart_seconds

    @contextlib.contextmanager
    def _kept_apart(self, box: BlackBox) -> Iterator[None]:
        """What was before a kill is kept meanwhile, if there was one: the next look is not to wait for that."""
        before = box.tally.keeping_seconds
        try:
            yield
        finally:
            within = self._allowance.take(box.tally.keeping_seconds - before, time.monotonic())
            self._apart_seconds += within
            self._pace.spend_apart(within)

    def _found(self, look: Look) -> None:
        self._log.say_once("walk", "")
        self._say_pace(look)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._publish, look)

    def _failed(self, sentence: str) -> None:
        self._log.say_once("walk", f"a walk could not be done: {sentence}", ERROR)
        self._notifier.status(f"a walk could not be done: {sentence}")

    def _say_no_caps(self, why: str) -> None:
        self._log.say_once("caps", why and f"caps are not told: {why}", WARNING)

    def _say_pace(self, look: Look) -> None:
        wanted, stretched = look.interval_seconds, look.stretched_seconds
        # By doublings: what is said is not said again at each walk.
        factor = 1
        while wanted * factor < stretched:
            factor *= 2
        self._log.say_once(
            "pace",
            f"a walk takes so much processor time that with --max-cpu {_percent(self._settings.share)} "
            f"there is one every {_seconds(stretched)} s rather than every {wanted:g} s"
            if factor > 1
            else "",
            NOTICE,
        )
        self._notifier.status(
            f"{len(look.snapshot.zones)} zones walked in {look.walk_seconds:.2f} s, every {_seconds(stretched)} s"
        )

    # ---- answering: in the event loop's thread ----

    def _publish(self, look: Look) -> None:
        self._app.publish(look)

    async def _main(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._complain)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        protocols = self._app.protocols(
            access_log=None,
            logger=_silent_logger(),
            tcp_keepalive=False,
            lingering_time=0,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS,
        )
        acceptor = Acceptor(protocols, self._app.meet, lambda: self._certificates, self._traffic, self._most)
        accepting = [loop.create_task(acceptor.accept(sock)) for sock in self._sockets]
        self._ticker.start()
        self._announce()
        beating = loop.create_task(self._beat(stop))
        await stop.wait()
        self._notifier.stopping()
        for task in (*accepting, beating):
            task.cancel()
        self._listening.close()
        await acceptor.close()

    def _announce(self) -> None:
        tls = self._certificates.config if self._certificates else None
        for sock in self._sockets:
            address = address_of(sock)
            scheme = "https" if self._certificates else "http"
            self._log.say(f"listening on {scheme}://{address}")
            if warning := _warning(address, tls, self._passwords.asks):
                self._log.say(warning, WARNING)
        self._notifier.ready(
            f"listening; the first walk is under way, then one every {self._pace.interval_seconds:g} s"
        )

    async def _beat(self, stop: asyncio.Event) -> None:
        """Feed the watchdog as long as there are walks; end when they have ended by an error of ours."""
        pause = min(_BEAT_SECONDS, (self._watchdog_seconds or 60.0) / 3)
        while True:
            if self._ticker.error is not None:
                stop.set()
            if self._watchdog_seconds and self._ticker.lives:
                self._notifier.alive()
            await asyncio.sleep(pause)

    def _reload(self) -> None:
        """The service manager is told what came of it, but not in what words: those are for the log."""
        self._notifier.reloading()
        status = "not read again: see the log"
        try:
            config = read_web_config(self._settings.web_config_file)
            rules = self._settings.read_rules()
            self._configure(config)
        except ZonerssError as err:
            self._log.say(f"{err}; the configuration of before still holds", ERROR)
        else:
            self._session.use_rules(rules)
            status = "rules and web configuration were read again"
            self._log.say(status, NOTICE)
        finally:
            self._notifier.ready(status)

    def _configure(self, config: WebConfig) -> None:
        """:raises UsageError: a certificate cannot be used; then all is as before"""
        certificates = Certificates(config.tls, self._log.say) if config.tls else None
        self._app.configure(config)
        self._certificates = certificates
        for word in config.words:
            self._log.say(word, NOTICE)

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """What asyncio has to say, about clients mostly: each sentence once."""
        self._log.say_once("asyncio", f"{context.get('message')}: {context.get('exception')!r}", WARNING)


def _begin_black_box(settings: Settings, log: Log) -> tuple[Ring | None, Kills | None]:
    if settings.black_box is None:
        return None, None
    ring, kills = Ring(settings.black_box[0]), Kills()
    for sentence in opening_sentences(ring, kills):
        log.say(sentence, NOTICE)
    return ring, kills


def box_pace_sentence(pace: Pace, share: float) -> str:
    """
    What the black box may do where it may not look as often as it was asked to; empty: it may. By doublings.

    :param share: of a processor's time, for it and the other walks together
    """
    factor = 1
    while pace.interval_seconds * factor < pace.stretched_seconds:
        factor *= 2
    if factor == 1:
        return ""
    said = (
        f"half of --max-cpu {_percent(share)} allows the black box a look about every "
        f"{pace.interval_seconds * factor:g} s rather than every {pace.interval_seconds:g} s"
    )
    if pace.stretched_seconds >= LONGEST_PAUSE_SECONDS:  # what it costs is not known: at least so much
        return said
    percent = 100 * share * pace.stretched_seconds / pace.interval_seconds
    return f"{said}; --max-cpu {_rounded_up(percent):g}% would do"


def _percent(share: float) -> str:
    return f"{round(100 * share, 2):g}%"


def _seconds(figure: float) -> str:
    """Whole seconds from 10 on, two digits below."""
    return f"{figure:.0f}" if figure >= 10 else f"{figure:.2g}"


def _rounded_up(figure: float) -> float:
    """To two digits, or to a whole number from 100 on. What is a rounding error of the arithmetic is none above."""
    digits = max(1 - math.floor(math.log10(figure)), 0)
    scale: int = 10**digits
    return math.ceil(round(figure * scale, 6)) / scale


def _listen_all(addresses: Sequence[Address], stack: ExitStack) -> Iterator[socket.socket]:
    """Those that were handed over, whose names in the file system are the service manager's; those asked for."""
    for sock in passed(os.environ, os.getpid()):
        stack.callback(sock.close)
        yield sock
    for address in addresses:
        sock = listen(address)
        stack.callback(remove, sock)
        yield sock


def _warning(address: Address, tls: TlsConfig | None, asks_passwords: bool) -> str | None:
    """What is to be said of an address that others than this host reach; None: nothing."""
    if address.is_loopback:
        return None
    if not asks_passwords and not (tls and tls.client_auth_type == "RequireAndVerifyClientCert"):
        asked = "passwords or certificates of clients" if tls else "TLS and passwords"
        return (
            f"whoever reaches {address} can read what every zone of this host is called and uses: "
            f"--web.config.file asks for {asked}"
        )
    return None if tls else f"passwords cross the network to {address} in the clear: use TLS"


def _build() -> Build:
    uname = os.uname()
    return Build(__version__, platform.python_version(), f"{uname.release} {uname.machine}")


def _silent_logger() -> logging.Logger:
    """For aiohttp, which logs what strangers send."""
    logger = logging.getLogger("zonerss.serve.http")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
