"""What check says of serve."""

from __future__ import annotations

from zonerss.kernel.privileges import CAPABILITIES
from zonerss.serve.needs import KEPT, LOADING
from zonerss.serve.probe import LIBRARIES, probe_serve
from zonerss.views.check import sentence


def test_root_with_everything() -> None:
    probe = probe_serve(CAPABILITIES, lambda name: True)
    assert probe.serves
    assert all(fact.holds for fact in probe.facts)
    names = [fact.name.upper() for fact in probe.facts if fact.name.startswith("cap_")]
    assert names == list(LOADING)
    for name, why in KEPT.items():
        assert f"{name} is kept for {why}" in map(sentence, probe.facts)
    assert "CAP_NET_BIND_SERVICE is given up after loading" in "\n".join(map(sentence, probe.facts))
    assert sentence(probe.facts[-1]) == "the 33 other capabilities are given up at once"


def test_what_is_missing_is_named_with_what_to_do() -> None:
    probe = probe_serve(CAPABILITIES, lambda name: name != "prometheus_client")
    assert not probe.serves
    assert probe.why_not
    assert sentence(probe.why_not) == "prometheus_client is missing: pip install 'zonerss[serve]'"
    probe = probe_serve({"CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH"}, lambda name: True)
    assert probe.why_not
    assert probe.why_not.name == "cap_sys_ptrace"
    assert "run it with sudo, or grant it" in sentence(probe.why_not)


def test_what_only_loading_needs_does_not_decide() -> None:
    assert probe_serve(KEPT, lambda name: True).serves


def test_the_libraries_are_those_that_the_extra_brings() -> None:
    """And those that the package imports: tests run where the extra is installed."""
    assert all(__import__(name) for name in LIBRARIES)
    assert probe_serve(CAPABILITIES).serves
