"""How well a model answers, by kind of prompt and size of object."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 - everyone's name for it

from rsground_sam2.image_model import ImageModel, Pyramid
from rsground_sam2.training.asking import answer, crops_to_pixels
from rsground_sam2.training.cache import Pictures
from rsground_sam2.training.sampling import KINDS, LEAST, Ask, coarse_logits, make_ask, tight_box

BANDS = {"<8": (0, 8), "8-16": (8, 16), "16-32": (16, 32), ">32": (32, 1 << 30)}
"""Name → longer side of the object's box in pixels, half open."""
FILLED = "filled box"
BATCH = 16


def score(
    model: ImageModel, cache: Pictures, scenes: int, kinds: tuple[str, ...] = tuple(KINDS), seed: int = 1
) -> dict[str, dict[str, float]]:
    """Mean IoU of whole scenes' objects: kind of prompt → band of sizes (and ``all``, ``count``, ``best of 3``).

    The mask is the single one; ``best of 3`` takes the alternative of the highest predicted quality. Boxes are
    jittered as in training. With ``box`` comes :data:`FILLED`, what the box itself would score as a mask.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
    found |= {FILLED: []} if "box" in kinds else {}
    model.eval()
    zoom = model.config.image_size // cache.size
    with torch.inference_mode():
        for position in cache.ready()[:scenes].tolist():
            labels = cache.labels[position]
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            shown = np.flatnonzero(sizes >= LEAST)
            if not len(shown):
                continue
            whole = Ask("", cache.images[position], labels, (0, 0), np.zeros((0, 1, 1), np.bool_))
            image = model.features(crops_to_pixels([whole], zoom))[0]
            for kind in kinds:
                for start in range(0, len(shown), BATCH):
                    ask = make_ask(kind, cache.images[position], labels, shown[start : start + BATCH], rng)
                    if kind == "mask":
                        coarse = np.stack([coarse_logits(mask, rng) for mask in ask.targets])[:, None]
                        ask = Ask(kind, ask.pixels, labels, (0, 0), ask.targets, masks=coarse)
                    found[kind] += _scored(model, image, ask, zoom)
                    found.get(FILLED, []).extend(filled(ask) if kind == "box" else [])
    return {kind: _banded(rows) for kind, rows in found.items()}


def filled(ask: Ask) -> list[tuple[float, float, float]]:
    """(longer side, IoU of the rounded box, the same) of each prompt."""
    rows = []
    boxes = np.zeros((0, 4)) if ask.boxes is None else np.round(ask.boxes)
    for target, (x1, y1, x2, y2) in zip(ask.targets, boxes.astype(int).tolist(), strict=True):
        mask = np.zeros_like(target)
        mask[max(y1, 0) : max(y2, y1 + 1), max(x1, 0) : max(x2, x1 + 1)] = True
        reached = float((mask & target).sum() / (mask | target).sum())
        rows.append((_longer(target), reached, reached))
    return rows


def _longer(target: NDArray[np.bool_]) -> float:
    """Longer side of a mask's box."""
    box = tight_box(target)
    return float(max(box[2] - box[0], box[3] - box[1]))


def _scored(model: ImageModel, image: Pyramid, ask: Ask, zoom: int) -> list[tuple[float, float, float]]:
    """(longer side, IoU of the single mask, IoU of the best of three) of each prompt."""
    logits, quality = answer(model, image, ask, zoom)
    best = 1 + quality[:, 1:].argmax(1)
    pair = torch.stack([logits[:, 0], logits[torch.arange(len(best)), best]], 1)
    masks = (F.interpolate(pair, ask.labels.shape, mode="bilinear", align_corners=False) > 0).numpy()
    rows = []
    for target, two in zip(ask.targets, masks, strict=True):
        shared, union = (two & target).sum((1, 2)), (two | target).sum((1, 2))
        single, three = (shared / union).tolist()
        rows.append((_longer(target), single, three))
    return rows


def _banded(rows: list[tuple[float, float, float]]) -> dict[str, float]:
    table = np.array(rows).reshape(-1, 3)
    means = {}
    for name, (least, most) in BANDS.items():
        inside = table[(table[:, 0] >= least) & (table[:, 0] < most)]
        if len(inside):
            means[name] = round(float(inside[:, 1].mean()), 4)
    if len(table):
        means["all"] = round(float(table[:, 1].mean()), 4)
        means["best of 3"] = round(float(table[:, 2].mean()), 4)
    return {**means, "count": len(table)}
