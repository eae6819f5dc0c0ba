"""GeoPixel's module tree, named as its checkpoint, and its arithmetic from canvas and text to states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from rsground_segtoken.geopixel.full.config import GeoPixelConfig
from rsground_segtoken.geopixel.full.language import LanguageModel, Memory
from rsground_segtoken.geopixel.full.sam import SamSegmenter, build_sam
from rsground_segtoken.geopixel.full.vision import VisionTower, join, prepare
from rsground_segtoken.geopixel.projection import Projection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class GeoPixel(nn.Module):
    """The published model.

    Args:
        config: its sizes.
        unused: also hold the base model's branches that are stored and never used (sft, dpo, web).
        empty_language: leave the language model's weights without values (device ``meta``) until they are loaded.
    """

    def __init__(self, config: GeoPixelConfig, *, unused: bool = False, empty_language: bool = False) -> None:
        super().__init__()
        self.config = config
        width = config.language.hidden_size
        with torch.device("meta" if empty_language else torch.get_default_device()):
            self.model = LanguageModel(config.language, unused=unused)
            self.output = nn.Linear(width, config.language.vocab_size, bias=False)
        self.plora_glb_GN = nn.Parameter(torch.zeros(1, 1, config.vision.merged))
        self.plora_sub_GN = nn.Parameter(torch.zeros(1, 1, 1, config.vision.merged))
        self.vit = VisionTower(config.vision)
        self.vision_proj = nn.Sequential(nn.Linear(config.vision.merged, width), nn.GELU(), nn.Linear(width, width))
        self.model.text_hidden_fcs = Projection(width, config.out_dim)
        self.model.visual_model = build_sam(config.sam_config, config.sam_overrides)

    @property
    def device(self) -> torch.device:
        """Where the language model is."""
        return self.output.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the language model computes in."""
        return self.output.weight.dtype

    def segmenter(self) -> SamSegmenter:
        """The segmenter inside."""
        module = self.model.visual_model
        assert isinstance(module, nn.Module)
        return SamSegmenter(module, self.config.out_dim)

    def image_tokens(self, canvas: NDArray[np.uint8]) -> Tensor:
        """A canvas of whole tiles ``(H, W, 3)`` as embeddings ``(N, D)``, newlines and separator included."""
        tiles, grid = prepare(canvas, self.config.vision.image_size, self.dtype)
        states = self.vit(tiles.to(self.device))
        tokens: Tensor = self.vision_proj(join(states, grid, self.plora_sub_GN, self.plora_glb_GN))
        return tokens

    def embed(self, ids: list[int]) -> Tensor:
        """Token embeddings ``(L, D)``."""
        found: Tensor = self.model.tok_embeddings(torch.tensor(ids, dtype=torch.long, device=self.device))
        return found

    def lay_out(self, before: list[int], image: Tensor | None, after: list[int]) -> tuple[Tensor, Tensor]:
        """Embeddings ``(1, L, D)`` and image rows ``(1, L)`` of ids, image tokens, ids, in this order."""
        parts = [self.embed(before), self.embed(after)]
        if image is not None:
            parts.insert(1, image)
        rows = torch.zeros(sum(map(len, parts)), dtype=torch.bool, device=self.device)
        if image is not None:
            rows[len(before) : len(before) + len(image)] = True
        return torch.cat(parts)[None], rows[None]

    def states(self, embeddings: Tensor, image: Tensor | None, memory: Memory | None = None) -> Tensor:
        """Last states after the final norm ``(1, L, D)``."""
        found: Tensor = self.model(embeddings, image, memory)
        return found
