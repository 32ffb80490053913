"""show --tree: the text and the document of a tree made by hand."""

from __future__ import annotations

from tests.unit import builders

from zonerss.census.tree import TreeNode
from zonerss.plain import replace
from zonerss.views.columns import RSS
from zonerss.views.terminal import Terminal, printing_to
from zonerss.views.tree import document, render, render_tree

KIB = 1024


def node(path: str, kib: int, own_kib: int, parent: str | None, processes: int = 1) -> TreeNode:
    usage = builders.usage(path, cgroup=path, anon_bytes=kib * KIB, file_bytes=0, shmem_bytes=0)
    return TreeNode(usage, parent, 0 if path == "/" else path.count("/"), own_kib * KIB, processes)


NODES = (
    node("/", 100, 0, None, 0),
    node("/a\x1b[2J", 10, 10, "/"),
    node("/b", 90, 5, "/"),
    node("/b/c", 80, 80, "/b"),
    node("/b/d", 20, 20, "/b"),
)


def names(lines: list[str]) -> list[tuple[str, str]]:
    """OWN and CGROUP of each line, with its indent."""
    at = lines[0].index("CGROUP")
    return [(line[:at].split()[-1] if line[:at].split() else "", line[at:]) for line in lines[1:]]


def test_children_below_their_parent_largest_first() -> None:
    assert names(render_tree(NODES, RSS)) == [
        ("–", "/"),
        ("5K", "  b"),
        ("80K", "    c"),
        ("20K", "    d"),
        ("10K", "  a\\x1b[2J"),
    ]


def test_memory_is_a_share_of_the_machines() -> None:
    machine = replace(builders.MACHINE, memory_bytes=1000 * KIB)
    header, root, *_ = render(builders.snapshot(machine=machine), NODES, RSS)
    assert root.split()[header.split().index("MEMORY")] == "10%"


def test_so_many_children_of_each() -> None:
    assert [name for _, name in names(render_tree(NODES, RSS, limit=1))] == [
        "/",
        "  b",
        "    c",
        "    and 1 smaller",
        "  and 1 smaller",
    ]


def test_a_tree_deeper_than_python_recurses() -> None:
    path, nodes = "", [node("/", 1, 0, None, 0)]
    for _ in range(3000):
        parent, path = path or "/", f"{path}/x"
        nodes.append(node(path, 1, 1, parent))
    assert len(render_tree(nodes, RSS)) == 3002


def test_the_document() -> None:
    read = document(builders.snapshot(), NODES)
    assert read["schema"] == "zonerss.snapshot/1"
    assert [(n["cgroup"], n["parent"]) for n in read["tree"]][2:] == [
        ("/b", "/"),
        ("/b/c", "/b"),
        ("/b/d", "/b"),
    ]
    assert (read["tree"][2]["own_rss_bytes"], read["tree"][2]["own_processes"]) == (5 * KIB, 1)


def test_a_container_has_its_name_beside_its_id() -> None:
    path = f"/machine.slice/libpod-{'0123456789abcdef' * 4}.scope"
    nodes = (node("/", 9, 0, None), node("/machine.slice", 9, 0, "/"), node(path, 9, 9, "/machine.slice"))
    component = path.rpartition("/")[2]
    assert names(render_tree(nodes, RSS, names={path: "web"}))[-1][1] == f"    web ({component})"
    assert names(render_tree(nodes, RSS))[-1][1] == f"    {component}"
    with printing_to(Terminal(200)):
        assert (
            names(render_tree(nodes, RSS, names={path: "web"}))[-1][1]
            == "    web (libpod-0123456789ab.scope)"
        )
        assert (
            names(render_tree(nodes, RSS, names={path: "0123456789ab"}))[-1][1]
            == "    libpod-0123456789ab.scope"
        )
