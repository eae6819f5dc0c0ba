"""Mask2Former's masked-attention decoder, driven by given queries (here: one per description)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsground_segtoken.segearth.deformable import sine_positions
from rsground_segtoken.segearth.pixel_decoder import PixelFeatures


class Masks(NamedTuple):
    """What the decoder says.

    Attributes:
        logits: ``(B, Q, H, W)`` at the mask features' stride, one tensor per prediction: before the first layer and
            after each one; the last is the answer.
        queries: ``(B, Q, C)``, the final queries, normed.
    """

    logits: tuple[Tensor, ...]
    queries: Tensor


class CrossAttentionLayer(nn.Module):
    """Queries look at one level, where the last mask lets them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, queries: Tensor, memory: Tensor, positions: Tensor, blocked: Tensor) -> Tensor:
        """Queries ``(B, Q, C)`` over memory ``(B, S, C)``, ``blocked`` ``(B, Q, S)`` bool."""
        mask = blocked.repeat_interleave(self.multihead_attn.num_heads, 0)
        found = self.multihead_attn(queries, memory + positions, memory, attn_mask=mask, need_weights=False)[0]
        mixed: Tensor = self.norm(queries + found)
        return mixed


class SelfAttentionLayer(nn.Module):
    """Queries look at each other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, queries: Tensor) -> Tensor:
        """``(B, Q, C)`` to the same shape."""
        mixed: Tensor = self.norm(queries + self.self_attn(queries, queries, queries, need_weights=False)[0])
        return mixed


class FeedForwardLayer(nn.Module):
    """Two linear layers with a ReLU between, post-normed."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, queries: Tensor) -> Tensor:
        """``(B, Q, C)`` to the same shape."""
        mixed: Tensor = self.norm(queries + self.linear2(functional.relu(self.linear1(queries))))
        return mixed


class Perceptron(nn.Module):
    """Linear layers with ReLUs between."""

    def __init__(self, width: int, depth: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, queries: Tensor) -> Tensor:
        """``(..., C)`` to the same shape."""
        for index, layer in enumerate(self.layers):
            queries = layer(functional.relu(queries) if index else queries)
        return queries


class MaskedDecoder(nn.Module):
    """Layers of masked cross-attention, self-attention and feed-forward, cycling through the levels.

    Queries have no positional part: the released model ignores its learned one.

    Args:
        width, heads, hidden, layers: sizes.
        stored_unused: also hold the released checkpoint's parameters that nothing reads, so that it loads strictly;
            they are not trained.
    """

    def __init__(
        self, width: int = 256, heads: int = 8, hidden: int = 2048, layers: int = 9, stored_unused: bool = False
    ) -> None:
        super().__init__()
        self.transformer_self_attention_layers = nn.ModuleList(SelfAttentionLayer(width, heads) for _ in range(layers))
        self.transformer_cross_attention_layers = nn.ModuleList(
            CrossAttentionLayer(width, heads) for _ in range(layers)
        )
        self.transformer_ffn_layers = nn.ModuleList(FeedForwardLayer(width, hidden) for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.level_embed = nn.Embedding(3, width)
        self.mask_embed = Perceptron(width)
        if stored_unused:
            for name, module in _unread(width):
                self.add_module(name, module.requires_grad_(False))

    def forward(self, queries: Tensor, features: PixelFeatures) -> Masks:
        """Queries ``(B, Q, C)`` to their masks."""
        levels = [self._memory(level, index) for index, level in enumerate(features.levels)]
        logits = [self._predicted(queries, features.mask_features)]
        for index, cross in enumerate(self.transformer_cross_attention_layers):
            memory, positions = levels[index % 3]
            blocked = _blocked(logits[-1], features.levels[index % 3])
            queries = cross(queries, memory, positions, blocked)
            queries = self.transformer_self_attention_layers[index](queries)
            queries = self.transformer_ffn_layers[index](queries)
            logits.append(self._predicted(queries, features.mask_features))
        return Masks(tuple(logits), self.decoder_norm(queries))

    def _memory(self, level: Tensor, index: int) -> tuple[Tensor, Tensor]:
        height, width = level.shape[-2:]
        positions = sine_positions(height, width, level.shape[1], level).flatten(1).T
        return level.flatten(2).transpose(1, 2) + self.level_embed.weight[index], positions

    def _predicted(self, queries: Tensor, mask_features: Tensor) -> Tensor:
        return torch.einsum("bqc,bchw->bqhw", self.mask_embed(self.decoder_norm(queries)), mask_features)


def _unread(width: int) -> Iterator[tuple[str, nn.Module]]:
    """What the released checkpoint holds and nothing reads."""
    for name, count in (("query_feat", 100), ("query_embed", 100), ("SEG_query_embed", 101), ("new_query_embed", 1)):
        yield name, nn.Embedding(count, width)
    for name in ("SEG_proj", "CLASS_proj"):
        yield name, Perceptron(width, 2)


@torch.no_grad()
def _blocked(logits: Tensor, level: Tensor) -> Tensor:
    """``(B, Q, S)`` bool: cells outside the last mask; a query whose mask is empty sees everything."""
    small = functional.interpolate(logits.float(), size=level.shape[-2:], mode="bilinear", align_corners=False)
    blocked = (small.sigmoid() < 0.5).flatten(2)
    return blocked & ~blocked.all(-1, keepdim=True)
