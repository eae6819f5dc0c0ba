"""The mask branch: description states and an image's maps in, masks out.

Shared by the small head and the full model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rsground_segtoken.segearth.description import DescriptionProjector
from rsground_segtoken.segearth.pixel_decoder import PixelDecoder, PixelFeatures
from rsground_segtoken.segearth.predictor import MaskedDecoder, Masks


@dataclass(frozen=True, slots=True)
class BranchConfig:
    """Sizes of the mask branch; the defaults are the published model's.

    Attributes:
        channels: of the encoder's four maps, stride 4 first.
        width: channels of the pixel decoder, the query and the mask decoder; a multiple of 32.
        latent: channels of the description's projections.
        heads: attention heads, everywhere.
        pixel_layers, pixel_hidden: layers of the pixel decoder's encoder and their hidden width.
        layers, hidden: layers of the mask decoder and their hidden width.
        detail: channels of a stride-2 lateral map (3: the pixels), for mask features at stride 2 instead of 4; 0 for
            none, as in the published model.
        stored_unused: hold the published checkpoint's unused parameters as well.
    """

    channels: tuple[int, ...] = (128, 256, 512, 1024)
    width: int = 256
    latent: int = 512
    heads: int = 8
    pixel_layers: int = 6
    pixel_hidden: int = 1024
    layers: int = 9
    hidden: int = 2048
    detail: int = 0
    stored_unused: bool = False


class MaskBranch(nn.Module):
    """Description projectors, pixel decoder and mask decoder, under the released model's names.

    Args:
        hidden_size: width of the language model's states.
        config: sizes.
    """

    def __init__(self, hidden_size: int, config: BranchConfig) -> None:
        super().__init__()
        self.text_projector = nn.Linear(hidden_size, config.latent)
        self.origin_SEG_token_projector = nn.Linear(hidden_size, config.latent)
        self.local_project = nn.Linear(config.channels[-1], config.latent)
        self.SEG_token_projector = nn.Linear(2 * config.latent, config.width)
        self.d_layers = DescriptionProjector(config.latent, config.heads)
        self.pixel_decoder = PixelDecoder(
            config.channels,
            config.width,
            config.pixel_layers,
            config.heads,
            hidden=config.pixel_hidden,
            detail=config.detail,
        )
        self.predictor = MaskedDecoder(
            config.width, config.heads, config.hidden, config.layers, stored_unused=config.stored_unused
        )

    def query(self, pooled: Tensor, coarsest: Tensor) -> Tensor:
        """Mean states ``(B, D)`` and the stride-32 map ``(B, C, h, w)`` to one query each, ``(B, 1, width)``."""
        origin = self.origin_SEG_token_projector(pooled)
        media = self.local_project(coarsest.flatten(2).transpose(1, 2))
        refined = self.d_layers(media, self.text_projector(pooled))
        query: Tensor = self.SEG_token_projector(torch.cat([origin, refined], -1))
        return query[:, None]

    def pixels(self, maps: Sequence[Tensor], lateral: Tensor | None = None) -> PixelFeatures:
        """The encoder's maps as the mask decoder wants them; independent of any description.

        ``lateral`` is what ``detail`` names: pixels ``(B, 3, H, W)``, or a map at stride 2.
        """
        features: PixelFeatures = self.pixel_decoder(maps, lateral)
        return features

    def masks(self, pooled: Tensor, coarsest: Tensor, features: PixelFeatures) -> Masks:
        """One mask per description; ``pooled`` and the image's tensors share their batch axis."""
        found: Masks = self.predictor(self.query(pooled, coarsest), features)
        return found
