"""docs/history.md: its decoder, which knows nothing of zonerss, and its tables."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.unit.history.moments import Host

from zonerss.history import content
from zonerss.history.keeper import Keeper
from zonerss.history.recording import Recording
from zonerss.history.schema import APPLICATION_ID, SCHEMA, SCHEMA_VERSION
from zonerss.units import PAGE_BYTES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "history.md").read_text("utf-8")


def test_the_decoder_tells_the_same(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(program.splitlines()) <= 60
    assert "zonerss" not in program
    path, host = tmp_path / "a.zrec", Host(7, 20)
    with Keeper(path) as keeper:
        for number in range(5):
            keeper.add(host.moment(10 * number))
            host.drift()
    (tmp_path / "decode.py").write_text(program)
    ran = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "decode.py"), str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    told = [line.split("\t") for line in ran.stdout.splitlines()]
    with Recording(path) as recording:
        expected = [
            [moment.snapshot.began.isoformat(), usage.zone, str(usage.rss_bytes // PAGE_BYTES)]
            for moment in recording.moments()
            for usage in sorted(moment.snapshot.zones, key=lambda usage: usage.zone)
        ]
    assert told == expected


def test_every_table_column_and_figure_is_described() -> None:
    for name, statement in SCHEMA.items():
        if statement.startswith("CREATE TABLE"):
            assert f"| {name} " in PAGE
            for column in re.findall(r"[(,] *([a-z_]+)", statement.partition("(")[2]):
                assert re.search(rf"\b{column}\b", PAGE), column
    for name in (*content.ZONE_FIGURES, *content.PROCESS_FIGURES, *content.MACHINE_FIGURES):
        assert re.search(rf"\b{name}\b", PAGE), name
    assert f"{APPLICATION_ID:#x}" in PAGE
    versions = re.findall(r"^\| (\d+) \| ", PAGE, re.MULTILINE)
    assert [int(version) for version in versions] == list(range(1, SCHEMA_VERSION + 1))
