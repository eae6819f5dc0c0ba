"""iSAID as downloaded: instance masks as colour images beside DOTA's images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from rsground.datasets.detection import check_grouping, detection_samples
from rsground.datasets.fields import RecordError
from rsground.datasets.layout import files_in, find_image
from rsground.datasets.masks import colour_codes, instance_rles, read_labels
from rsground.datasets.reader import Entry, Reader
from rsground.geometry import rle_to_hbb
from rsground.types import Region, Sample

_IDS, _COLOURS = "_instance_id_RGB.png", "_instance_color_RGB.png"
CATEGORIES = {
    (0, 0, 63): "ship",
    (0, 63, 63): "storage_tank",
    (0, 63, 0): "baseball_diamond",
    (0, 63, 127): "tennis_court",
    (0, 63, 191): "basketball_court",
    (0, 63, 255): "Ground_Track_Field",
    (0, 127, 63): "Bridge",
    (0, 127, 127): "Large_Vehicle",
    (0, 0, 127): "Small_Vehicle",
    (0, 0, 191): "Helicopter",
    (0, 0, 255): "Swimming_pool",
    (0, 191, 127): "Roundabout",
    (0, 127, 191): "Soccer_ball_field",
    (0, 127, 255): "plane",
    (0, 100, 155): "Harbor",
}
"""(R, G, B) of the colour masks → category, spelled as in the devkit's COCO files."""
_LABEL_OF = {red + 256 * green + 65536 * blue: name for (red, green, blue), name in CATEGORIES.items()}


class IsaidRaw(Reader):
    """iSAID's masks, whole images or patches.

    Layout: ``Pxxxx.png``, ``Pxxxx_instance_id_RGB.png`` and ``Pxxxx_instance_color_RGB.png`` in ``<split>/images/``;
    the published archives keep the masks in ``<split>/Instance_masks/images/`` (ids) and
    ``<split>/Semantic_masks/images/`` (colours) instead. The split ``all`` reads them from ``images/`` or the root.
    An id is R + 256 G + 65536 B, 0 is unlabelled; an instance's category is the colour at one of its pixels.

    Args:
        root, split, task, need_images: see :class:`~rsground.datasets.reader.Reader`; without images the masks tell
            the size.
        per: ``"object"``, ``"category"`` or ``"image"``: see :mod:`rsground.datasets.detection`.
    """

    name = "isaid-raw"
    splits = ("train", "val", "all")

    def __init__(
        self,
        root: str | Path | None,
        split: str = "val",
        *,
        per: str = "object",
        task: str | None = None,
        need_images: bool = True,
    ) -> None:
        super().__init__(root, split, task=task, need_images=need_images)
        self.per = check_grouping(per)
        place = "" if split == "all" else f"{split}/"
        plain = (f"{place}images", place.rstrip("/") or ".")
        self.images = self.layout.folder(*plain)
        self.ids = self.layout.folder(f"{place}Instance_masks/images", *plain)
        self.colours = self.layout.folder(f"{place}Semantic_masks/images", *plain)
        if not self.annotation_files():
            self.layout.file(f"{self.ids.relative_to(self.layout.root).as_posix()}/Pxxxx{_IDS}")

    def annotation_files(self) -> list[Path]:
        """The id masks (colour masks are not covered)."""
        return files_in(self.ids, _IDS)

    def _entries(self) -> Iterator[Entry]:
        for path in self.annotation_files():
            yield Entry(path, None, partial(self._samples, path))

    def _samples(self, path: Path) -> Iterator[Sample]:
        stem = path.name.removesuffix(_IDS)
        file = find_image(self.images, f"{stem}.png")
        size = self.image(file, f"{stem}.png").size if file is not None or self.need_images else None
        codes = colour_codes(read_labels(path, size), path.name)
        found = (int(codes.shape[0]), int(codes.shape[1]))
        image = self.image(file, f"{stem}.png", found)
        colour_file = self.colours / f"{stem}{_COLOURS}"
        colours = colour_codes(read_labels(colour_file, found), colour_file.name)
        regions: list[Region] = []
        for key, rle, (row, column) in instance_rles(codes):
            label = _LABEL_OF.get(int(colours[row, column]))
            if label is None:
                colour = short_colour(int(colours[row, column]))
                self.report(
                    colour_file, None, RecordError("unknown-category", f"instance {key} has the colour {colour}")
                )
                continue
            x1, y1, x2, y2 = (float(value) for value in np.asarray(rle_to_hbb(rle)))
            regions.append(Region(hbb=(x1, y1, x2, y2), rle=rle, label=label, attributes={"id": key}))
        if regions or self.per == "image":
            yield from detection_samples(image, stem, regions, self.per, self._task, {})


def short_colour(code: int) -> str:
    """A colour number as ``(R, G, B)``."""
    return f"({code % 256}, {code // 256 % 256}, {code // 65536})"
