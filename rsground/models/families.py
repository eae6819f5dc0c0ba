"""Which part of a view each visual token stands for, family by family.

Boxes (x1, y1, x2, y2) are in pixels of the last view image, half open and clipped to it; the rows of tokens that stand
for no part of it (line ends, separators, padding, earlier images) are NaN. A model may answer for itself with a method
``visual_boxes(view_size) -> (V, 4)`` for one image of that (height, width); where its tokens depend on what the image
shows, the method takes ``pixel_values``, of that image, too.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rsground.errors import ContractError
from rsground.models.encoding import Encoded
from rsground.models.tiles import Boxes, Size, arrangement, canvas, grid


def visual_boxes(model: Any, processor: Any, row: Encoded) -> Boxes:
    """``(V, 4)`` float32, one row per visual token of an encoded prompt, in the order they stand in.

    Raises:
        ContractError: the family is not known here and the model has no ``visual_boxes``, or its rule gives another
            number of tokens than the model was shown.
    """
    count = int(row.visual.sum())
    if row.prompt.view is None or count == 0:
        return np.zeros((0, 4), np.float32)
    sizes: list[Size] = [(image.shape[0], image.shape[1]) for image in row.prompt.view.images]
    if hasattr(model, "visual_boxes"):
        made = _own(model, row, sizes)
    else:
        kind = model.config.model_type
        if kind not in _RULES:
            raise ContractError(
                f"which part of the image a visual token of {kind!r} stands for is not known; known: "
                f"{', '.join(sorted(_RULES))}, and any model with a method visual_boxes(view_size)"
            )
        made = _RULES[kind](model.config, processor, row, sizes)
    found: Boxes = np.concatenate([*(np.full_like(each, np.nan) for each in made[:-1]), _clipped(made[-1], sizes[-1])])
    if found.shape != (count, 4):
        raise ContractError(
            f"{type(model).__name__} was shown {count} visual tokens, but its boxes are {found.shape}: its processor "
            f"is set up in a way that is not known here"
        )
    return found


def _own(model: Any, row: Encoded, sizes: Sequence[Size]) -> list[Boxes]:
    """What the model says itself, image by image."""
    looks = "pixel_values" in inspect.signature(model.visual_boxes).parameters
    made = []
    for at, size in enumerate(sizes):
        pixels = (
            {"pixel_values": row.extras["pixel_values"][at : at + 1].to(model.device, model.dtype)} if looks else {}
        )
        made.append(np.asarray(model.visual_boxes(size, **pixels), np.float32))
    return made


def _clipped(boxes: Boxes, size: Size) -> Boxes:
    """Boxes within the image; those of padding become NaN."""
    found: Boxes = boxes.clip(0, np.array([size[1], size[0], size[1], size[0]], np.float32))
    found[~(found[:, :2] < found[:, 2:]).all(axis=1)] = np.nan
    return found


def _nothing(count: int) -> Boxes:
    return np.full((count, 4), np.nan, np.float32)


def _llava(config: Any, processor: Any, row: Encoded, sizes: Sequence[Size]) -> list[Boxes]:
    """One grid over what is left after padding, resizing and cutting out the middle."""
    del row
    images, patch = processor.image_processor, config.vision_config.patch_size
    marks = processor.num_additional_image_tokens - (config.vision_feature_select_strategy == "default")
    return [np.concatenate([_nothing(marks), _cropped(images, patch, size)]) for size in sizes]


def _cropped(images: Any, patch: int, size: Size) -> Boxes:
    """Patches of a processed image in pixels of the image it was made from."""
    height, width = map(float, size)
    left = top = 0.0
    if getattr(images, "do_pad", False):
        side = max(size)
        left, top = -float((side - size[1]) // 2), -float((side - size[0]) // 2)
        height = width = float(side)
    made = _resized((height, width), images.size) if images.do_resize else (int(height), int(width))
    down, across = height / made[0], width / made[1]
    if getattr(images, "do_center_crop", False):
        crop = (_get(images.crop_size, "height"), _get(images.crop_size, "width"))
        top += _cut(made[0], crop[0]) * down
        left += _cut(made[1], crop[1]) * across
        made = crop
    rows, columns = made[0] // patch, made[1] // patch
    return grid(rows, columns, left, top, columns * patch * across, rows * patch * down)


def _resized(size: tuple[float, float], rule: Any) -> Size:
    shortest = _get(rule, "shortest_edge")
    if not shortest:
        return (_get(rule, "height"), _get(rule, "width"))
    short, long = min(size), max(size)
    made = int(shortest * long / short)
    return (shortest, made) if size[0] <= size[1] else (made, shortest)


def _cut(made: int, crop: int) -> int:
    """Pixels cut off before the crop; negative where it is padded instead."""
    return (made - crop) // 2 if made >= crop else -((crop - made) // 2)


def _get(rule: Any, name: str) -> int:
    found = rule.get(name) if isinstance(rule, dict) else getattr(rule, name, None)
    return int(found) if found else 0


def _tiled(config: Any, processor: Any, row: Encoded, sizes: Sequence[Size]) -> list[Boxes]:
    """LLaVA-NeXT: the whole image, then the best canvas of tiles without its padding, a mark after each line."""
    marks = processor.num_additional_image_tokens - (processor.vision_feature_select_strategy == "default")
    side = config.vision_config.image_size // config.vision_config.patch_size
    return [
        np.concatenate([_nothing(marks), grid(side, side, 0, 0, w, h), canvas(config, (h, w), None)]) for h, w in sizes
    ]


def _onevision(config: Any, processor: Any, row: Encoded, sizes: Sequence[Size]) -> list[Boxes]:
    """LLaVA-OneVision: as LLaVA-NeXT with a bound on the canvas; several images are one padded square each."""
    side = math.isqrt(processor.num_image_tokens)
    if len(sizes) == 1:
        ((h, w),) = sizes
        most = int(str(config.vision_aspect_ratio).removeprefix("anyres_max_"))
        return [np.concatenate([grid(side, side, 0, 0, w, h), canvas(config, (h, w), most)])]
    made = []
    for h, w in sizes:
        edge = max(h, w)
        square = grid(side, side, -((edge - w) // 2), -((edge - h) // 2), edge, edge)
        made.append(np.concatenate([square, _nothing(1)]))
    return made


def _merged(config: Any, processor: Any, row: Encoded, sizes: Sequence[Size]) -> list[Boxes]:
    """Qwen-VL: one grid over the whole image, resized without regard to its own aspect by less than a cell."""
    del config
    merge = processor.image_processor.merge_size
    shapes = row.extras["image_grid_thw"].tolist()
    return [grid(h // merge, w // merge, 0, 0, size[1], size[0]) for (_, h, w), size in zip(shapes, sizes, strict=True)]


def _patches(config: Any, processor: Any, row: Encoded, sizes: Sequence[Size]) -> list[Boxes]:
    """InternVL: tiles of equal size, row by row, then the whole image where there is more than one."""
    del config
    images, length = processor.image_processor, processor.image_seq_length
    side = math.isqrt(length)
    tile = _get(images.size, "height") * _get(images.size, "width")
    cropped = int(row.visual.sum()) > length * len(sizes)
    made = []
    for height, width in sizes:
        columns, rows = (
            arrangement((height, width), images.min_patches, images.max_patches, tile) if cropped else (1, 1)
        )
        step = (height / rows, width / columns)
        parts = [
            grid(side, side, column * step[1], line * step[0], step[1], step[0])
            for line in range(rows)
            for column in range(columns)
        ]
        if len(parts) > 1:
            parts.append(grid(side, side, 0, 0, width, height))
        made.append(np.concatenate(parts))
    return made


_RULES: dict[str, Callable[[Any, Any, Encoded, Sequence[Size]], list[Boxes]]] = {
    "llava": _llava,
    "llava_next": _tiled,
    "llava_onevision": _onevision,
    "qwen2_vl": _merged,
    "qwen2_5_vl": _merged,
    "qwen3_vl": _merged,
    "qwen3_vl_moe": _merged,
    "qwen3_5": _merged,
    "qwen3_5_moe": _merged,
    "internvl": _patches,
}
