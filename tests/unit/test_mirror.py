"""Each module has a test file of its name in tests/unit, or a line here that says where it is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PROJECT = TESTS.parents[1]
PACKAGE = PROJECT / "collector" / "zonerss"
MODULES = sorted(
    str(path.relative_to(PACKAGE))
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py" or path.stat().st_size
)

ELSEWHERE = {
    "__init__.py": "tests/unit/test_api.py",
    "__main__.py": "tests/live/test_bad_input.py",
    "errors.py": "tests/unit/commands/test_main.py",
    "commands/parser.py": "tests/unit/commands/test_main.py",
    "commands/verbs.py": "tests/unit/commands/test_main.py",
    "views/autopsy.py": "tests/unit/commands/test_autopsy.py",
    "views/past.py": "tests/unit/commands/test_past.py",
    "history/regroup.py": "tests/unit/history/test_replay.py",
    "evidence.py": "tests/live/test_explain.py",
    "snapshot.py": "tests/live/test_known_answers.py",
    "history/content.py": "tests/unit/history/test_keeper.py",
    "history/identities.py": "tests/unit/history/test_keeper.py",
    "history/schema.py": "tests/unit/history/test_recording.py",
    "kernel/keeping.py": "tests/unit/history/test_keeper.py",
    "kernel/capper.py": "tests/unit/cap/test_status.py",
    "records/__init__.py": "tests/unit/census/test_usage.py",
    "records/bills.py": "tests/unit/kernel/test_memcg.py",
    "records/files.py": "tests/unit/walk/test_files.py",
    "records/shmem.py": "tests/unit/kernel/test_shmem.py",
    "records/kills.py": "tests/unit/history/test_blackbox.py",
    "records/facts.py": "tests/unit/walk/test_probe.py",
    "records/machine.py": "tests/unit/kernel/test_meminfo.py",
    "records/images.py": "tests/unit/kernel/test_images.py",
    "records/mappings.py": "tests/unit/answers/test_frames.py",
    "_core/__init__.py": "tests/unit/census/test_census.py",
    "_core/build.py": "tests/unit/bpf/test_wire.py",
    "census/kinds.py": "tests/unit/census/test_census.py",
    "census/parts.py": "tests/unit/census/test_census.py",
    "kernel/engines.py": "tests/unit/kernel/test_names.py",
    "kernel/btf.py": "tests/live/test_motion.py",
    "kernel/processors.py": "tests/unit/motion/test_settle.py",
    "kernel/roots.py": "tests/unit/zones/test_ways.py",
    "kernel/roster.py": "tests/unit/kernel/test_events.py",
    "walk/frames.py": "tests/live/test_laws.py",
    "walk/arming.py": "tests/live/test_wss.py",
    "walk/cold.py": "tests/live/test_cap_hands.py",
    "walk/sources.py": "tests/unit/walk/test_pagetable.py",
    "motion/window.py": "tests/live/test_motion.py",
    "cap/__init__.py": "tests/unit/cap/test_status.py",
    "cap/foretold.py": "tests/live/test_cap.py",
    "answers/explain/account.py": "tests/live/test_explain.py",
    "answers/verdict.py": "tests/unit/answers/test_report.py",
    "answers/explain/records.py": "tests/unit/views/test_explain.py",
    "zones/plan.py": "tests/unit/census/test_both_ways.py",
    "commands/__init__.py": "tests/unit/commands/test_main.py",
    "commands/options.py": "tests/unit/commands/test_main.py",
    "schemas/": "tests/unit/test_schemas.py",
    "serve/style.py": "tests/unit/serve/test_page.py",
    "serve/connections.py": "tests/unit/serve/test_app.py",
    "serve/needs.py": "tests/live/test_serve.py",
    "views/footer.py": "tests/unit/views/test_show.py",
    "views/top_app.py": "tests/unit/views/test_top.py",
    "views/html/sections.py": "tests/unit/views/html/test_page.py",
    "views/html/tables.py": "tests/unit/views/html/test_page.py",
    "views/html/zones.py": "tests/unit/views/html/test_page.py",
    "views/explain/chain.py": "tests/unit/views/test_explain.py",
    "views/explain/difference.py": "tests/unit/commands/test_past.py",
    "views/explain/getvmusage.py": "tests/unit/views/test_explain.py",
    "views/explain/machine.py": "tests/unit/views/test_explain.py",
    "views/explain/tmpfs.py": "tests/unit/views/test_explain.py",
    "views/explain/numbers.py": "tests/unit/views/test_explain.py",
    "views/explain/payers.py": "tests/unit/views/test_explain.py",
    "views/explain/process.py": "tests/unit/views/test_explain.py",
}
"""Module, or directory of modules: where it is tested."""


def is_elsewhere(module: str) -> bool:
    return module in ELSEWHERE or f"{Path(module).parent}/" in ELSEWHERE


def own_test(module: str) -> Path:
    path = Path(module)
    return TESTS / path.parent / f"test_{path.name}"


@pytest.mark.parametrize("module", MODULES)
def test_each_module_has_its_test(module: str) -> None:
    assert own_test(module).exists() or is_elsewhere(module), (
        f"{module}: write {own_test(module).relative_to(PROJECT)}, or say in ELSEWHERE where it is tested"
    )


@pytest.mark.parametrize("module", ELSEWHERE)
def test_what_is_tested_elsewhere_is_so(module: str) -> None:
    assert any(one == module or (one.startswith(module) and module.endswith("/")) for one in MODULES), (
        f"{module} is no module: take its line out"
    )
    assert not own_test(module).exists(), f"{module} has a test of its name: take its line out"
    assert (PROJECT / ELSEWHERE[module]).exists()
