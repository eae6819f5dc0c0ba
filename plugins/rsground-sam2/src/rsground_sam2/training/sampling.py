"""Random crops of scenes and random prompts about the objects in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsground_sam2.training.cache import Pictures

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = {
    "box": 0.30,
    "point": 0.08,
    "points": 0.08,
    "mask": 0.08,
    "box+points": 0.26,
    "point token": 0.04,
    "box token": 0.16,
}
"""Kind of prompt → share of crops that ask that way. Tokens are what [SEG] heads give, one embedding with nothing
beside it: here a point's embedding, or a box's two corner embeddings added."""
LEAST = 6
"""Objects that show fewer pixels are not asked about."""
CELL = 8
"""Crops begin at multiples of this, which is one cell of the decoder's grid in a 256-pixel scene."""


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """Prompts of one kind about one crop, in pixels of the whole scene.

    Attributes:
        kind: one of :data:`KINDS`.
        pixels: ``(c, c, 3)`` uint8 crop.
        labels: ``(c, c)`` objects of the crop.
        corner: (x, y) of the crop's first pixel.
        targets: ``(N, c, c)`` bool masks.
        boxes: ``(N, 4)`` float32 or None.
        points: ``(N, P, 2)`` float32 or None.
        signs: ``(N, P)`` float32, 1 inside and 0 outside.
        masks: ``(N, 1, h, w)`` float32 coarse logits of the whole scene, or None.
    """

    kind: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    corner: tuple[int, int]
    targets: NDArray[np.bool_]
    boxes: NDArray[np.float32] | None = None
    points: NDArray[np.float32] | None = None
    signs: NDArray[np.float32] | None = None
    masks: NDArray[np.float32] | None = None


def sample(
    cache: Pictures, position: int, side: int, count: int, rng: np.random.Generator, kind: str | None = None
) -> Ask | None:
    """A random turn of a scene, a crop of it, and prompts; None where the crop is empty.

    Args:
        cache: scenes.
        position: of the scene in the cache.
        side: of the crop; the scene's own for all of it.
        count: prompts.
        rng: source of all chances.
        kind: of the prompts; None draws one.
    """
    pixels, labels = turned(cache.images[position], cache.labels[position], int(rng.integers(8)))
    return crop(pixels, labels, side, count, rng, kind)


def crop(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.uint16],
    side: int,
    count: int,
    rng: np.random.Generator,
    kind: str | None = None,
) -> Ask | None:
    """A random crop of a scene and prompts about it, as :func:`sample` has them."""
    free = (len(labels) - side) // CELL + 1
    x, y = int(rng.integers(free)) * CELL, int(rng.integers(free)) * CELL
    inside = labels[y : y + side, x : x + side]
    sizes = np.bincount(inside.ravel())
    sizes[0] = 0
    shown = np.flatnonzero(sizes >= LEAST)
    if not len(shown):
        return None
    chosen = rng.permutation(np.resize(rng.permutation(shown), count))
    if kind is None:
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    ask = make_ask(kind, pixels[y : y + side, x : x + side], inside, chosen, rng, (x, y))
    if ask.kind == "mask":
        coarse = np.stack([coarse_logits(labels == label, rng) for label in chosen])[:, None]
        return Ask(kind, ask.pixels, ask.labels, ask.corner, ask.targets, masks=coarse)
    return ask


def make_ask(
    kind: str,
    pixels: NDArray[np.uint8],
    labels: NDArray[np.uint16],
    chosen: NDArray[np.int64],
    rng: np.random.Generator,
    corner: tuple[int, int] = (0, 0),
    jitter: float = 0.08,
) -> Ask:
    """Prompts of one kind about the chosen labels of a crop; coarse masks are left to the caller."""
    targets = labels[None] == chosen[:, None, None].astype(labels.dtype)
    offset = np.array(corner, np.float32)
    boxes = points = signs = None
    if kind in ("box", "box+points", "box token"):
        boxes = np.stack([jittered(tight_box(mask), rng, jitter) for mask in targets]) + np.tile(offset, 2)
    if kind in ("point", "points", "point token", "box+points"):
        inner = 1 if kind in ("point", "point token") else int(rng.integers(1 if boxes is not None else 2, 4))
        outer = int(rng.integers(0, 2)) if boxes is not None else 0
        points = np.stack([spots(mask, inner, outer, rng) for mask in targets]) + offset
        signs = np.tile(np.array([1.0] * inner + [0.0] * outer, np.float32), (len(targets), 1))
    return Ask(kind, pixels, labels, corner, targets, boxes, points, signs)


def tight_box(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """x1, y1, x2, y2 around a mask that is not empty, half open."""
    xs, ys = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1], np.float32)


def jittered(box: NDArray[np.float32], rng: np.random.Generator, share: float) -> NDArray[np.float32]:
    """A box whose edges are off by a normal share of its sides, and by half a pixel."""
    width, height = box[2] - box[0], box[3] - box[1]
    scale = share * np.array([width, height, width, height]) + 0.5 * (share > 0)
    moved = box + np.clip(rng.normal(0, 1, 4), -2, 2) * scale
    first, second = np.minimum(moved[:2], moved[2:]), np.maximum(moved[:2], moved[2:])
    found: NDArray[np.float32] = np.concatenate([first, np.maximum(second, first + 1)]).astype(np.float32)
    return found


def spots(mask: NDArray[np.bool_], inner: int, outer: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """``(inner + outer, 2)`` centres of random pixels inside a mask, then outside of it but near."""
    ys, xs = np.nonzero(mask)
    core = np.nonzero(mask & _all_neighbours(mask))
    if len(core[0]) and rng.random() < 0.7:
        ys, xs = core
    picked = rng.integers(len(xs), size=inner)
    found = np.stack([xs[picked], ys[picked]], 1).astype(np.float32)
    if outer:
        x1, y1, x2, y2 = tight_box(mask)
        margin = 0.5 * max(x2 - x1, y2 - y1) + 3
        drawn = rng.uniform([x1 - margin, y1 - margin], [x2 + margin, y2 + margin], (12, 2))
        drawn = np.clip(np.floor(drawn), 0, [mask.shape[1] - 1, mask.shape[0] - 1]).astype(int)
        out = drawn[~mask[drawn[:, 1], drawn[:, 0]]]
        far = np.array([[0, 0]]) if not mask[0, 0] else np.argwhere(~mask)[:1, ::-1]
        rest = out if len(out) else far if len(far) else drawn
        found = np.concatenate([found, np.resize(rest, (outer, 2))])
    return (found + 0.5).astype(np.float32)


def coarse_logits(mask: NDArray[np.bool_], rng: np.random.Generator, cells: int = 32) -> NDArray[np.float32]:
    """``(cells, cells)`` logits of a scene's mask as another model would give them: soft or hard, and noisy."""
    step = mask.shape[0] // cells
    share = mask.reshape(cells, step, cells, step).mean((1, 3))
    style = rng.integers(3)
    if style == 0:
        soft = np.log(np.clip(share, 0.01, 0.99) / (1 - np.clip(share, 0.01, 0.99)))
        logits = soft * rng.uniform(0.7, 1.5) + rng.normal(0, 0.5, share.shape)
    else:
        threshold = rng.uniform(0.02, 0.3) if style == 1 else 0.5
        logits = (2.0 * (share > min(threshold, 0.9 * share.max())) - 1) * rng.uniform(3, 10)
    found: NDArray[np.float32] = logits.astype(np.float32)
    return found


def _all_neighbours(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the four neighbours are inside too."""
    wide = np.pad(mask, 1)
    inside: NDArray[np.bool_] = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return inside


def turned(
    pixels: NDArray[np.uint8], labels: NDArray[np.uint16], turn: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """One of the eight turns and mirrorings of a square."""
    if turn & 1:
        pixels, labels = pixels[:, ::-1], labels[:, ::-1]
    if turn & 2:
        pixels, labels = pixels[::-1], labels[::-1]
    if turn & 4:
        pixels, labels = pixels.swapaxes(0, 1), labels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels), np.ascontiguousarray(labels)
