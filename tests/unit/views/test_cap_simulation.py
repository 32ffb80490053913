"""The picture of what a cap would have done."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cap import recorded
from tests.unit.cap.samples import M

from zonerss.cap.playback import Replayed, replay
from zonerss.cap.records import Cap
from zonerss.views.cap_simulation import chart, document, over_seconds, render
from zonerss.views.terminal import Terminal, printing_to
from zonerss.views.text import fit


def held(cap_mib: int = 400, zone: str = "web") -> Replayed:
    return replay(recorded.growing(), lambda _: {zone: Cap(zone, cap_mib * M)})


def picture() -> list[str]:
    """The one of docs/cap-policy.md."""
    found = replay(recorded.growing(), lambda _: {"web": Cap("web", 400 * M)}, cold_share=0.6)
    with printing_to(Terminal(width=110)):
        return list(fit(render(found), 110))


def test_the_page_has_this_picture() -> None:
    """To see it: python -m tests.unit.views.test_cap_simulation."""
    page = (Path(__file__).parents[3] / "docs" / "cap-policy.md").read_text("utf-8")
    assert "\n".join(f"    {line}".rstrip() for line in picture()) in page


def test_the_picture_stays_at_the_cap() -> None:
    lines = chart(held().simulated, "web", 60)
    assert len(lines) == 9
    assert lines[0].startswith("      600M ")
    at_cap = next(line for line in lines if "cap 400M" in line)
    assert at_cap.split("cap 400M ")[1][:5] == "–––––"
    above = lines[: lines.index(at_cap) - 1]
    assert all("█" not in line for line in above)
    assert all("░" in line for line in above)
    assert "░" not in lines[-1]
    assert lines[-1].count("█") == 60


def test_a_zone_below_its_cap_is_drawn_below_it() -> None:
    lines = chart(held(1200).simulated, "web", 60)
    assert "cap 1.2G" in lines[0]
    assert not any("░" in line for line in lines)
    assert any("nothing would have been done" in line for line in render(held(1200)))


def test_what_is_told() -> None:
    lines = render(held())
    assert lines[0] == "web"
    assert any("paged out" in line for line in lines)
    assert any(line.startswith("ZONE") and "OVER WITHOUT" in line for line in lines)
    assert "100 % of what only the zone maps had been cold" in lines[-2]
    assert lines[-2].endswith("So it is the most that would have been paged out.")


def test_it_is_the_most_only_where_all_was_taken_to_be_cold() -> None:
    for share, text in ((0.0, "0"), (0.6, "60"), (0.9999, "99.99")):
        found = replay(recorded.growing(2), lambda _: {}, cold_share=share)
        (remark,) = [line for line in render(found) if "had been cold" in line]
        assert f"if {text} % of what only" in remark
        assert remark.endswith("and all of it mapped once.")


def test_no_line_of_the_picture_is_wider_than_the_terminal() -> None:
    with printing_to(Terminal(width=60)):
        picture = render(held())[1:11]
    assert max(map(len, picture)) <= 60


def test_seconds_above_the_cap() -> None:
    found = held().simulated
    without = over_seconds(found, "web", with_cap=False)
    assert without == 180  # 450, 500, 550 and 600 MiB at last, at the end of the recording
    assert 0 < over_seconds(found, "web", with_cap=True) < without


def test_the_document() -> None:
    found = document(held())
    (zone,) = found["zones"]
    assert zone["points"][0]["time"] == found["began"]
    assert zone["points"][-1]["rss_bytes_without_cap"] == 600 * M
    assert zone["pout_bytes"] == zone["points"][-1]["pout_bytes"]


def test_no_zone_has_a_cap() -> None:
    lines = render(replay(recorded.growing(2), lambda _: {}))
    assert lines[-2].startswith("From 2 snapshots of vm.")


if __name__ == "__main__":
    print(*picture(), sep="\n")
