"""Which part of a view each visual token stands for, family by family.

Boxes (x1, y1, x2, y2) are in pixels of the last view image, half open and clipped to it; the rows of tokens that stand
for no part of it (line ends, separators, padding, earlier images) are NaN. A model may answer for itself with
a method ``visual_boxes(view_size) -> (V, 4)`` for one image of that (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.errors import ContractError
from rsground.models.encoding import Encoded

Boxes = NDArray[np.float32]
Size = tuple[int, int]


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
        made = [np.asarray(model.visual_boxes(size), np.float32) for size in sizes]
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


def grid(rows: int, columns: int, left: float, top: float, width: float, height: float) -> Boxes:
    """Boxes ``(rows * columns, 4)`` that divide a rectangle, row by row."""
    xs = left + np.arange(columns + 1) * (width / columns)
    ys = top + np.arange(rows + 1) * (height / rows)
    x1, y1 = np.meshgrid(xs[:-1], ys[:-1])
    x2, y2 = np.meshgrid(xs[1:], ys[1:])
    return np.stack([x1, y1, x2, y2], axis=-1).reshape(-1, 4).astype(np.float32)


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
        np.concatenate([_nothing(marks), grid(side, side, 0, 0, w, h), _canvas(config, (h, w), None)]) for h, w in sizes
    ]


def _onevision(config: Any, processor: Any, row: Encoded, sizes: Sequence[Size]) -> list[Boxes]:
    """LLaVA-OneVision: as LLaVA-NeXT with a bound on the canvas; several images are one padded square each."""
    side = math.isqrt(processor.num_image_tokens)
    if len(sizes) == 1:
        ((h, w),) = sizes
        most = int(str(config.vision_aspect_ratio).removeprefix("anyres_max_"))
        return [np.concatenate([grid(side, side, 0, 0, w, h), _canvas(config, (h, w), most)])]
    made = []
    for h, w in sizes:
        edge = max(h, w)
        square = grid(side, side, -((edge - w) // 2), -((edge - h) // 2), edge, edge)
        made.append(np.concatenate([square, _nothing(1)]))
    return made


def _canvas(config: Any, size: Size, most: int | None) -> Boxes:
    """Features of the tiles that show the image, row by row, each row followed by its line end."""
    tile = config.vision_config.image_size
    side = tile // config.vision_config.patch_size
    patch = tile / side
    target = _best_canvas(size, config.image_grid_pinpoints)
    # Where the image lies in the canvas: resized to fit, the rest padded on both sides.
    scale = min(target[1] / size[1], target[0] / size[0])
    wide = target[1] / size[1] < target[0] / size[0]
    fit = (
        min(math.ceil(size[0] * scale), target[0]) if wide else target[0],
        target[1] if wide else min(math.ceil(size[1] * scale), target[1]),
    )
    shift = ((target[0] - fit[0]) // 2, (target[1] - fit[1]) // 2)
    # The cells that are kept, as the model counts them.
    cells = (target[0] // tile * side, target[1] // tile * side)
    if size[1] / size[0] > cells[1] / cells[0]:
        drop = ((cells[0] - int(round(size[0] * (cells[1] / size[1]), 7))) // 2, 0)
    else:
        drop = (0, (cells[1] - int(round(size[1] * (cells[0] / size[0]), 7))) // 2)
    kept = (cells[0] - 2 * drop[0], cells[1] - 2 * drop[1])
    rows, columns = kept
    if most is not None and (ratio := math.sqrt(kept[0] * kept[1] / (most * side**2))) > 1.1:
        rows, columns = int(kept[0] // ratio), int(kept[1] // ratio)
    down, across = size[0] / fit[0], size[1] / fit[1]
    found = grid(
        rows,
        columns,
        (drop[1] * patch - shift[1]) * across,
        (drop[0] * patch - shift[0]) * down,
        kept[1] * patch * across,
        kept[0] * patch * down,
    )
    lines = np.full((rows, columns + 1, 4), np.nan, np.float32)
    lines[:, :-1] = found.reshape(rows, columns, 4)
    return lines.reshape(-1, 4)


def _best_canvas(size: Size, canvases: Sequence[Sequence[int]]) -> Size:
    """The canvas that keeps most of the image's pixels, and of those the one that wastes least."""
    best, rank = (0, 0), (-1.0, 0.0)
    for height, width in canvases:
        scale = min(width / size[1], height / size[0])
        kept = min(int(size[1] * scale) * int(size[0] * scale), size[0] * size[1])
        if (kept, kept - height * width) > rank:
            best, rank = (int(height), int(width)), (kept, kept - height * width)
    return best


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
    cropped = int(row.visual.sum()) > length * len(sizes)
    made = []
    for height, width in sizes:
        columns, rows = _arrangement((height, width), images) if cropped else (1, 1)
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


def _arrangement(size: Size, images: Any) -> tuple[int, int]:
    """Columns and rows of tiles whose aspect is closest to the image's; of equal ones the larger, if it is no more than
    twice as large as the image."""
    least, most = images.min_patches, images.max_patches
    pairs = [(c, r) for c in range(1, most + 1) for r in range(1, most + 1) if least <= c * r <= most]
    tile = _get(images.size, "height") * _get(images.size, "width")
    aspect, best, off = size[1] / size[0], (1, 1), math.inf
    for columns, rows in sorted(pairs, key=lambda pair: pair[0] * pair[1]):
        away = abs(aspect - columns / rows)
        larger = away == off and size[0] * size[1] > 0.5 * tile * columns * rows
        if away < off or larger:
            best, off = (columns, rows), away
    return best


_RULES: dict[str, Callable[[Any, Any, Encoded, Sequence[Size]], list[Boxes]]] = {
    "llava": _llava,
    "llava_next": _tiled,
    "llava_onevision": _onevision,
    "qwen2_vl": _merged,
    "qwen2_5_vl": _merged,
    "qwen3_vl": _merged,
    "internvl": _patches,
}
