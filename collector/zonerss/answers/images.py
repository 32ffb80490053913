"""What containers of one image share: what one base image saves. Pure.

For an image I with the set of containers C(I), and a part of p pages that k of these map: together they take p where k
is 1 or more, apart they would take k * p, and share p where k is 2 or more. So what is saved is the sum of (k - 1) * p.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from zonerss.answers.share import SharedPart, held_together
from zonerss.plain import dataclass
from zonerss.records import Gap
from zonerss.records.files import Holding, Holdings
from zonerss.records.images import Image
from zonerss.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ImageUsage:
    """The containers of one image. In bytes."""

    image: Image | None
    """None: all containers, of whichever image, known or not."""
    containers: tuple[str, ...]
    """Their zones, in order of name."""
    rss_bytes: int
    """What they map, taken as one: each frame once."""
    apart_bytes: int
    """What they would take without sharing: the sum of their rss."""
    shared_bytes: int
    """What two or more of them map, each frame once."""
    numbers: tuple[int, ...] = ()
    """The parts that two or more of them map, by the numbers of their sets, largest first."""
    holds: Sequence[Holding] | None = None
    """What is shared, most first; None: not all of it was looked up."""

    @property
    def saved_bytes(self) -> int:
        """What sharing saves."""
        return self.apart_bytes - self.rss_bytes


@dataclass(frozen=True, slots=True)
class ImageSharing:
    """What containers of one image share, image by image."""

    snapshot: Snapshot
    images: Sequence[ImageUsage]
    """What saves most first."""
    total: ImageUsage
    """All containers: what they share although they are of different images counts, too."""
    unknown: tuple[str, ...]
    """The containers whose image is unknown."""
    gaps: tuple[Gap, ...]


def group_by_image(
    image_of: Mapping[str, Image | None], of_users: Collection[str] = ()
) -> dict[Image, tuple[str, ...]]:
    """
    The containers of each image. An image has one name, the first of those that its containers know.

    :param image_of: the image of each container; None: unknown
    :param of_users: containers of which a user's own engine tells: what it calls an image counts only where the
        system's tells of no container of it
    """
    found: dict[str, dict[str, Image]] = {}
    for zone, image in image_of.items():
        if image is not None:
            found.setdefault(image.key, {})[zone] = image
    return {_named(same, of_users): tuple(sorted(same)) for same in found.values()}


def _named(same: Mapping[str, Image], of_users: Collection[str]) -> Image:
    """The image of some containers, which is the same, by the name that counts."""
    told = [image for zone, image in same.items() if zone not in of_users] or [*same.values()]
    return Image(told[0].id, min((image.name for image in told if image.name), default=None))


def images_usage(
    parts: Sequence[SharedPart], containers: Mapping[Image, Sequence[str]], unknown: Sequence[str] = ()
) -> tuple[list[ImageUsage], ImageUsage]:
    """
    What the containers of each image share, what saves most first; and what all containers do.

    :param parts: of all zones, largest first
    :param containers: of each image
    :param unknown: containers whose image is unknown
    """
    images = [_usage(image, zones, parts) for image, zones in containers.items()]
    images.sort(
        key=lambda usage: (-usage.saved_bytes, -usage.rss_bytes, usage.image.key if usage.image else "")
    )
    return images, _usage(
        None, sorted({*unknown, *(one for zones in containers.values() for one in zones)}), parts
    )


def _usage(image: Image | None, containers: Sequence[str], parts: Sequence[SharedPart]) -> ImageUsage:
    members, together, apart, shared, numbers = set(containers), 0, 0, 0, []
    for part in parts:
        count = sum(zone in members for zone in part.zones)
        together += part.bytes if count else 0
        apart += count * part.bytes
        if count > 1:
            shared += part.bytes
            numbers.append(part.number)
    return ImageUsage(image, tuple(containers), together, apart, shared, tuple(numbers))


def named(usage: ImageUsage, parts: Mapping[int, SharedPart], holdings: Holdings) -> Sequence[Holding] | None:
    """What the containers of an image share, as far as it was looked up."""
    return held_together((parts[number] for number in usage.numbers), holdings)
