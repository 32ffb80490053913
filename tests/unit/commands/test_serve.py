"""The options of serve, before anything is opened."""

from __future__ import annotations

import argparse

import pytest

from zonerss.commands import main
from zonerss.commands.quantities import percent
from zonerss.commands.serve import _settings, pairs, prepare


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("0.5%", 0.005), ("100%", 1.0), ("400", 4.0), (" 2 %", 0.02)]
)
def test_a_share_is_in_percent_of_one_processor(text: str, share: float) -> None:
    assert percent(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--listen", "localhost:1"), "names are not looked up"),
        (("--max-cpu", "0%"), "is no share of a processor"),
        (("--max-cpu", "nan"), "is no share of a processor"),
        (("--max-cpu", "much"), "is no share of a processor"),
        (("--pairs", "-1"), "is not a whole number from 0 to 10000"),
        (("--interval", "10ms"), "10ms"),
        (("--by", "user", "--record", "x"), "takes no --by"),
        (("--basis", "incore", "--record", "x"), "no --basis"),
        (("--by", "user", "--by", "zone"), "takes one --by only"),
        (("--by", "colour"), "colour"),
        (("--basis", "all"), "there is no basis 'all'"),
        (("--keep", "7d"), "need --record FILE"),
        (("--max-size", "1G"), "need --record FILE"),
        (("--black-box", "5m/2s"), "needs --record FILE"),
        (("--black-box", "5s/2s", "--record", "x"), "is no black box"),
        (("--keep", "0", "--record", "x"), "argument --keep"),
        (("--keep", "59s", "--record", "x"), "argument --keep"),
        (("--lisen", ":1"), "did you mean --listen?"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--no-config", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_no_pairs_are_as_many_as_there_may_be() -> None:
    assert (pairs("0"), pairs("10000")) == (0, 10_000)


def test_a_recording_of_serve_has_the_limit_of_one_of_record() -> None:
    parser = argparse.ArgumentParser()
    prepare(parser)
    for words, most_bytes in (([], 1 << 30), (["--max-size", "2M"], 2 << 20)):
        settings = _settings(parser.parse_args(["--record", "x", *words]))
        assert (settings.keep_seconds, settings.max_bytes) == (None, most_bytes)
