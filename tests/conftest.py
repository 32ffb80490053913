"""Live tests are marked, skipped by named causes only, and required where ZONERSS_LIVE=require says so. All JSON that
tests read is held to its schema. A test that leaves something behind fails."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from tests import contract
from tests.leftovers import Leftovers
from tests.live import needs

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("zonerss", deadline=None)
hypothesis.settings.load_profile("zonerss")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
LIVE = (Path(__file__).parent / "live", Path(__file__).parent / "guest")


def is_live(path: Path) -> bool:
    return any(path.is_relative_to(directory) for directory in LIVE)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Leftovers(), "leftovers")
    json.loads = contract.loads
    # Whoever ends the tests politely gets what they made removed, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell starts what goes to the background with SIGINT and SIGQUIT ignored, nohup with SIGHUP; what the tests
    # start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.environ["ZONERSS_CONFIG"] = ""  # what this machine is configured to is none of the tests' business


@pytest.fixture(scope="session", autouse=True)
def mounts_in_our_directory_are_ours(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytestconfig.pluginmanager.get_plugin("leftovers").watch.places.append(
        str(tmp_path_factory.getbasetemp())
    )


def pytest_unconfigure() -> None:
    json.loads = contract.PLAIN_LOADS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_live(item.path):
            item.add_marker(pytest.mark.live)
    # The environment first: when it is at fault, its failure explains the others.
    items.sort(key=lambda item: item.path.name != "test_environment.py")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if is_live(item.path) and item.path.name != "test_environment.py" and os.geteuid() != 0:
        needs.skip("needs_root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return forbid_skip(item.path, report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return forbid_skip(collector.path, report)


def forbid_skip(path: Path, report: Report) -> Report:
    """A skipped live test is a failed one where all are required, unless its cause is allowed by name."""
    if not (report.skipped and needs.is_required() and is_live(path)) or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not needs.is_allowed(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped, but ZONERSS_LIVE=require: {reason}"
    return report
