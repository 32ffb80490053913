"""The cgroup tree as indented rows, and as a flat list for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zonerss.census.tree import TreeNode
from zonerss.records.machine import Machine
from zonerss.snapshot import Snapshot
from zonerss.views.columns import ZONE_COLUMNS, Column, cell, of_machine, shown, sizes
from zonerss.views.document import Listing, gap_list, header, usage_fields
from zonerss.views.footer import footer
from zonerss.views.table import render_rows
from zonerss.views.terminal import here
from zonerss.views.text import encodable, printable

_ID = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}")


def render(
    snapshot: Snapshot,
    nodes: Sequence[TreeNode],
    sort: Column,
    limit: int | None = None,
    in_bytes: bool = False,
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """The tree, and the last lines; parameters as for :func:`render_tree`."""
    tree = render_tree(nodes, sort, limit, in_bytes, names, snapshot.machine)
    return [*tree, "", *footer(snapshot, in_bytes)]


def render_tree(
    nodes: Sequence[TreeNode],
    sort: Column,
    limit: int | None = None,
    in_bytes: bool = False,
    names: Mapping[str, str] | None = None,
    machine: Machine | None = None,
) -> list[str]:
    """
    One row for each cgroup, its children below it, largest first.

    :param nodes: parents first
    :param limit: at most so many children of each cgroup; a row of its own counts the others
    :param names: what people call the containers, by cgroup
    :param machine: of whose memory MEMORY is a share; None: it is unknown
    """
    columns = of_machine(shown(ZONE_COLUMNS, [node.usage for node in nodes]), machine)
    size = sizes(in_bytes)
    rows = []
    for depth, node, left_out in _ordered(nodes, sort, limit):
        indent = "  " * depth
        if node is None:
            rows.append([*("" for _ in columns), "", f"{indent}and {left_out} smaller"])
            continue
        name = _called(node.usage.zone, (names or {}).get(node.usage.zone))
        rows.append(
            [
                *(cell(column, node.usage, in_bytes) for column in columns),
                size(node.own_rss_bytes) if node.own_processes else "–",
                indent + name,
            ]
        )
    headers = [*(column.header for column in columns), "OWN", "CGROUP"]
    return render_rows(headers, rows, [*(column.left for column in columns), False, True])


def _called(path: str, name: str | None) -> str:
    """The last component of a cgroup's path, on a terminal with an id in 12 digits, behind the name if it has one."""
    component = printable(path.rpartition("/")[2] or "/")
    if here().width is not None:
        component = _ID.sub(r"\1", component)
    return component if name is None or name in component else f"{printable(name)} ({component})"


def _ordered(
    nodes: Sequence[TreeNode], sort: Column, limit: int | None
) -> Iterator[tuple[int, TreeNode | None, int]]:
    """(depth, node, 0), or (depth, None, how many were left out); without recursion, however deep it is."""
    children: dict[str | None, list[TreeNode]] = {}
    for child in nodes:
        children.setdefault(child.parent, []).append(child)
    todo: list[tuple[int, TreeNode | None, int]] = [(0, root, 0) for root in children.get(None, [])]
    while todo:
        depth, node, left_out = todo.pop()
        yield depth, node, left_out
        if node is None:
            continue
        below = children.get(node.usage.zone, [])
        known = [child for child in below if sort.value(child.usage) is not None]
        known.sort(key=lambda child: sort.value(child.usage), reverse=sort.descends)
        below = known + [child for child in below if sort.value(child.usage) is None]
        shown = below[:limit]
        if len(shown) < len(below):
            todo.append((depth + 1, None, len(below) - len(shown)))
        todo.extend((depth + 1, child, 0) for child in reversed(shown))


def document(snapshot: Snapshot, nodes: Sequence[TreeNode]) -> dict[str, Any]:
    """
    ``zonerss.snapshot/1`` by cgroup, and beside its zones "tree": every cgroup above them, too, with all that is
    below it (docs/tree.md). A flat list, parents first: cgroups may be nested deeper than JSON parsers accept.
    """
    fields = {
        "total": usage_fields(snapshot.total),
        "zones": [usage_fields(usage) for usage in snapshot.zones],
        "tree": [
            usage_fields(node.usage)
            | {
                "parent": None if node.parent is None else encodable(node.parent),
                "depth": node.depth,
                "own_rss_bytes": node.own_rss_bytes,
                "own_processes": node.own_processes,
            }
            for node in nodes
        ],
        "gaps": gap_list(snapshot.gaps),
    }
    return Listing(header("zonerss.snapshot/1", snapshot) | fields)
