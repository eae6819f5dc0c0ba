"""Images with all their objects, which is what a detector is trained and scored on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from rsground.datasets.scenes import Scene
from rsground.datasets.scenes.dataset import SPLITS
from rsground.errors import UnknownNameError
from rsground.types import ImageRef, Region, Sample


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """One image and every object in it.

    Attributes:
        name: of the image, fit for a file name, unique among those it stands with.
        image: by reference.
        regions: one per object, with ``label`` (its category) and, in ``attributes``, ``difficult`` (0 or more).
        gsd: metres per pixel, None where unknown.
    """

    name: str
    image: ImageRef
    regions: tuple[Region, ...]
    gsd: float | None = None


def annotated_scenes(split: str, count: int, *, skip: int = 0, seed: int = 0, size: int = 256) -> Iterator[Annotated]:
    """Generated scenes. What can hardly be made out (hidden, cut, tiny) is marked difficult.

    Args:
        split: ``train``, ``val`` or ``test`` of the data set ``scenes``; their scenes never coincide.
        count: scenes.
        skip: scenes of the split to leave out first.
        seed, size: of the data set.

    Raises:
        UnknownNameError: there is no such split.
    """
    if split not in SPLITS:
        raise UnknownNameError("split of data set 'scenes'", split, SPLITS)
    for place in range(skip, skip + count):
        scene = Scene(seed, SPLITS[split][0] + place, size)
        regions = tuple(
            replace(item.region, label=item.category, attributes={"difficult": int(not item.certain)})
            for item in scene.graph.objects
        )
        yield Annotated(f"{split}-{seed}-{size}-{place:06d}", scene.image(split), regions, scene.plan.gsd)


def annotated_samples(samples: Iterable[Sample]) -> Iterator[Annotated]:
    """Samples of a detection data set, those of one image (they stand together) joined.

    A region that several samples ask for counts once.
    """
    for uri, group in groupby(samples, key=lambda sample: sample.image.uri):
        regions: dict[object, Region] = {}
        sample = None
        for sample in group:
            for region in sample.targets or ():
                regions.setdefault((region.label, region.quad, region.hbb, region.rle), region)
        if sample is not None:
            name = uri.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or uri
            yield Annotated(name, sample.image, tuple(regions.values()), sample.meta.get("gsd"))
