"""What each verb answers, as its document, of whatever takes snapshots: of now, or of a recording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zonerss.answers.explain.account import Ledger, pay_matrix
from zonerss.census.tree import tree_usage
from zonerss.commands import files, share, whatif, zone
from zonerss.snapshot import Observer
from zonerss.views import ps as ps_view
from zonerss.views import show as show_view
from zonerss.views import tree as tree_view
from zonerss.views.explain import chain as chain_view
from zonerss.views.explain import payers as payers_view
from zonerss.views.files import document as files_document
from zonerss.views.images import document as images_document
from zonerss.views.share import document as share_document
from zonerss.views.whatif import document as whatif_document
from zonerss.views.zone import document as zone_document


def explained(observer: Observer, by: str, name: str) -> dict[str, Any]:
    snapshot = observer.take((by,), "mapped", (name,))
    return chain_view.document(Ledger(snapshot, snapshot.ask().payers()).account(snapshot.zones[0]))


def shared(observer: Observer, by: str) -> dict[str, Any]:
    return share_document(share.measure(observer, by))


def freed(observer: Observer, by: str, names: list[str]) -> dict[str, Any]:
    snapshot, answer, gaps = whatif.measure(observer, by, names)
    return whatif_document(snapshot, answer, None, gaps)


def mapped(observer: Observer, by: str, name: str | None) -> dict[str, Any]:
    snapshot, usages, gaps, full = files.measure(observer, by, name)
    return files_document(snapshot, full, usages, gaps)


def tree_of(observer: Observer) -> dict[str, Any]:
    snapshot = observer.take(("cgroup",), controls=True)
    return tree_view.document(snapshot, tree_usage(snapshot.parts, snapshot.members, snapshot.ask().charged))


def listed(observer: Observer, by: str) -> dict[str, Any]:
    snapshot = observer.take((by,), processes=True)
    processes = snapshot.processes or ()
    tasks = [member.task for member in snapshot.members]
    return ps_view.document(snapshot, processes, snapshot.ask().command_lines(tasks))


def paid(observer: Observer, by: str) -> dict[str, Any]:
    matrix = pay_matrix(observer, by)
    assert matrix is not None
    return payers_view.document(matrix, None)


QUESTIONS: dict[str, Callable[[Observer, str, list[str]], dict[str, Any]]] = {
    "show": lambda seen, by, names: show_view.document(seen.take((by,), controls=True)),
    "show ZONE": lambda seen, by, names: show_view.document(seen.take((by,), zone=names, controls=True)),
    "show of two": lambda seen, by, names: show_view.document(seen.take((by, "cgroup"), controls=True)),
    "show -a": lambda seen, by, names: show_view.document(seen.take((by,), processes=True, controls=True)),
    "show --tree": lambda seen, by, names: tree_of(seen),
    "zone": lambda seen, by, names: zone_document(zone.measure(seen, by, names, None, None)),
    "ps": lambda seen, by, names: listed(seen, by),
    "share": lambda seen, by, names: shared(seen, by),
    "share ZONE": lambda seen, by, names: share_document(share.measure_own(seen, by, names)),
    "share --by-image": lambda seen, by, names: images_document(share.measure_images(seen)),
    "files": lambda seen, by, names: mapped(seen, by, None),
    "files ZONE": lambda seen, by, names: mapped(seen, by, names[0]),
    "whatif": freed,
    "explain": lambda seen, by, names: explained(seen, by, names[0]),
    "explain --payers": lambda seen, by, names: paid(seen, by),
}
