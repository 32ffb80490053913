"""The unit of the capper, and the example of a file of caps: what they say is understood."""

from __future__ import annotations

import re
from pathlib import Path

from zonerss.cap.rules import CAPS, Spelling, parse_caps
from zonerss.commands import parse
from zonerss.commands.quantities import duration, size
from zonerss.kernel.capper import DIRECTORY
from zonerss.kernel.privileges import CAPABILITIES

PACKAGING = Path(__file__).resolve().parents[3] / "packaging"
UNIT = (PACKAGING / "systemd" / "zonerss-cap.service").read_text("utf-8")


def setting(name: str) -> str:
    (found,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(found)


def test_the_unit_runs_what_there_is() -> None:
    program, verb, *words = setting("ExecStart").split()
    assert (program, verb) == ("zonerss", "cap")
    args = parse(verb, [*words, "--no-config"])
    assert (args.enforce, args.caps_file, args.caps) == (True, CAPS, [])
    assert setting("ConditionPathExists") == CAPS
    assert f"/run/{setting('RuntimeDirectory')}" == DIRECTORY
    assert (
        setting("RuntimeDirectoryPreserve") == "yes"
    )  # the lock of a capper that runs outlives a failed start


def test_the_unit_has_few_capabilities_and_says_what_for() -> None:
    kept = setting("CapabilityBoundingSet").split()
    assert set(kept) < set(CAPABILITIES)
    assert len(kept) == 7
    for name in kept:
        assert re.search(rf"^# {name.removeprefix('CAP_')} +\w", UNIT, re.MULTILINE), name
    for name in ("NoNewPrivileges", "PrivateTmp"):
        assert setting(name) == "yes"
    assert setting("ProtectSystem") == "strict"


def test_the_example_does_nothing_as_it_is_and_is_right_where_it_is_used() -> None:
    text = (PACKAGING / "caps.toml").read_text("utf-8")
    spelling = Spelling(size, duration)
    assert parse_caps(text, "caps.toml", spelling).rules == ()
    used = re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)
    caps = parse_caps(used, "caps.toml", spelling)
    assert (caps.threshold, caps.cold_seconds) == (0.8, 3.0)
    found = caps.of(["postgresql@15.service", "web.service", "batch-1.service"], must_match=True)
    assert set(found) == {"web.service", "batch-1.service"}
    assert found["web.service"].command == ("/usr/local/bin/tell", "over")
