"""The names of the zones that have processes, one a line: what shells complete with (packaging/completions).

No verb: `zonerss --names` is asked at every TAB, so it imports little and reads no page table. It needs no privilege.
"""

from __future__ import annotations

from collections.abc import Sequence

from zonerss.commands import configuration_file
from zonerss.commands.verbs import VERBS
from zonerss.kernel.cgroupfs import find_memory_hierarchy
from zonerss.kernel.names import host_names
from zonerss.kernel.roots import HOST, Roots
from zonerss.kernel.roster import Roster
from zonerss.views.text import printable
from zonerss.zones.plan import place_tasks
from zonerss.zones.rules import Rule
from zonerss.zones.ways import parse_by, zoner


def run() -> int:
    """Print them, as a command without options would call the zones."""
    print("".join(f"{printable(name)}\n" for name in zone_names(*_configured())), end="")
    return 0


def zone_names(by: str = "zone", rules: Sequence[Rule] = (), roots: Roots = HOST) -> tuple[str, ...]:
    """
    The names, sorted.

    :raises UsageError: an unknown by
    :raises CannotServe: there is no /proc
    """
    way = parse_by(by)
    listed = Roster(roots).read(find_memory_hierarchy(roots), way.needs_uids)
    placed = place_tasks(listed.tasks, [zoner(way, host_names(roots), rules)])
    return tuple(sorted({zones[0].name for _, zones in placed}))


def _configured() -> tuple[str, tuple[Rule, ...]]:
    place = configuration_file(())
    if place is None:
        return "zone", ()
    from zonerss.commands.configuration import read_configuration
    from zonerss.commands.options import RuleFiles, read_rules

    found = read_configuration(*place, VERBS)
    options = found.of("show")
    by = options["by"].value if "by" in options else "zone"
    named = options["rules"].value if "rules" in options else None
    return by[0] if isinstance(by, list) else by, read_rules(RuleFiles(named, found.rules))
