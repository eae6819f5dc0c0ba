"""One crop's prompts through the model, all four masks of the decoder."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - everyone's name for it

from rsground_sam2.image_model import ImageModel, Pyramid
from rsground_sam2.segmenter import DEVIATION, MEAN
from rsground_sam2.training.sampling import Ask


def crops_to_pixels(asks: list[Ask], zoom: int) -> Tensor:
    """``(B, 3, s, s)`` normalised pixels of crops of one size, enlarged as the segmenter enlarges whole scenes."""
    raw = torch.from_numpy(np.stack([ask.pixels for ask in asks])).permute(0, 3, 1, 2).float() / 255
    if zoom != 1:
        raw = F.interpolate(raw, scale_factor=zoom, mode="bilinear", align_corners=False)
    return (raw - torch.tensor(MEAN).reshape(1, 3, 1, 1)) / torch.tensor(DEVIATION).reshape(1, 3, 1, 1)


def answer(model: ImageModel, image: Pyramid, ask: Ask, zoom: int) -> tuple[Tensor, Tensor]:
    """``(N, 4, h, w)`` logits of a crop and ``(N, 4)`` qualities: the single mask, then the three alternatives."""
    grid = image.embedding.shape[-1]
    cell = model.config.stride // zoom
    x, y = ask.corner[0] // cell, ask.corner[1] // cell
    code = model.positions()[:, :, y : y + grid, x : x + grid]
    sparse = _sparse(model, ask, zoom)
    decoder = model.sam_mask_decoder
    logits, quality, _, _ = decoder.predict_masks(
        image_embeddings=image.embedding,
        image_pe=code,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=_dense(model, ask, grid, x, y),
        repeat_image=True,
        high_res_features=list(image.high_res) or None,
    )
    return logits, quality


def _sparse(model: ImageModel, ask: Ask, zoom: int) -> Tensor:
    count = len(ask.targets)
    boxes = None if ask.boxes is None else torch.from_numpy(ask.boxes) * zoom
    points = None if ask.points is None else torch.from_numpy(ask.points) * zoom
    signs = None if ask.signs is None else torch.from_numpy(ask.signs)
    if ask.kind not in ("point token", "box token"):
        return model.sparse(count, boxes, points, signs)
    tokens = model.sparse(count, boxes, points, signs)[:, :-1]  # without the one that says "not a point"
    return tokens.sum(1, keepdim=True)


def _dense(model: ImageModel, ask: Ask, grid: int, x: int, y: int) -> Tensor:
    """The part of the whole scene's coarse masks that a crop shows."""
    if ask.masks is None:
        return model.dense(len(ask.targets), (grid, grid))
    whole = 4 * model.config.grid
    masks = F.interpolate(torch.from_numpy(ask.masks), (whole, whole), mode="bilinear", antialias=True)
    part = masks[:, :, 4 * y : 4 * (y + grid), 4 * x : 4 * (x + grid)]
    return model.dense(len(ask.targets), (grid, grid), part)
