"""Answers are made once, and compressed once."""

from __future__ import annotations

import asyncio
import gzip
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
        assert encoded.plain(tail) == head + tail
        assert gzip.decompress(encoded.gzip(tail)) == head + tail
    assert gzip.decompress(encoded.gzip()) == head


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
            return {answer.plain() for answer in answers}

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
            return (await staying).plain()

    assert asyncio.run(ask()) == b"x"
