"""What serve needs here, and what it may do once it runs: facts for ``check``. Its libraries are not imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection

from zonerss.kernel.privileges import CAPABILITIES, privileges
from zonerss.records.facts import Fact, Probe
from zonerss.serve.needs import KEPT, LOADING

LIBRARIES = {
    "aiohttp": "aiohttp",
    "prometheus_client": "prometheus_client",
    "bcrypt": "bcrypt",
    "yaml": "PyYAML",
}
"""Of the extra serve: modules and what they are called."""


def probe_serve(
    held: Collection[str] | None = None,
    is_there: Callable[[str], bool] = lambda module: importlib.util.find_spec(module) is not None,
) -> Probe:
    """
    Libraries, and the capabilities that serve keeps or gives up once everything is loaded.

    :param held: capabilities of ours; None: those of this thread
    :param is_there: whether a module can be imported
    """
    held = privileges().effective if held is None else held
    libraries = tuple(_library(name, is_there(module)) for module, name in LIBRARIES.items())
    kept = tuple(_capability(name, f"kept for {why}", name in held) for name, why in KEPT.items())
    until = tuple(
        _capability(name, f"given up after loading; until then for {why}", name in held)
        for name, why in LOADING.items()
        if name not in KEPT
    )
    others = Fact(
        "others", True, f"the {len(CAPABILITIES) - len(LOADING)} other capabilities are given up at once"
    )
    serves = all(fact.holds for fact in (*libraries, *kept))
    return Probe("serve", serves, (*libraries, *kept, *until, others))


def _library(name: str, is_there: bool) -> Fact:
    if is_there:
        return Fact(name.lower(), True, f"{name} can be imported")
    return Fact(name.lower(), False, f"{name} is missing", "pip install 'zonerss[serve]'")


def _capability(name: str, what: str, is_held: bool) -> Fact:
    if is_held:
        return Fact(name.lower(), True, f"{name} is {what}")
    return Fact(name.lower(), False, f"{name} is not ours ({what})", "run it with sudo, or grant it")
