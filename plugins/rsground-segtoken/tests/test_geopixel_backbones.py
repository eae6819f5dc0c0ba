"""GeoPixel's head behind hd-tiles on tiny random models of transformers: what they see, what they answer and learn."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rsground.models.tokens import rows_read  # noqa: E402
from rsground.pipeline import Pipeline  # noqa: E402
from rsground.testing import miniature  # noqa: E402
from rsground.types import ImageRef, Sample, Task, View  # noqa: E402
from rsground_segtoken.geopixel.head import GeoPixelHead  # noqa: E402
from rsground_segtoken.hd_tiles import HDTiles, Show  # noqa: E402

SIZE = (56, 84)


def drawn() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)


def question(targets: int = 1) -> Sample:
    image = ImageRef("drawn", *SIZE, render=partial(drawn))
    return replace(miniature(Task.MASK, targets=targets, size=SIZE), images=(image,))


def system(backbone: Any, segmenter: Any) -> GeoPixelHead:
    head = GeoPixelHead(keep_features=0)
    head.segmenter = segmenter
    backbone.add_tokens(head.special_tokens)
    head.bind(backbone)
    return head.eval()


@pytest.mark.parametrize(
    ("family", "show", "tokens"),
    [
        ("llava", None, 16),
        ("llava", "canvas", 16),  # a fixed input: the canvas of 2 x 3 tiles is shrunk to one
        ("llava", "global", 16),
        ("llava", "tiles", 7 * 16),
        ("qwen2-vl", "global", 4),  # 8 x 8 pixels a token
        ("qwen2-vl", "canvas", 6 * 4),  # the input grows with the canvas
    ],
)
def test_what_hd_tiles_makes_a_model_see(
    family: str, show: Show | None, tokens: int, tiny_backbone: Callable[..., Any], tiny_sam2: Any
) -> None:
    backbone = tiny_backbone(family)
    tile = 28 if family == "llava" else 16
    steps = [] if show is None else [HDTiles(hd_num=6, tile=tile, show=show, max_tiles=6)]
    (found,) = Pipeline(system(backbone, tiny_sam2), backbone, steps).answer([question()])
    assert found.error is None
    assert found.parsed
    assert found.usage.visual_tokens == tokens
    assert all(region.rle is None or region.rle.size == SIZE for region in found.regions)


@pytest.mark.parametrize("show", ["canvas", "tiles"])
def test_a_mask_loss_teaches_a_model_that_sees_tiles(
    show: Show, tiny_backbone: Callable[..., Any], tiny_sam2: Any
) -> None:
    backbone = tiny_backbone("llava")
    head, sample = system(backbone, deepcopy(tiny_sam2)), question(2)
    step = HDTiles(hd_num=6, tile=28, show=show)
    view = step.apply(View((drawn(),), SIZE), replace(sample, targets=None), backbone)
    prompt = replace(head.prompt(sample, view), answer=head.target(sample, view))
    losses = []
    trained = [*backbone.model.parameters(), *(parameter for _, parameter in head.trainable())]
    optimiser = torch.optim.AdamW(trained, 5e-3)
    for _ in range(16):
        taught = backbone.teach([prompt])
        states = taught.hidden[0][rows_read(head, taught.token_ids[0])]
        assert states.shape == (2, backbone.hidden_size)
        loss = sum(head.loss([states], [sample], [view]).values())
        optimiser.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        optimiser.step()
    tower = [each.grad for name, each in backbone.model.named_parameters() if "vision_tower" in name]
    assert sum(float(grad.abs().sum()) for grad in tower if grad is not None) > 0
    assert losses[-1] < 0.8 * losses[0]
