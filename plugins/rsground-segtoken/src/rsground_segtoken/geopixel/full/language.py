"""InternLM2 (Cai et al., arXiv 2403.17297) with partial LoRA in every linear layer; names as in the checkpoint."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rsground_segtoken.geopixel.full.config import LanguageConfig
from rsground_segtoken.geopixel.full.plora import PLoRALinear

Memory = list[tuple[Tensor, Tensor]]
"""Keys and values ``(B, kv heads, L, head_dim)`` of every layer, so that a next token costs one position."""


class RMSNorm(nn.Module):
    """x / rms(x) * weight, the mean taken in float32."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, states: Tensor) -> Tensor:
        wide = states.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return self.weight * wide.to(states.dtype)


class Attention(nn.Module):
    """Grouped-query attention from one fused projection.

    ``wqkv`` answers, for each key-value head, its query heads, then its key, then its value.
    """

    def __init__(self, config: LanguageConfig, *, unused: bool = False) -> None:
        super().__init__()
        self.config = config
        heads = config.num_attention_heads + 2 * config.num_key_value_heads
        self.wqkv = PLoRALinear(config.hidden_size, heads * config.head_dim, config.plora_rank, unused=unused)
        self.wo = PLoRALinear(config.hidden_size, config.hidden_size, config.plora_rank, unused=unused)

    def split(self, fused: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries ``(B, heads, L, d)``, keys and values ``(B, kv heads, L, d)`` of ``(B, L, fused)``."""
        batch, length, _ = fused.shape
        groups, size = self.config.groups, self.config.head_dim
        parts = fused.view(batch, length, self.config.num_key_value_heads, groups + 2, size)
        queries = parts[..., :groups, :].reshape(batch, length, -1, size)
        return queries.transpose(1, 2), parts[..., groups, :].transpose(1, 2), parts[..., groups + 1, :].transpose(1, 2)

    def forward(
        self, states: Tensor, image: Tensor | None, turns: tuple[Tensor, Tensor], memory: Memory, layer: int
    ) -> Tensor:
        queries, keys, values = self.split(self.wqkv(states, image))
        queries, keys = rotate(queries, turns), rotate(keys, turns)
        if layer < len(memory):
            keys, values = torch.cat([memory[layer][0], keys], 2), torch.cat([memory[layer][1], values], 2)
            memory[layer] = (keys, values)
        else:
            memory.append((keys, values))
        seen, asked = keys.shape[2], queries.shape[2]
        blind = torch.ones(asked, seen, dtype=torch.bool, device=states.device).tril(seen - asked)
        keys, values = (each.repeat_interleave(self.config.groups, dim=1) for each in (keys, values))
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=blind)
        answer: Tensor = self.wo(mixed.transpose(1, 2).flatten(2), image)
        return answer


class FeedForward(nn.Module):
    """w2(silu(w1 x) * w3 x)."""

    def __init__(self, config: LanguageConfig, *, unused: bool = False) -> None:
        super().__init__()
        inner, outer, rank = config.intermediate_size, config.hidden_size, config.plora_rank
        self.w1 = PLoRALinear(outer, inner, rank, unused=unused)
        self.w3 = PLoRALinear(outer, inner, rank, unused=unused)
        self.w2 = PLoRALinear(inner, outer, rank, unused=unused)

    def forward(self, states: Tensor, image: Tensor | None) -> Tensor:
        answer: Tensor = self.w2(F.silu(self.w1(states, image)) * self.w3(states, image), image)
        return answer


class Layer(nn.Module):
    """Attention and feed-forward, each after a norm and added to its input."""

    def __init__(self, config: LanguageConfig, *, unused: bool = False) -> None:
        super().__init__()
        self.attention = Attention(config, unused=unused)
        self.feed_forward = FeedForward(config, unused=unused)
        self.attention_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.ffn_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, states: Tensor, image: Tensor | None, turns: tuple[Tensor, Tensor], memory: Memory, layer: int
    ) -> Tensor:
        states = states + self.attention(self.attention_norm(states), image, turns, memory, layer)
        answer: Tensor = states + self.feed_forward(self.ffn_norm(states), image)
        return answer


class LanguageModel(nn.Module):
    """Embeddings, layers and the final norm; the output layer stands beside it."""

    def __init__(self, config: LanguageConfig, *, unused: bool = False) -> None:
        super().__init__()
        self.config = config
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config, unused=unused) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, embeddings: Tensor, image: Tensor | None = None, memory: Memory | None = None) -> Tensor:
        """States after the final norm ``(B, L, D)``.

        Args:
            embeddings: ``(B, L, D)``, the positions after those in ``memory``.
            image: ``(B, L)`` bool, image rows.
            memory: keys and values so far; extended in place. Give an empty list to begin one.
        """
        past = memory if memory is not None else []
        start = past[0][0].shape[2] if past else 0
        turns = rotations(self.config, start, embeddings.shape[1], embeddings.device, embeddings.dtype)
        states = embeddings
        for number, layer in enumerate(self.layers):
            states = layer(states, image, turns, past, number)
        normed: Tensor = self.norm(states)
        return normed

    @property
    def remembers(self) -> bool:
        """Whether keys keep their turn as the text grows; a dynamic scaling turns all of them anew."""
        scaling = self.config.rope_scaling
        return scaling is None or scaling.get("type") != "dynamic"


def rotations(
    config: LanguageConfig, start: int, count: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosine and sine ``(count, head_dim)`` of rotary positions ``start`` ... in the half-split arrangement.

    ``rope_scaling`` ``{"type": "linear", "factor": f}`` divides positions by f; ``"dynamic"`` stretches the base
    beyond ``max_position_embeddings`` (NTK-aware).
    """
    size, base = config.head_dim, config.rope_theta
    scaling = config.rope_scaling or {}
    factor, length = float(scaling.get("factor", 1.0)), start + count
    if scaling.get("type") == "dynamic" and length > config.max_position_embeddings:
        base *= (factor * length / config.max_position_embeddings - (factor - 1.0)) ** (size / (size - 2))
    places = torch.arange(start, length, device=device, dtype=torch.float32)
    if scaling.get("type") == "linear":
        places = places / factor
    speeds = base ** -(torch.arange(0, size, 2, device=device, dtype=torch.float32) / size)
    angles = torch.outer(places, speeds)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(states: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """``(B, heads, L, d)`` turned: the first half of d pairs with the second."""
    cosine, sine = turns
    first, second = states.chunk(2, dim=-1)
    return states * cosine + torch.cat([-second, first], dim=-1) * sine
