"""SAM 2 inside GeoPixel: stock modules of the ``sam2`` package, prompted by embeddings alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from rsground.contracts import MaskPrompt, Segmenter
from rsground.errors import ContractError
from rsground_segtoken.geopixel.decoding import upscale

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


def build_sam(config: str, overrides: Sequence[str] = ()) -> nn.Module:
    """SAM 2's whole module (its memory parts are stored in checkpoints, and unused) with random weights.

    Args:
        config: a configuration inside the ``sam2`` package.
        overrides: hydra overrides.
    """
    from sam2.build_sam import build_sam2  # type: ignore[import-untyped]

    device = torch.get_default_device()
    with _RealNumbers():
        module: nn.Module = build_sam2(
            config, None, device, hydra_overrides_extra=list(overrides), apply_postprocessing=False
        )
    return module


@dataclass(frozen=True, slots=True, eq=False)
class SamFeatures:
    """One encoded image.

    Attributes:
        image: ``(1, C, s, s)``, the stride-16 level with the no-memory embedding added.
        fine: the two finer levels, ``(1, C/8, 4s, 4s)`` and ``(1, C/4, 2s, 2s)``.
    """

    image: Tensor
    fine: tuple[Tensor, Tensor]


class SamSegmenter(Segmenter):
    """GeoPixel's own segmenter: the whole image squeezed to a square, masks from prompt embeddings.

    Args:
        module: as :func:`build_sam` answers it, with weights.
        embed_dim: width of a prompt embedding.
    """

    def __init__(self, module: nn.Module, embed_dim: int = 256) -> None:
        self.module: Any = module
        self.embed_dim = embed_dim

    @property
    def image_size(self) -> int:
        """Side in pixels of the square that images are squeezed to."""
        return int(self.module.image_size)

    def encode(self, image: NDArray[np.uint8]) -> SamFeatures:
        """Features of one image; bilinear with antialiasing, aspect ratio not kept, as published."""
        return self.features_of(self.pixels(image))

    def pixels(self, image: NDArray[np.uint8]) -> Tensor:
        """The image ``(1, 3, S, S)``, normalised, on the module's device in its dtype."""
        weight = self.module.no_mem_embed
        values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(weight.device, torch.float32) / 255.0
        square = (self.image_size, self.image_size)
        values = F.interpolate(values, size=square, mode="bilinear", align_corners=False, antialias=True)
        mean, deviation = (
            torch.tensor(each, device=weight.device)[None, :, None, None] for each in (_MEAN, _DEVIATION)
        )
        return ((values - mean) / deviation).to(weight.dtype)

    def features_of(self, pixels: Tensor) -> SamFeatures:
        """Features of ``(1, 3, S, S)`` normalised pixels."""
        found = self.module.forward_image(pixels)
        first, second, last = found["backbone_fpn"][-3:]
        image = last + self.module.no_mem_embed.reshape(1, -1, 1, 1)
        return SamFeatures(image, (first, second))

    def decode(self, features: SamFeatures, *, embeddings: Tensor, multimask: bool = False) -> tuple[Tensor, Tensor]:
        """Logits ``(N, M, 4s, 4s)`` and predicted IoU ``(N, M)``; ``embeddings`` ``(N, K, C)`` are the whole prompt."""
        image = features.image
        count = len(embeddings)
        dense = self.module.sam_prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        logits, quality, _, _ = self.module.sam_mask_decoder(
            image_embeddings=image,
            image_pe=self.positions(),
            sparse_prompt_embeddings=embeddings.to(image.dtype),
            dense_prompt_embeddings=dense.expand(count, -1, *image.shape[-2:]),
            multimask_output=multimask,
            repeat_image=True,
            high_res_features=list(features.fine),
        )
        return logits, quality

    def positions(self) -> Tensor:
        """The positional code ``(1, C, s, s)``, computed in the stored matrix' dtype: bfloat16 as published."""
        encoder = self.module.sam_prompt_encoder
        matrix: Tensor = encoder.pe_layer.positional_encoding_gaussian_matrix
        height, width = encoder.image_embedding_size
        rows, columns = (
            (torch.arange(count, device=matrix.device).to(matrix.dtype) + 0.5) / count for count in (height, width)
        )
        grid = torch.stack([columns[None, :].expand(height, -1), rows[:, None].expand(-1, width)], dim=-1)
        turns = 2 * torch.pi * ((2 * grid - 1) @ matrix)
        return torch.cat([turns.sin(), turns.cos()], dim=-1).permute(2, 0, 1)[None]

    @torch.no_grad()
    def _segment(
        self, features: SamFeatures, prompts: Sequence[MaskPrompt], size: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        if any(prompt.embedding is None for prompt in prompts):
            raise ContractError("GeoPixel's segmenter takes embeddings only; for boxes and points use segmenter 'sam2'")
        if not prompts:
            return np.zeros((0, *size), bool), np.zeros(0, np.float32)
        embeddings = torch.stack([prompt.embedding.reshape(-1, self.embed_dim) for prompt in prompts])
        logits, quality = self.decode(features, embeddings=embeddings.to(features.image.device))
        masks = (upscale(logits[:, 0], size) > 0).cpu().numpy()
        return masks, quality[:, 0].float().clamp(0, 1).cpu().numpy()


class _RealNumbers(TorchFunctionMode):
    """Ranges hold numbers even where the default device is ``meta``: constructors read single values of them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func in (torch.linspace, torch.arange) and options.get("device") is None:
            options["device"] = "cpu"
        return func(*args, **options)
