"""Images of containers are looked for once."""

from __future__ import annotations

from zonerss.errors import CannotServe
from zonerss.history.images import Find, KnownImages
from zonerss.records import Zone
from zonerss.records.images import Image

ONE, TWO, POD = "1" * 64, "2" * 64, "3" * 64
WEB = Zone("web", f"/docker/{ONE}", ONE, "docker")
HERS = Zone("hers", f"/user.slice/user-1000.slice/libpod-{TWO}.scope", TWO, "podman")
OTHERS = (
    Zone("pod", f"/kubepods/pod{POD}", POD, "pod"),
    Zone("conmon", f"/libpod_parent/{POD}/conmon", POD, "monitor"),
    Zone("global", "/"),
    Zone("ssh.service", "/system.slice/ssh.service", None, "service"),
    Zone("root/session-1", "/user.slice/user-0.slice/session-1.scope", "session-1.scope", "session"),
)


class Engines:
    """What engines know, and how often they were read, and of whom."""

    def __init__(self, **known: Image) -> None:
        self.known, self.asked, self.reads = known, list[tuple[str, int | None]](), 0

    def ask(self) -> Find:
        self.reads += 1
        return self._find

    def _find(self, id: str, uid: int | None) -> Image | None:
        self.asked.append((id[0], uid))
        return self.known.get(f"of{id[0]}")


def test_only_containers_are_asked_for_and_each_once() -> None:
    engines, images = Engines(of1=Image("a", "web:1"), of2=Image(None, "job:2")), KnownImages()
    for _ in range(3):
        assert images.of((WEB, HERS, *OTHERS), engines.ask) == {
            ONE: Image("a", "web:1"),
            TWO: Image(None, "job:2"),
        }
    assert (sorted(engines.asked, key=str), engines.reads) == ([("1", None), ("2", 1000)], 1)
    assert images.of(OTHERS, engines.ask) == {}
    assert engines.reads == 1


def test_what_was_not_found_is_looked_for_when_there_is_a_new_container() -> None:
    engines, images = Engines(), KnownImages()
    assert images.of((WEB,), engines.ask) == {}
    engines.known |= {"of1": Image("a", None), "of2": Image("b", None)}
    assert images.of((WEB,), engines.ask) == {}
    assert images.of((WEB, HERS), engines.ask) == {ONE: Image("a", None), TWO: Image("b", None)}
    assert engines.reads == 2


def test_what_cannot_be_asked_is_not_known() -> None:
    def refuse() -> Find:
        raise CannotServe("no")

    assert KnownImages().of((WEB,), refuse) is None
    assert KnownImages().of(OTHERS, refuse) == {}
