"""Contact sheets: many scenes on one picture, to judge them by eye.

``python -m rsground.datasets.scenes.sheet docs/images/scenes.jpg`` writes the one in the documentation.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from rsground.datasets.scenes.archetypes import ARCHETYPES
from rsground.datasets.scenes.scene import Scene
from rsground.geometry.rle import rle_to_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAP = 4
"""Pixels between two scenes."""
PATIENCE = 200
"""Scenes looked at before nearly empty ones are taken, too."""


def contact_sheet(scenes: list[Scene], columns: int, *, outlines: bool = False) -> NDArray[np.uint8]:
    """``(H, W, 3)`` uint8: the scenes row by row on white; with ``outlines`` every object's mask has a bright edge."""
    size = scenes[0].size
    rows = -(-len(scenes) // columns)
    sheet = np.full((rows * (size + GAP) - GAP, columns * (size + GAP) - GAP, 3), 255, np.uint8)
    for place, scene in enumerate(scenes):
        y, x = (place // columns) * (size + GAP), (place % columns) * (size + GAP)
        pixels = scene.render()
        sheet[y : y + size, x : x + size] = outlined(scene, pixels) if outlines else pixels
    return sheet


def outlined(scene: Scene, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels with the edge of every object's mask drawn in."""
    shown = pixels.copy()
    for item in scene.graph.objects:
        assert item.region.rle is not None
        mask = rle_to_mask(item.region.rle)
        inner = mask.copy()
        inner[1:] &= mask[:-1]
        inner[:-1] &= mask[1:]
        inner[:, 1:] &= mask[:, :-1]
        inner[:, :-1] &= mask[:, 1:]
        shown[mask & ~inner] = (255, 230, 0) if item.certain else (255, 60, 200)
    return shown


def one_of_each(seed: int, size: int, per_kind: int) -> list[Scene]:
    """Scenes of every archetype, ``per_kind`` of each, by the lowest indices that show something."""
    found: dict[str, list[Scene]] = {name: [] for name in ARCHETYPES}
    index = 0
    while any(len(scenes) < per_kind for scenes in found.values()):
        scene = Scene(seed, index, size)
        kept = found[scene.plan.archetype]
        if len(kept) < per_kind and (len(scene.graph.objects) >= 4 or index > PATIENCE):
            kept.append(scene)
        index += 1
    return [scenes[k] for k in range(per_kind) for scenes in found.values()]


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m rsground.datasets.scenes.sheet", description=__doc__)
    parser.add_argument("out", type=Path, help="picture to write (.jpg or .png)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--size", type=int, default=256, help="pixels a side of each scene")
    parser.add_argument("--per-kind", type=int, default=1, help="scenes of each kind of place")
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--outlines", action="store_true", help="draw the edges of all masks")
    parser.add_argument("--quality", type=int, default=82, help="of a JPEG")
    args = parser.parse_args(argv)
    scenes = one_of_each(args.seed, args.size, args.per_kind)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet = contact_sheet(scenes, args.columns, outlines=args.outlines)
    Image.fromarray(sheet).save(args.out, quality=args.quality)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
