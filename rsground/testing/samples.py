"""Miniature samples: small enough to read, with every form of target a head may meet."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from rsground.geometry import mask_to_rle, polygons_to_mask, quad_to_hbb
from rsground.types import ImageRef, Quad, Region, Sample, Size, Task, View

_QUADS: tuple[Quad, ...] = (
    ((12.0, 8.0), (40.0, 14.0), (37.0, 28.0), (9.0, 22.0)),
    ((44.0, 30.0), (58.0, 30.0), (58.0, 44.0), (44.0, 44.0)),
    ((5.0, 33.0), (9.0, 31.0), (17.0, 45.0), (13.0, 47.0)),
)
"""Tilted, upright, thin; all inside 48 rows and 64 columns."""

ANSWERS_NOBODY_EXPECTS: tuple[str, ...] = (
    "",
    " ",
    "I cannot see any such object.",
    "<box>[[",
    "<box>[[1,2,3]]</box>",
    "<box>[[1e309,nan,-inf,99999999999999999999999]]</box>",
    "<seg>0 *5| 1 *",
    "<seg>" + "1 *9999999999| " * 3 + "</seg>",
    "{<12><><300><4>|<->}",
    "[(1,2),(3",
    "[SEG][SEG][SEG]",
    "\x00\ud800\u202e\N{FULLWIDTH DIGIT ONE}" + "[" * 300,
    "7" * 5000,
)
"""Things models have written, and worse; reading any of them must neither raise nor hang."""


def miniature(task: Task | str, targets: int = 1, size: Size = (48, 64), name: str = "mini") -> Sample:
    """A sample with 0 to 3 targets of known geometry, in an image of ``size`` (H, W)."""
    height, width = size
    quads = [_scaled(quad, height / 48, width / 64) for quad in _QUADS[:targets]]
    image = ImageRef(f"{name}:{height}x{width}", height, width)
    images = (image, image) if Task(task) is Task.CHANGE else (image,)
    regions = tuple(_region(quad, size) for quad in quads)
    answer = " and ".join("<p>storage tank</p> [SEG]" for _ in quads) if Task(task) is Task.GCG else None
    return Sample(
        id=f"{name}-{task}-{targets}-{height}x{width}",
        images=images,
        expression="the storage tank beside the road",
        task=Task(task),
        targets=regions,
        answer=answer,
        meta={"category": "storage tank"},
    )


def miniatures(task: Task | str) -> list[Sample]:
    """One sample per number of targets and image shape: square, wide, tall."""
    sizes: tuple[Size, ...] = ((48, 64), (96, 96), (120, 50))
    return [miniature(task, targets, size) for targets in (0, 1, 3) for size in sizes]


def blank_view(sample: Sample) -> View:
    """The sample's images as black pixels, unchanged in size."""
    images = tuple(np.zeros((ref.height, ref.width, 3), np.uint8) for ref in sample.images)
    return View(images=images, original_size=sample.size)


@st.composite
def damages(draw: st.DrawFn, answer: str) -> str:
    """``answer`` with up to a dozen characters replaced by up to six others, somewhere."""
    start = draw(st.integers(0, len(answer)))
    stop = draw(st.integers(start, min(len(answer), start + 12)))
    return answer[:start] + draw(st.text(max_size=6)) + answer[stop:]


def _region(quad: Quad, size: Size) -> Region:
    corners = np.asarray(quad)
    x1, y1, x2, y2 = (float(value) for value in quad_to_hbb(corners[None])[0])
    mask = polygons_to_mask([corners], size)
    return Region(hbb=(x1, y1, x2, y2), quad=quad, rle=mask_to_rle(mask), label="storage tank")


def _scaled(quad: Quad, down: float, across: float) -> Quad:
    a, b, c, d = ((x * across, y * down) for x, y in quad)
    return (a, b, c, d)
