"""Limits, pressure, kills and unmapped cache from recorded trees of both versions of cgroups."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.builders import usage

from zonerss.errors import KernelFormatError
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.controls import Controls, any_killed, parse_limit
from zonerss.kernel.roots import Roots
from zonerss.records import CONTROLS, Usage, Wanted

UNLIMITED_V1 = 9223372036854771712


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def told(
    root: Path, files: dict[str, str], version: int = 2, path: str = "/a/b", without: tuple[str, ...] = ()
) -> Usage:
    write(root, files)
    return Controls(MemoryHierarchy(version, root, "/")).tell(usage("z", cgroup=path), without)


def v1_stat(limit: int = UNLIMITED_V1, own: tuple[int, int] = (0, 0), whole: tuple[int, int] = (0, 0)) -> str:
    return (
        f"cache {own[1]}\nrss {own[0]}\nhierarchical_memory_limit {limit}\n"
        f"total_cache {whole[1]}\ntotal_rss {whole[0]}\ntotal_mapped_file 100\n"
    )


def test_no_limit(tmp_path: Path) -> None:
    found = told(tmp_path, {"a/memory.max": "max\n", "a/b/memory.max": "max\n", "a/b/memory.high": "max\n"})
    assert (found.limit_bytes, found.high_bytes) == (None, None)


def test_the_smallest_limit_on_the_way_to_the_root(tmp_path: Path) -> None:
    files = {
        "a/memory.max": "4096\n",
        "a/memory.high": "max\n",
        "a/b/memory.max": "8192\n",
        "a/b/memory.high": "0\n",
    }
    found = told(tmp_path, files)
    assert (found.limit_bytes, found.high_bytes) == (4096, 0)
    assert told(tmp_path, {"a/b/memory.max": "1024\n"}).limit_bytes == 1024
    assert told(tmp_path, {"memory.max": "512\n"}).limit_bytes == 512  # the root of a namespace has one


def test_a_limit_above_holds_where_the_controller_is_not_enabled_below(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    assert told(tmp_path, {"a/memory.max": "4096\n"}).limit_bytes == 4096


def test_each_cgroup_above_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, {"a/memory.max": "4096\n", "a/b/memory.max": "max\n", "a/c/memory.max": "max\n"})
    controls = Controls(MemoryHierarchy(2, tmp_path, "/"))
    assert controls.tell(usage("z", cgroup="/a/b")).limit_bytes == 4096
    (tmp_path / "a/memory.max").write_text("1\n")
    assert controls.tell(usage("z", cgroup="/a/c")).limit_bytes == 4096


def test_a_deep_cgroup(tmp_path: Path) -> None:
    write(tmp_path, {"x/memory.max": "4096\n"})
    assert told(tmp_path, {}, path="/x" + "/y" * 2000).limit_bytes == 4096


V1_TREE = {
    "memory.stat": v1_stat(65536),
    "a/memory.limit_in_bytes": "4096\n",
    "a/b/memory.limit_in_bytes": f"{UNLIMITED_V1}\n",
    "a/b/memory.stat": v1_stat(8192),
}


def limit(root: Path, path: str, *fields: str) -> int | None:
    wanted = Wanted(frozenset(("limit_bytes", *fields)))
    return Controls(MemoryHierarchy(1, root, "/"), wanted).tell(usage("z", cgroup=path)).limit_bytes


def test_limits_of_version_1_are_read_from_the_cgroup_up(tmp_path: Path) -> None:
    write(tmp_path, V1_TREE)
    assert limit(tmp_path, "/a/b") == 4096
    assert limit(tmp_path, "/c") == 65536  # of what lies above the root of our cgroup namespace
    assert limit(tmp_path, "/a/b", "cache_unmapped_bytes") == 8192  # memory.stat is read anyway


def test_limits_that_are_not_inherited_are_not_looked_for_above(tmp_path: Path) -> None:
    write(tmp_path, V1_TREE | {"memory.use_hierarchy": "0\n"})
    assert limit(tmp_path, "/a/b") == 8192


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("field", CONTROLS)
def test_only_what_is_wanted_is_told(field: str, version: int, tmp_path: Path) -> None:
    stat = v1_stat(4096, whole=(10, 20)) if version == 1 else "file 900\nfile_mapped 300\n"
    text = "some avg10=1.50 avg60=0 avg300=0 total=1\nfull avg10=0.25 avg60=0 avg300=0 total=1\n"
    files = {"memory.stat": stat, "memory.pressure": text, "memory.oom_control": "oom_kill 1\n"}
    files |= {"memory.events": "oom_kill 1\n", "memory.max": "1\n", "memory.high": "1\n"}
    files |= {"cgroup.stat": "nr_dying_descendants 5\n", "memory.limit_in_bytes": "4096\n"}
    write(tmp_path / "a", files)
    hierarchy = MemoryHierarchy(version, tmp_path, "/")
    every = Controls(hierarchy).tell(usage("z", cgroup="/a"))
    told = Controls(hierarchy, Wanted(frozenset([field]))).tell(usage("z", cgroup="/a"))
    together = ("pressure_some", "pressure_full")
    for name in CONTROLS:
        is_told = name == field or {name, field} <= {*together}
        assert getattr(told, name) == (getattr(every, name) if is_told else None)
    assert Controls(hierarchy, Wanted(frozenset())).tell(told) is told


def test_what_could_not_matter_is_not_looked_for(tmp_path: Path) -> None:
    write(tmp_path, {"a/memory.stat": v1_stat(whole=(1 << 20, 1 << 20))})

    def told(charged: int, least: int) -> tuple[int | None, int | None]:
        wanted = Wanted(frozenset(CONTROLS), least)
        z = usage("z", cgroup="/a", charged_bytes=charged, anon_bytes=0, file_bytes=0, shmem_bytes=1000)
        found = Controls(MemoryHierarchy(1, tmp_path, "/"), wanted).tell(z)
        return found.cache_unmapped_bytes, found.dead_cgroups_bytes

    assert told(10_000, 0) == ((1 << 20) - 100, 2 << 20)
    assert told(10_000, 9001) == (None, 2 << 20)
    assert told(9_000, 9001) == (None, None)


def test_version_1_tells_the_smallest_limit_itself(tmp_path: Path) -> None:
    assert told(tmp_path, {"a/b/memory.stat": v1_stat(4096)}, 1).limit_bytes == 4096
    assert told(tmp_path, {"a/b/memory.stat": v1_stat()}, 1).limit_bytes is None
    assert told(tmp_path, {}, 1, "/gone").limit_bytes is None


def test_pressure(tmp_path: Path) -> None:
    text = "some avg10=1.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=1\n"
    found = told(tmp_path, {"a/b/memory.pressure": text})
    assert (found.pressure_some, found.pressure_full) == (1.5, 0.25)
    assert told(tmp_path, {}, path="/a").pressure_some is None


def test_kills_of_version_2_less_those_of_zones_below(tmp_path: Path) -> None:
    files = {"a/memory.events": "oom 9\noom_kill 7\n", "a/b/memory.events": "oom_kill 3\n"}
    assert told(tmp_path, files, path="/a").oom_kills == 7
    assert told(tmp_path, files, path="/a", without=("/a/b",)).oom_kills == 4
    local = MemoryHierarchy(2, tmp_path, "/", local_events=True)
    assert Controls(local).tell(usage("z", cgroup="/a"), ("/a/b",)).oom_kills == 7


def test_where_nobody_was_killed_no_cgroup_is_asked(tmp_path: Path) -> None:
    roots = Roots(proc=tmp_path)
    assert any_killed(roots)
    (tmp_path / "vmstat").write_text("nr_free_pages 1\noom_kill 8\nx 0\n")
    assert any_killed(roots)
    (tmp_path / "vmstat").write_text("nr_free_pages 1\noom_kill 0\nx 0\n")
    assert not any_killed(roots)
    write(tmp_path, {"a/memory.events": "oom_kill 7\n"})
    found = Controls(MemoryHierarchy(2, tmp_path, "/"), killed=False).tell(usage("z", cgroup="/a"))
    assert found.oom_kills == 0


def test_kills_of_version_1_are_its_own(tmp_path: Path) -> None:
    files = {
        "a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
        "a/b/memory.oom_control": "oom_kill 3\n",
    }
    assert told(tmp_path, files, 1, "/a", ("/a/b",)).oom_kills == 5
    assert told(tmp_path, {"c/memory.oom_control": "under_oom 0\n"}, 1, "/c").oom_kills is None


@pytest.mark.parametrize(
    ("version", "stat"),
    [
        (2, "file 900\nfile_mapped 300\nswapcached 50\n"),
        (1, "cache 1\nmapped_file 0\ntotal_cache 900\ntotal_mapped_file 300\ntotal_swapcached 50\n"),
    ],
)
def test_cache_that_nobody_maps(tmp_path: Path, version: int, stat: str) -> None:
    assert told(tmp_path, {"a/memory.stat": stat}, version, "/a").cache_unmapped_bytes == 550
    inner = stat.replace("900", "500")
    found = told(tmp_path, {"a/b/memory.stat": inner}, version, "/a", ("/a/b",))
    assert found.cache_unmapped_bytes == 550 - 150


def test_no_cache_on_no_bill(tmp_path: Path) -> None:
    write(tmp_path, {"memory.stat": "file 900\nfile_mapped 300\n"})
    root = usage("r", cgroup="/", charged_bytes=None)
    assert Controls(MemoryHierarchy(2, tmp_path, "/")).tell(root).cache_unmapped_bytes is None


def test_a_figure_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    found = told(tmp_path, {"a/memory.stat": "file 900\n"}, path="/a")
    assert found.cache_unmapped_bytes is found.oom_kills is found.dying_cgroups is None
    assert found.dead_cgroups_bytes is None


def test_what_dead_cgroups_of_version_1_hold(tmp_path: Path) -> None:
    files = {
        "a/memory.stat": v1_stat(own=(10, 20), whole=(1000, 2000)),
        "a/b/memory.stat": v1_stat(own=(1, 1), whole=(300, 400)),
        "a/b/c/memory.stat": v1_stat(own=(299, 399), whole=(299, 399)),
    }
    assert told(tmp_path, files, 1, "/a").dead_cgroups_bytes == 3000 - 30 - 700
    assert told(tmp_path, files, 1, "/a/b").dead_cgroups_bytes == 0


def test_dying_cgroups_of_version_2(tmp_path: Path) -> None:
    assert (
        told(tmp_path, {"a/b/cgroup.stat": "nr_descendants 1\nnr_dying_descendants 5\n"}).dying_cgroups == 5
    )
    newer = "nr_dying_descendants 5\nnr_dying_subsys_memory 7\n"
    assert told(tmp_path, {"a/b/cgroup.stat": newer}).dying_cgroups == 7


def test_nothing_is_told_of_what_is_no_cgroup(tmp_path: Path) -> None:
    write(tmp_path, {"memory.stat": v1_stat(4096)})
    user = usage("u", cgroup=None)
    assert Controls(MemoryHierarchy(1, tmp_path, "/")).tell(user) is user
    root = usage("r", cgroup="/")
    assert Controls(MemoryHierarchy(1, tmp_path, "/")).tell(root) is root
    without_controller = MemoryHierarchy(2, tmp_path, "/", charges=False)
    assert Controls(without_controller).tell(root) is root


def test_a_cgroup_outside_of_what_is_mounted_is_unknown(tmp_path: Path) -> None:
    assert told(tmp_path, {"a/memory.max": "1\n"}, path="/../a") == usage("z", cgroup="/../a")


def test_files_of_another_form_stop(tmp_path: Path) -> None:
    assert parse_limit(b"max\n") is None
    assert parse_limit(b"") is None
    with pytest.raises(KernelFormatError, match=r"memory\.max: not a number"):
        parse_limit(b"-1\n")
    with pytest.raises(KernelFormatError, match=r"/a/b: memory\.events:1: not of the form"):
        told(tmp_path, {"a/b/memory.events": "oom_kill many\n"})


@given(st.binary() | st.text("max0123456789 \n-+_٣").map(str.encode))
@example(b"9" * 5000)
def test_any_limit_is_bytes_or_none_or_not_understood(text: bytes) -> None:
    with contextlib.suppress(KernelFormatError):
        limit = parse_limit(text)
        assert (limit is None) == (text.strip() in (b"", b"max"))
