"""Random scenes for the expression engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rsground.datasets.refer import SceneGraph, SceneObject
from rsground.types import Region

SIDES = {
    "airplane": 30,
    "bridge": 60,
    "car": 12,
    "harbor": 70,
    "ship": 26,
    "storage tank": 24,
    "tennis court": 34,
    "truck": 18,
}
LISTED = frozenset({*SIDES, "swimming pool", "helipad", "roundabout", "open ground"})
COLOURS = ("white", "red", "blue", "black", "green", "grey")


def make_scene(seed: int, n: int = 14, side: int = 400, doubtful: float = 0.06) -> SceneGraph:
    """Boxes anywhere, some in a row, some uncertain; colours and headings where a vehicle has them."""
    rng = np.random.default_rng(seed)
    names = rng.choice(sorted(SIDES), size=int(rng.integers(1, 6)), replace=False)
    row_y = float(rng.uniform(40, side - 40))
    items = []
    for i in range(n):
        name = str(rng.choice(names))
        w, h = SIDES[name] * rng.uniform(0.6, 1.5, size=2)
        x, y = float(rng.uniform(0, side - w)), float(rng.uniform(0, side - h))
        if i < 5 and seed % 2:
            name, w, h = str(names[0]), SIDES[str(names[0])], SIDES[str(names[0])]
            x, y = 20 + i * 1.2 * w, row_y
        box = (x, y, x + float(w), y + float(h))
        seen = {"colour": str(rng.choice(COLOURS)), "heading": float(rng.uniform(0, 360))}
        items.append(
            SceneObject(
                id=i * 3 + 1,
                category=name,
                hbb=box,
                area=float(w * h) * 0.8,
                region=Region(hbb=box, label=name),
                attributes=seen if name in ("car", "truck", "ship", "airplane") else {},
                certain=bool(rng.random() >= doubtful),
            )
        )
    places = ()
    if seed % 3 == 0:
        box = (5.0, 5.0, 80.0, 90.0)
        places = (SceneObject(id=1000, category="open ground", hbb=box, area=6000.0, region=Region(hbb=box)),)
    return SceneGraph(side, side, tuple(items), LISTED, facts={"places": places})


@pytest.fixture(scope="session")
def scene() -> Callable[..., SceneGraph]:
    """A function that makes a random scene from a seed."""
    return make_scene
