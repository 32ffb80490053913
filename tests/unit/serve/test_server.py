"""What of the server can be told without walking; the rest is in tests/live/test_serve.py."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from zonerss.answers.paces import Allowance
from zonerss.answers.recording import Refusals
from zonerss.errors import StoreFull, StoreTooLarge, UsageError
from zonerss.plain import replace
from zonerss.records.kills import BoxTally
from zonerss.serve import server
from zonerss.serve.addresses import Address, TcpAddress, UnixAddress
from zonerss.serve.logs import Log
from zonerss.serve.sockets import listen
from zonerss.serve.ticker import Pace
from zonerss.serve.webconfig import TlsConfig


def test_the_name_of_a_socket_that_was_handed_over_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = UnixAddress(str(tmp_path / "theirs")), UnixAddress(str(tmp_path / "ours"))
    handed = listen(theirs)
    monkeypatch.setattr(server, "passed", lambda environ, pid: [handed])
    with ExitStack() as stack:
        first, second = server._listen_all([ours], stack)
        assert first is handed
    assert first.fileno() == second.fileno() == -1
    assert Path(theirs.path).is_socket()
    assert not Path(ours.path).exists()


HERE, THERE = TcpAddress("127.0.0.1", 1), TcpAddress("192.0.2.1", 1)
NOBODY = TlsConfig("a", "b")
SOME = replace(NOBODY, client_auth_type="VerifyClientCertIfGiven", client_ca_file="c")
ALL = replace(SOME, client_auth_type="RequireAndVerifyClientCert")


@pytest.mark.parametrize(
    ("address", "tls", "asks", "said"),
    [
        (HERE, None, False, None),
        (UnixAddress("/a"), None, False, None),
        (THERE, None, False, "asks for TLS and passwords"),
        (THERE, None, True, "in the clear"),
        (THERE, NOBODY, False, "asks for passwords or certificates of clients"),
        (THERE, SOME, False, "asks for passwords or certificates of clients"),
        (THERE, ALL, False, None),
        (THERE, NOBODY, True, None),
    ],
)
def test_where_anybody_may_read_is_said(
    address: Address, tls: TlsConfig | None, asks: bool, said: str | None
) -> None:
    warning = server._warning(address, tls, asks)
    assert warning is None if said is None else warning and said in warning


def test_what_is_not_recorded_is_said_once_and_that_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    errors = [
        StoreTooLarge("it takes 5 bytes"),
        StoreTooLarge("it takes 6 bytes"),
        None,
        StoreFull("full"),
        None,
    ]

    class Keeper:
        def add(self, moment: object) -> None:
            if error := errors.pop(0):
                raise error

    walker = object.__new__(server.Server)
    walker._refusals, walker._log = Refusals(), Log({})
    while errors:
        walker._keep(Keeper(), None)  # type: ignore[arg-type]
    assert capsys.readouterr().err.splitlines() == [
        "zonerss: not recorded: it takes 5 bytes",
        "zonerss: snapshots are kept again",
        "zonerss: not recorded: full",
        "zonerss: there is room again, and snapshots are kept",
    ]


def test_a_cappers_status_that_cannot_be_read_is_said_once_and_no_walk_has_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    walker, told = object.__new__(server.Server), list[str]()
    walker._log, walker._notifier = Log({}), SimpleNamespace(status=told.append)  # type: ignore[assignment]
    for why in ("cannot read it", "cannot read it", "", "cannot read it"):
        walker._say_no_caps(why)
    assert capsys.readouterr().err.splitlines() == ["zonerss: caps are not told: cannot read it"] * 2
    assert told == []


def boxed(costs: list[float]) -> server.Server:
    """A server whose black box looks at no cost, and keeps what was before kills at these."""
    tally = BoxTally(300.0, 2.0)

    def keep(*_: object) -> None:
        cost = costs.pop(0)
        clock.spent += cost
        tally.keeping_seconds += cost

    clock = SimpleNamespace(spent=0.0, seconds=lambda: clock.spent)
    walker = object.__new__(server.Server)
    walker._box = SimpleNamespace(look=keep, seen=keep, tally=tally)  # type: ignore[assignment]
    walker._clock, walker._session, walker._log = clock, None, Log({})  # type: ignore[assignment]
    walker._settings = SimpleNamespace(share=0.01)  # type: ignore[assignment]
    walker._pace, walker._box_pace = Pace(30.0, 0.005), Pace(2.0, 0.005)
    walker._apart_seconds, walker._refusals = 0.0, Refusals()
    walker._allowance = Allowance(30.0, 0.0, 0.0)
    return walker


def test_no_look_and_no_walk_waits_for_the_keeping_of_a_kill_and_it_is_told() -> None:
    walker = boxed([2.1, 2.1])
    walker._box_look()
    assert walker._box_pace.stretched_seconds == 2.0
    before = walker._paced_seconds()
    walker._keep(SimpleNamespace(add=lambda moment: None), None)  # type: ignore[arg-type]
    assert walker._paced_seconds() == pytest.approx(before)
    assert walker._pace.spend(0.1) == pytest.approx(0.1 + 4.2)
    assert walker._pace.stretched_seconds == 30.0


def test_a_storm_of_kills_is_waited_for_in_the_end() -> None:
    walker = boxed([20.0, 20.0, 20.0])
    stretched = []
    for _ in range(3):
        walker._box_look()
        stretched.append(walker._box_pace.stretched_seconds)
    assert stretched == pytest.approx([2.0, 10.0 / 0.005, 20.0 / 0.005])


@pytest.mark.parametrize(
    ("share", "stretched", "said"),
    [
        (10.0, 0.25, "with --max-cpu 1000% there is one every 0.25 s rather than every 0.1 s"),
        (0.01, 4321.0, "with --max-cpu 1% there is one every 4321 s rather than every 0.1 s"),
        (0.01, 0.1, ""),
    ],
)
def test_walks_that_are_further_apart_are_said_in_figures_that_tell(
    share: float, stretched: float, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    walker = object.__new__(server.Server)
    walker._log, walker._notifier = Log({}), SimpleNamespace(status=lambda text: None)
    walker._settings = SimpleNamespace(share=share)
    look = SimpleNamespace(
        interval_seconds=0.1,
        stretched_seconds=stretched,
        snapshot=SimpleNamespace(zones=()),
        walk_seconds=0.1,
    )
    walker._say_pace(look)  # type: ignore[arg-type]
    assert said in capsys.readouterr().err


ENDS = """
import threading
from concurrent.futures import ThreadPoolExecutor
from zonerss.serve.server import Server

class Ticker:
    error = None
    def stop(self, seconds):
        return True

async def main():
    pass

server = object.__new__(Server)
server._ticker, server._main, server.close = Ticker(), main, lambda: print("closed")
ThreadPoolExecutor(1).submit(threading.Event().wait)
raise SystemExit(server.run())
"""


def test_the_end_does_not_wait_for_a_check_or_an_answer() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "closed\n", "")


class Told:
    """A notifier and a log that keep what they are told."""

    def __init__(self) -> None:
        self.manager, self.log = list[str](), list[str]()

    def reloading(self) -> None:
        self.manager.append("reloading")

    def ready(self, status: str) -> None:
        self.manager.append(status)

    def say(self, sentence: str, level: int) -> None:
        self.log.append(sentence)


@pytest.mark.parametrize("error", [UsageError("web.yml: a secret"), KeyError("a secret")])
def test_a_service_manager_hears_the_end_of_each_reading_and_no_secret(error: Exception) -> None:
    def read_rules() -> None:
        raise error

    told, one = Told(), object.__new__(server.Server)
    one._notifier = one._log = told  # type: ignore[assignment]
    one._settings = SimpleNamespace(web_config_file=None, read_rules=read_rules)  # type: ignore[assignment]
    with suppress(KeyError):
        one._reload()
    assert told.manager == ["reloading", "not read again: see the log"]
    assert told.log == ([f"{error}; the configuration of before still holds"] * isinstance(error, UsageError))


def test_what_a_budget_allows_the_black_box_is_said() -> None:
    pace = Pace(2.0, 0.005)
    pace.spend(0.01)
    assert server.box_pace_sentence(pace, 0.01) == ""
    pace.spend(0.07)
    assert server.box_pace_sentence(pace, 0.01) == (
        "half of --max-cpu 1% allows the black box a look about every 16 s rather than every 2 s; --max-cpu 7% would do"
    )
    pace.spend(12.2)
    assert server.box_pace_sentence(pace, 0.01).endswith("; --max-cpu 1220% would do")


@pytest.mark.parametrize(
    ("cost", "hint"), [(0.0701, "7.1"), (0.0244, "2.5"), (0.2041, "21"), (0.9999, "100"), (4.0402, "405")]
)
def test_the_budget_that_is_proposed_is_enough(cost: float, hint: str) -> None:
    pace = Pace(2.0, 0.005)
    pace.spend(cost)
    assert server.box_pace_sentence(pace, 0.01).endswith(f"; --max-cpu {hint}% would do")


def test_no_budget_is_proposed_where_the_cost_is_not_known() -> None:
    pace = Pace(2.0, 0.005)
    pace.spend(1e6)
    said = server.box_pace_sentence(pace, 0.01)
    assert "allows the black box a look about every" in said
    assert "would do" not in said
