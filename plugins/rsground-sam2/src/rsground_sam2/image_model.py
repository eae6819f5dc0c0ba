"""SAM 2 without its video memory: the ``sam2`` package's own modules, under its own parameter names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from sam2.modeling.backbones.hieradet import Hiera  # type: ignore[import-untyped]
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder  # type: ignore[import-untyped]
from sam2.modeling.position_encoding import PositionEmbeddingSine  # type: ignore[import-untyped]
from sam2.modeling.sam.mask_decoder import MaskDecoder  # type: ignore[import-untyped]
from sam2.modeling.sam.prompt_encoder import PromptEncoder  # type: ignore[import-untyped]
from sam2.modeling.sam.transformer import TwoWayTransformer  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - everyone's name for it

from rsground_sam2.config import ImageModelConfig

BOX_LABELS = (2, 3)
"""Labels of a box's first and second corner among points."""


@dataclass(frozen=True, slots=True, eq=False)
class Pyramid:
    """Features of a batch of images.

    Attributes:
        embedding: ``(B, C, g, g)``, the level that the decoder attends to.
        high_res: ``(B, C/8, 4g, 4g)`` and ``(B, C/4, 2g, 2g)``, or empty.
    """

    embedding: Tensor
    high_res: tuple[Tensor, ...]

    def __getitem__(self, index: int) -> Pyramid:
        """One image of the batch, still with a batch axis."""
        one = slice(index, index + 1)
        return Pyramid(self.embedding[one], tuple(level[one] for level in self.high_res))


class ImageModel(nn.Module):
    """Image encoder, prompt encoder and mask decoder of SAM 2 (Ravi et al., 2024).

    Args:
        config: sizes; see :class:`ImageModelConfig`.
        stability: overrides the configuration's.
    """

    def __init__(self, config: ImageModelConfig, *, stability: bool | None = None) -> None:
        super().__init__()
        self.config = config
        trunk = Hiera(**config.trunk)
        self.image_encoder = ImageEncoder(trunk=trunk, neck=_neck(config, trunk.channel_list), scalp=config.scalp)
        self.sam_prompt_encoder: Any = PromptEncoder(
            embed_dim=config.width,
            image_embedding_size=(config.grid, config.grid),
            input_image_size=(config.image_size, config.image_size),
            mask_in_chans=config.mask_channels,
        )
        self.sam_mask_decoder: Any = _decoder(config, config.stability if stability is None else stability)
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, config.width))
        nn.init.trunc_normal_(self.no_mem_embed, std=0.02)

    def features(self, pixels: Tensor) -> Pyramid:
        """Features of ``(B, 3, S, S)`` normalised pixels."""
        return self.read(self.image_encoder(pixels)["backbone_fpn"])

    def read(self, levels: list[Tensor]) -> Pyramid:
        """What the decoder reads of the image encoder's levels, finest first."""
        embedding = levels[-1]
        if self.config.no_memory:
            embedding = embedding + self.no_mem_embed.reshape(1, -1, 1, 1)
        if not self.config.high_res:
            return Pyramid(embedding, ())
        fine, middle = levels[-3], levels[-2]
        return Pyramid(embedding, (self.sam_mask_decoder.conv_s0(fine), self.sam_mask_decoder.conv_s1(middle)))

    def sparse(
        self,
        count: int,
        boxes: Tensor | None = None,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        embeddings: Tensor | None = None,
    ) -> Tensor:
        """``(N, T, C)`` prompt tokens: box corners, points, one "not a point" after them, then embeddings.

        Coordinates are those of the resized square. Embeddings alone stand alone, as [SEG] decoders have it.
        """
        parts: list[Tensor] = []
        spots: list[Tensor] = []
        marks: list[Tensor] = []
        if boxes is not None:
            spots.append(boxes.reshape(count, 2, 2))
            marks.append(torch.tensor([BOX_LABELS], dtype=torch.int32, device=boxes.device).expand(count, 2))
        if points is not None and labels is not None:
            spots.append(points)
            marks.append(labels.to(torch.int32))
        if spots:
            parts.append(self.sam_prompt_encoder._embed_points(torch.cat(spots, 1), torch.cat(marks, 1), pad=True))
        if embeddings is not None:
            parts.append(embeddings)
        if not parts:
            return self.no_mem_embed.new_zeros((count, 0, self.config.width))
        return torch.cat([part.to(parts[-1].dtype) for part in parts], dim=1)

    def dense(self, count: int, grid: tuple[int, int], masks: Tensor | None = None) -> Tensor:
        """``(N, C, h, w)`` what coarse masks ``(N, 1, *, *)`` of logits add to the image, or that there is none."""
        if masks is None:
            none: Tensor = self.sam_prompt_encoder.no_mask_embed.weight
            return none.reshape(1, -1, 1, 1).expand(count, -1, *grid)
        wanted = (4 * grid[0], 4 * grid[1])
        if masks.shape[-2:] != wanted:
            masks = F.interpolate(masks.float(), wanted, mode="bilinear", align_corners=False, antialias=True)
        coded: Tensor = self.sam_prompt_encoder._embed_masks(masks)
        return coded

    def positions(self) -> Tensor:
        """``(1, C, g, g)`` positional code of the attended level."""
        code: Tensor = self.sam_prompt_encoder.get_dense_pe()
        return code

    def decode(
        self, image: Pyramid, sparse: Tensor, dense: Tensor, *, multimask: bool = False, positions: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Masks of N prompts about one image.

        Returns:
            Logits ``(N, M, 4g, 4g)`` and predicted qualities ``(N, M)``; M is 3 with ``multimask``, else 1.
        """
        code = self.positions() if positions is None else positions
        logits, quality, _, _ = self.sam_mask_decoder(
            image_embeddings=image.embedding,
            image_pe=code.to(image.embedding.dtype),
            sparse_prompt_embeddings=sparse.to(image.embedding.dtype),
            dense_prompt_embeddings=dense.to(image.embedding.dtype),
            multimask_output=multimask,
            repeat_image=True,
            high_res_features=list(image.high_res) or None,
        )
        return logits, quality


def _neck(config: ImageModelConfig, channels: list[int]) -> Any:
    return FpnNeck(
        position_encoding=PositionEmbeddingSine(num_pos_feats=config.width, warmup_cache=False),
        d_model=config.width,
        backbone_channel_list=channels,
        fpn_interp_model=config.interpolation,
        fpn_top_down_levels=list(config.top_down),
    )


def _decoder(config: ImageModelConfig, stability: bool) -> Any:
    return MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(
            depth=config.depth, embedding_dim=config.width, mlp_dim=config.mlp_dim, num_heads=config.heads
        ),
        transformer_dim=config.width,
        iou_head_depth=3,
        iou_head_hidden_dim=config.iou_hidden,
        use_high_res_features=config.high_res,
        iou_prediction_use_sigmoid=config.iou_sigmoid,
        pred_obj_scores=config.object_scores,
        pred_obj_scores_mlp=config.object_scores_mlp,
        dynamic_multimask_via_stability=stability,
        dynamic_multimask_stability_delta=0.05,
        dynamic_multimask_stability_thresh=0.98,
    )
