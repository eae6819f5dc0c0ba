"""From the language model's states of a description to one query for the mask decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsground.errors import ShapeError


def pool_rows(rows: Sequence[Tensor]) -> Tensor:
    """Mean state per description: a sequence of ``(n_i, D)`` to ``(B, D)``.

    Raises:
        ShapeError: a description without rows.
    """
    for index, each in enumerate(rows):
        if each.ndim != 2 or len(each) == 0:
            raise ShapeError(f"states of description {index} must be (n >= 1, D), got {tuple(each.shape)}")
    return torch.stack([each.mean(0) for each in rows])


class PerceiverAttention(nn.Module):
    """Latents look at image tokens and at the first latent itself; no biases but the norms'."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_media = nn.LayerNorm(width)
        self.norm_latents = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(width, 2 * width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)

    def forward(self, media: Tensor, latents: Tensor) -> Tensor:
        """Tokens ``(B, N, C)`` and latents ``(B, M, C)`` to ``(B, M, C)``."""
        latents = self.norm_latents(latents)
        seen = torch.cat([self.norm_media(media), latents[:, :1]], 1)
        keys, values = self.to_kv(seen).chunk(2, -1)
        query, keys, values = (self._split(each) for each in (self.to_q(latents), keys, values))
        found = functional.scaled_dot_product_attention(query, keys, values)
        mixed: Tensor = self.to_out(found.transpose(1, 2).flatten(2))
        return mixed

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.reshape(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class DescriptionProjector(nn.Module):
    """Refines the pooled description by what the image shows (the paper's D-Projector).

    Only the first latent leaves the released module and latents do not see each other, so latents of single words
    cannot change the answer and are not computed here.

    Args:
        width: channels of tokens and latents.
        heads: attention heads.
        depth: rounds of attention and feed-forward.
    """

    def __init__(self, width: int = 512, heads: int = 8, depth: int = 1) -> None:
        super().__init__()
        if width % heads:
            raise ShapeError(f"the description projector's {width} channels must divide into {heads} heads")
        self.layers = nn.ModuleList(
            nn.ModuleList([PerceiverAttention(width, heads), _feed_forward(width)]) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, media: Tensor, latent: Tensor) -> Tensor:
        """Image tokens ``(B, N, C)`` and pooled descriptions ``(B, C)`` to ``(B, C)``."""
        latents = latent[:, None]
        for layer in self.layers:
            attend, feed = layer.children()
            latents = latents + attend(media, latents)
            latents = latents + feed(latents)
        refined: Tensor = self.norm(latents)[:, 0]
        return refined


def _feed_forward(width: int) -> nn.Sequential:
    linear = (nn.Linear(width, width, bias=False) for _ in range(2))
    return nn.Sequential(nn.LayerNorm(width), next(linear), nn.GELU(), next(linear))
