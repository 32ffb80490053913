"""Passwords: right, wrong, remembered, too many at once."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Coroutine, Iterator
from typing import Any

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.serve import auth
from zonerss.serve.auth import (
    MOST_REMEMBERED,
    MOST_WAITING,
    MOST_WAITING_OF_ONE,
    Passwords,
    Verdict,
    credentials,
    dummy,
)
from zonerss.serve.webconfig import _BCRYPT


def header(name: str, password: str | bytes) -> str:
    raw = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(name.encode() + b":" + raw).decode()


def hashed(password: bytes) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was checked by bcrypt."""
    found: list[bytes] = []
    check = auth._check

    def noted(password: bytes, hashed: bytes) -> bool:
        found.append(hashed)
        return check(password, hashed)

    monkeypatch.setattr(auth, "_check", noted)
    return found


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


def run(passwords: Passwords, *headers: str | None, clients: str = "") -> list[Verdict]:
    async def ask() -> list[Verdict]:
        asked: list[Coroutine[Any, Any, Verdict]] = [
            passwords.verdict(one, clients[at] if clients else "c") for at, one in enumerate(headers)
        ]
        return list(await asyncio.gather(*asked))

    return asyncio.run(ask())


def test_without_users_everybody_may_ask(passwords: Passwords) -> None:
    assert not passwords.asks
    assert run(passwords, None, "Basic !", header("a", "b")) == [Verdict.RIGHT] * 3


def test_right_wrong_and_unknown_cost_the_same_the_first_time(
    passwords: Passwords, checked: list[bytes]
) -> None:
    right = hashed(b"secret")
    passwords.use({"alice": right})
    assert passwords.asks
    verdicts = run(passwords, header("alice", "secret"), header("alice", "Secret"), header("bob", "secret"))
    assert verdicts == [Verdict.RIGHT, Verdict.WRONG, Verdict.WRONG]
    assert checked[:2] == [right.encode()] * 2
    assert checked[2][4:6] == right.encode()[4:6]  # the same cost
    assert len(checked) == 3
    assert run(passwords, header("alice", "secret")) == [Verdict.RIGHT]
    assert len(checked) == 3
    assert run(passwords, header("alice", "Secret")) == [Verdict.WRONG]
    assert len(checked) == 4


def test_new_users_are_used_without_a_hash_being_made(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = hashed(b"secret")
    monkeypatch.delattr(bcrypt, "gensalt")
    passwords.use({"alice": right, "bob": right.replace("$04$", "$05$")})
    assert passwords._dummy[:7] == b"$2b$05$"
    assert run(passwords, header("carol", "")) == [Verdict.WRONG]


@pytest.mark.parametrize("cost", [4, 5, 6])
def test_a_dummy_is_a_hash_of_its_cost(cost: int) -> None:
    assert _BCRYPT.fullmatch(dummy(cost).decode())
    assert not bcrypt.checkpw(b"", dummy(cost))


def test_a_password_that_was_changed_is_not_remembered(passwords: Passwords, checked: list[bytes]) -> None:
    passwords.use({"alice": hashed(b"old")})
    assert run(passwords, header("alice", "old")) == [Verdict.RIGHT]
    passwords.use({"alice": hashed(b"new")})
    assert run(passwords, header("alice", "old"), header("alice", "new")) == [Verdict.WRONG, Verdict.RIGHT]
    passwords.use({"bob": hashed(b"new")})
    assert run(passwords, header("alice", "new")) == [Verdict.WRONG]


def test_as_much_of_a_password_counts_as_bcrypt_looks_at(passwords: Passwords) -> None:
    passwords.use({"alice": hashed(b"x" * 72)})
    assert run(passwords, header("alice", "x" * 80), header("alice", "x" * 71)) == [
        Verdict.RIGHT,
        Verdict.WRONG,
    ]
    assert run(passwords, header("alice", b"x" * 72 + b"\0"), header("alice", b"\xff")) == [Verdict.WRONG] * 2


def test_one_client_cannot_make_others_wait(passwords: Passwords, checked: list[bytes]) -> None:
    passwords.use({"alice": hashed(b"secret")})
    flood = [header("alice", str(number)) for number in range(10)]
    verdicts = run(passwords, *flood, header("alice", "secret"), clients="f" * 10 + "g")
    assert verdicts[:10].count(Verdict.BUSY) == 10 - MOST_WAITING_OF_ONE
    assert verdicts[10] is Verdict.RIGHT
    assert len(checked) == MOST_WAITING_OF_ONE + 1
    assert run(passwords, flood[0]) == [Verdict.WRONG]


def test_a_few_clients_cannot_make_others_wait(passwords: Passwords, checked: list[bytes]) -> None:
    passwords.use({"alice": hashed(b"secret")})
    crowd = "abcd" * MOST_WAITING_OF_ONE
    assert len(crowd) == MOST_WAITING
    flood = [header("alice", str(number)) for number in range(MOST_WAITING)]
    late = [header("alice", "secret"), header("alice", "secret"), header("alice", "guess")]
    verdicts = run(passwords, *flood, *late, clients=crowd + "efe")
    assert verdicts[MOST_WAITING:] == [Verdict.RIGHT, Verdict.RIGHT, Verdict.WRONG]
    assert verdicts[:MOST_WAITING].count(Verdict.BUSY) == 3
    assert verdicts.index(Verdict.BUSY) == MOST_WAITING - 4  # of one who waits for four, the newest
    assert len(checked) == MOST_WAITING
    assert not passwords._waiting


def test_as_many_clients_as_may_wait_leave_no_room(passwords: Passwords) -> None:
    passwords.use({"alice": hashed(b"secret")})
    flood = [header("alice", str(number)) for number in range(MOST_WAITING + 1)]
    verdicts = run(passwords, *flood, clients="abcdefghijklmnopq")
    assert verdicts == [Verdict.WRONG] * MOST_WAITING + [Verdict.BUSY]


def test_a_request_that_is_cancelled_waits_no_more(passwords: Passwords) -> None:
    async def leave() -> None:
        asked = asyncio.ensure_future(passwords.verdict(header("alice", "secret"), "c"))
        await asyncio.sleep(0)
        assert passwords._waiting
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert not passwords._waiting

    passwords.use({"alice": hashed(b"secret")})
    asyncio.run(leave())


def test_what_is_remembered_is_bounded(passwords: Passwords) -> None:
    passwords.use({"alice": hashed(b"secret"), "bob": hashed(b"secret")})
    run(passwords, header("alice", "secret"))
    for number in range(3 * MOST_REMEMBERED):
        passwords._right[str(number).encode()] = None
    assert run(passwords, header("bob", "secret")) == [Verdict.RIGHT]
    assert len(passwords._right) <= MOST_REMEMBERED


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        (None, None),
        ("", None),
        ("Basic", None),
        ("Bearer abc", None),
        ("Basic YTpi", ("a", b"b")),
        ("basic YTpi ", ("a", b"b")),
        ("BASIC YTpiOmM=", ("a", b"b:c")),
        ("Basic YWI=", None),
        ("Basic YTpi!", None),
        ("Basic /zpi", None),
        ("Basic " + "YTpi" * 1000, None),
    ],
)
def test_credentials_of_a_header(text: str | None, pair: tuple[str, bytes] | None) -> None:
    assert credentials(text) == pair


@given(st.text())
def test_any_header_is_credentials_or_none(text: str) -> None:
    credentials(text)
    credentials("Basic " + text)


def test_what_waits_is_dropped_at_the_end(passwords: Passwords) -> None:
    passwords.use({"alice": hashed(b"secret")})
    passwords.close()
    with pytest.raises(RuntimeError):
        run(passwords, header("alice", "secret"))
