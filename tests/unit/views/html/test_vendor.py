"""ECharts is byte for byte what was published, with its licences, and can stand in a page."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from zonerss.views.html.page import ECHARTS

PROJECT = Path(__file__).resolve().parents[4]


def test_the_files_are_those_that_were_fetched() -> None:
    rows = [line.split() for line in (ECHARTS / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in rows} == {path.name for path in ECHARTS.iterdir()} - {"SHA256SUMS"}
    assert {name: sha256((ECHARTS / name).read_bytes()).hexdigest() for _, name in rows} == {
        name: digest for digest, name in rows
    }


def test_the_version_is_the_pinned_one() -> None:
    pins = dict(
        re.findall(r"^(\w+) (\S+) sha512-[\w+/]{86}==$", (ECHARTS / "PACKAGES").read_text(), re.MULTILINE)
    )
    assert set(pins) == {"echarts", "zrender"}
    assert f'.version="{pins["echarts"]}"' in (ECHARTS / "echarts.min.js").read_text()
    row = next(
        line for line in (PROJECT / "docs/dependencies.md").read_text().splitlines() if "ECharts" in line
    )
    assert pins["echarts"] in row


def test_the_licences_are_there() -> None:
    assert "Apache License" in (ECHARTS / "LICENSE").read_text()
    assert "Apache ECharts" in (ECHARTS / "NOTICE").read_text()
    assert "Redistribution and use" in (ECHARTS / "LICENSE-zrender").read_text()
    assert "Redistribution and use" in (ECHARTS / "LICENSE-d3").read_text()


def test_it_can_stand_in_a_script_element() -> None:
    code = (ECHARTS / "echarts.min.js").read_bytes()
    assert not code.decode("utf-8").startswith("\ufeff")
    assert b"\r" not in code
    assert b"\0" not in code
    assert not re.search(rb"</script|<!--", code, re.IGNORECASE)
