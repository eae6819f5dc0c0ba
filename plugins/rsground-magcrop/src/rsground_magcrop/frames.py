"""Views made of views, with the way back to the original kept exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rsground.errors import ContractError
from rsground.geometry.affine import compose_affine
from rsground.types import Size, View
from rsground_magcrop.compose import Box, Pixels, Place, kept_pixels, resized, stitched
from rsground_magcrop.options import Options

_GAP = 1.5  # 4096 to 1344 pixels in half the time; on photographs about one grey level off


def scaled(view: View, size: Size, resample: str = "bilinear", gap: float | None = None) -> View:
    """Every image at ``size``; the last one's scale goes into ``to_original``."""
    height, width = view.size
    back = (width / size[1], 0.0, 0.0, 0.0, height / size[0], 0.0)
    images = tuple(resized(image, size, resample, gap) for image in view.images)  # type: ignore[arg-type]
    return replace(view, images=images, to_original=compose_affine(view.to_original, back))


def cropped(view: View, box: Box) -> View:
    """Only ``box`` (pixels of the last image) of every image; its corner goes into ``to_original``."""
    back = (1.0, 0.0, float(box[0]), 0.0, 1.0, float(box[1]))
    images = tuple(_cut(image, moved(box, view.size, _size(image))) for image in view.images)
    return replace(view, images=images, to_original=compose_affine(view.to_original, back))


def shrunk(view: View, options: Options) -> View:
    """I at 100 x 100 of Eq. 2; a view that is smaller already stays."""
    height, width = view.size
    side = options.image_side
    if options.keep_aspect:
        scale = side / max(height, width)
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
    else:
        size = (side, side)
    return scaled(view, (min(size[0], height), min(size[1], width)), options.resample)


def within(view: View, side: int | None, resample: str = "bilinear") -> View:
    """The view with a longer side of at most ``side``, aspect ratio kept."""
    if side is None or max(view.size) <= side:
        return view
    return scaled(view, _limited(view.size, side), resample, _GAP)


def with_stitched(view: View, places: Sequence[Place], options: Options) -> tuple[View, float]:
    """Eq. 2 on every image, in the view's own frame; and the pixels' worth of detail left of the last one."""
    images = tuple(
        stitched(
            image,
            [[moved(box, view.size, _size(image)) for box in place] for place in places],
            options.compression,
        )
        for image in view.images
    )
    return replace(view, images=images), kept_pixels(view.size, places, options.compression)


def with_crop(view: View, place: Place, options: Options) -> tuple[View, float]:
    """The first crop of every image alone, with the second one sharp in it; and the pixels' worth of detail left."""
    shown, inner = cropped(view, place[0]), place[1:]
    if not inner:
        return shown, float(shown.size[0] * shown.size[1])
    images = []
    for image, part in zip(view.images, shown.images, strict=True):
        left, top, *_ = moved(place[0], view.size, _size(image))
        own = [moved(box, view.size, _size(image)) for box in inner]
        placed = [(x1 - left, y1 - top, x2 - left, y2 - top) for x1, y1, x2, y2 in own]
        images.append(stitched(part, [placed], options.compression))
    return replace(shown, images=tuple(images)), kept_pixels(shown.size, [inner], options.compression)


def with_global(view: View, shown: View, options: Options) -> View:
    """The whole image, reduced, before the crop; answers are read in the frame of the last image, the crop.

    Raises:
        ContractError: the sample has two images already.
    """
    if len(view.images) > 1:
        raise ContractError(
            "composition='both' shows the whole image and the crop, so the sample must have one image, got "
            f"{len(view.images)}; use composition='stitch' or 'crop' for pairs of images"
        )
    size = _limited(view.size, options.global_side)
    return replace(shown, images=(resized(view.images[-1], size, options.resample), *shown.images))


def moved(box: Box, size: Size, other: Size) -> Box:
    """The same place in an image of another size (the earlier one of a pair); at least one pixel."""
    if size == other:
        return box
    down, across = other[0] / size[0], other[1] / size[1]
    x1, y1 = min(int(box[0] * across), other[1] - 1), min(int(box[1] * down), other[0] - 1)
    x2, y2 = max(x1 + 1, round(box[2] * across)), max(y1 + 1, round(box[3] * down))
    return (x1, y1, min(x2, other[1]), min(y2, other[0]))


def _limited(size: Size, side: int) -> Size:
    scale = min(1.0, side / max(size))
    return (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def _cut(image: Pixels, box: Box) -> Pixels:
    x1, y1, x2, y2 = box
    return image[y1:y2, x1:x2]


def _size(image: Pixels) -> Size:
    return (int(image.shape[0]), int(image.shape[1]))
