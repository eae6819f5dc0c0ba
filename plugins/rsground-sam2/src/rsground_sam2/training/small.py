"""The small model: about a million parameters, masks at every second pixel of a 256-pixel scene."""

from __future__ import annotations

import torch

from rsground_sam2.config import ImageModelConfig
from rsground_sam2.image_model import ImageModel

SMALL = ImageModelConfig(
    trunk={
        "embed_dim": 24,
        "num_heads": 1,
        "stages": [1, 2, 3, 2],
        "window_spec": [4, 4, 8, 8],
        "global_att_blocks": [7],
        "window_pos_embed_bkg_spatial_size": [1, 1],
    },
    width=64,
    image_size=512,
    top_down=(0, 1, 2, 3),
    heads=4,
    mlp_dim=256,
    iou_hidden=64,
    object_scores=False,
    object_scores_mlp=False,
    no_memory=False,
    stability=False,
)
"""Scenes of 256 pixels are enlarged twice, so that Hiera's patches of 4 are 2 scene pixels and objects of 4 x 8 pixels
still cover some of them. The 1x1 background position makes the trunk the same everywhere: it can train on crops."""


TURNS = (0.25, 0.5, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, 8.0, 11.0, 16.0)
"""Turns per half image of the positional code, along x and then along y; 8 and 16 are two cells' and one cell's."""


def small_model() -> ImageModel:
    """The small model with random weights, and positional frequencies from which places can be read.

    The stock code draws all frequencies in random directions at one scale, where cells of one object look alike until
    attention has learnt to sharpen. Here each is along one axis, from a turn over two images to a turn over a cell, so
    that a few of them add up to the sign of a distance. They are part of the weights: nothing else has to know.
    """
    model = ImageModel(SMALL)
    frequencies = model.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    frequencies.zero_()
    for axis in (0, 1):
        frequencies[axis, axis * len(TURNS) : (axis + 1) * len(TURNS)] = torch.tensor(TURNS)
    _look_where_they_are(model)
    return model


def _look_where_they_are(model: ImageModel, gain: float = 2.5) -> None:
    """Give queries and keys between prompts and image one projection to begin with.

    The scores are then inner products of positional codes: a prompt's token and the cells around its place attend to
    each other from the first step, which two unrelated random projections would have to learn.
    """
    transformer = model.sam_mask_decoder.transformer
    attentions = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    with torch.no_grad():
        for attention in attentions:
            attention.q_proj.weight.mul_(gain)
            attention.k_proj.weight.copy_(attention.q_proj.weight)
