"""From the projected state of a [SEG] to mask logits, through any segmenter that decodes prompt embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rsground.errors import ContractError
from rsground.types import Size

STABILITY_MARGIN = 0.05
STABILITY_LEAST = 0.98
"""SAM 2's published settings of the fallback to its other mask tokens."""


class EmbeddingDecoder(Protocol):
    """What GeoPixel needs of a segmenter beyond :class:`rsground.contracts.Segmenter`."""

    embed_dim: int

    def encode(self, image: Any) -> Any:
        """Features of one ``(H, W, 3)`` uint8 image."""

    def decode(self, features: Any, *, embeddings: Tensor, multimask: bool = False) -> tuple[Tensor, Tensor]:
        """Logits ``(N, M, h, w)`` and predicted IoU ``(N, M)`` for N prompts of K embeddings, ``(N, K, C)``."""


def embedding_decoder(segmenter: Any) -> EmbeddingDecoder:
    """The segmenter, checked.

    Raises:
        ContractError: there is none, or it does not decode embeddings.
    """
    if segmenter is None:
        raise ContractError("head 'geopixel' turns [SEG] into masks with a segmenter: name one in the system, 'sam2'")
    if not hasattr(segmenter, "decode") or not hasattr(segmenter, "embed_dim"):
        raise ContractError(
            f"head 'geopixel' needs a segmenter with decode(features, embeddings=...) and embed_dim, "
            f"{type(segmenter).__name__} has none"
        )
    found: EmbeddingDecoder = segmenter
    return found


def decode_masks(decoder: EmbeddingDecoder, features: Any, embeddings: Tensor, fallback: bool = False) -> Tensor:
    """Low-resolution logits ``(K, h, w)``, one mask for each of ``embeddings`` ``(K, C)``.

    Each embedding is the only sparse prompt of its mask. With ``fallback``, a mask of SAM 2's first mask token whose
    stability is under 0.98 is replaced by the best of the other three by predicted IoU, as upstream does when it
    evaluates (never in training): the [SEG] states were not trained on those tokens. The segmenter's own setting of
    this does not count.
    """
    with _first_token(decoder):
        logits, _ = decoder.decode(features, embeddings=embeddings[:, None], multimask=False)
    single = logits[:, 0]
    shaky = stability(single) < STABILITY_LEAST if fallback else None
    if shaky is None or not bool(shaky.any()):
        return single
    several, quality = decoder.decode(features, embeddings=embeddings[shaky][:, None], multimask=True)
    best = several[torch.arange(len(several), device=several.device), quality.argmax(dim=1)]
    settled = single.clone()
    settled[shaky] = best.to(single.dtype)
    return settled


def stability(logits: Tensor, margin: float = STABILITY_MARGIN) -> Tensor:
    """Pixels over ``margin`` / pixels over ``-margin`` of each of ``(K, h, w)``; 1 where there are none at all."""
    flat = logits.flatten(1)
    inner = (flat > margin).sum(dim=1).float()
    outer = (flat > -margin).sum(dim=1).float()
    return torch.where(outer > 0, inner / outer.clamp(min=1.0), torch.ones_like(outer))


def upscale(logits: Tensor, size: Size) -> Tensor:
    """Logits ``(K, h, w)`` at ``size`` (H, W): float32, bilinear, pixel centres aligned (``align_corners=False``)."""
    return F.interpolate(logits.float()[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


@contextmanager
def _first_token(decoder: EmbeddingDecoder) -> Iterator[None]:
    """SAM 2's first mask token as it is, even where its decoder is set to replace unstable masks."""
    part = getattr(getattr(decoder, "module", None), "sam_mask_decoder", None)
    before = getattr(part, "dynamic_multimask_via_stability", None)
    if part is None or not before:
        yield
        return
    part.dynamic_multimask_via_stability = False
    try:
        yield
    finally:
        part.dynamic_multimask_via_stability = before
