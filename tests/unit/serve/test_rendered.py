"""Answers are made once, and compressed once."""

from __future__ import annotations

import asyncio
import gzip
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import look

from zonerss.serve.look import Look
from zonerss.serve.rendered import Encoded, Rendered


@given(st.binary(), st.lists(st.binary()))
def test_what_is_added_is_behind_what_was_encoded_whatever_was_added_before(
    head: bytes, tails: list[bytes]
) -> None:
    encoded = Encoded(head)
    for tail in tails:
        assert b"".join(encoded.plain(tail)) == head + tail
        assert gzip.decompress(b"".join(encoded.gzip(tail))) == head + tail
    assert gzip.decompress(b"".join(encoded.gzip())) == head


def test_what_is_the_same_for_all_is_one_object() -> None:
    encoded = Encoded(random.Random(1).randbytes(1 << 20))
    for way in (encoded.plain, encoded.gzip):
        first, second = way(b"one"), way(b"another")
        assert first[0] is second[0]
        assert sum(map(len, second[1:])) < 1 << 17  # what zlib had not given out yet is in there


def test_fifty_who_ask_at_once_get_one_answer() -> None:
    made: list[str] = []
    spent: list[float] = []

    def make(found: Look) -> bytes:
        made.append(threading.current_thread().name)
        return found.build.version.encode()

    async def ask() -> set[bytes]:
        with ThreadPoolExecutor(4) as executor:
            rendered = Rendered(look(), {"a": make}, executor, spent.append)
            answers = await asyncio.gather(*(rendered.get("a") for _ in range(50)))
            assert (await rendered.get("a")) is answers[0]
            return {b"".join(answer.plain()) for answer in answers}

    assert asyncio.run(ask()) == {b"0.1.0"}
    assert len(made) == len(spent) == 1
    assert made != [threading.current_thread().name]


def test_one_who_leaves_does_not_take_the_answer_with_him() -> None:
    go_on = threading.Event()

    def make(_: Look) -> bytes:
        go_on.wait()
        return b"x"

    async def ask() -> bytes:
        with ThreadPoolExecutor(1) as executor:
            rendered = Rendered(look(), {"a": make}, executor, lambda _: None)
            leaving = asyncio.ensure_future(rendered.get("a"))
            staying = asyncio.ensure_future(rendered.get("a"))
            await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            go_on.set()
            return b"".join((await staying).plain())

    assert asyncio.run(ask()) == b"x"
