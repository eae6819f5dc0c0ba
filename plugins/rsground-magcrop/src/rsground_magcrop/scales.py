"""One segmenter at several scales of the image, mask logits added up by weights (GeoMag, Eq. 1)."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsground.contracts import MaskPrompt, Segmenter
from rsground.errors import ContractError, ShapeError
from rsground.registry import construct, registry, target_of
from rsground_magcrop.compose import resized
from rsground_magcrop.geomag import weights_of

if TYPE_CHECKING:
    from torch import Tensor


class WeightedScales(Segmenter):
    """Logits of prompt embeddings, weighted over scales; other prompts go to the first scale alone.

    GeoMag takes SAM 2's *multi-scale segmentation features* and does not say which, nor how one decoder reads each.
    Here f_l are the segmenter's features of the image at ``scales``: a segmenter of one input size sees the whole image
    each time, with less detail at smaller scales.

    Args:
        of: the registered segmenter.
        scales: of the image, each in (0, 1] (open).
        weights: w_l (open); None for equal shares.
        checkpoint: of the segmenter.
        options: of the segmenter.

    Raises:
        ShapeError: a scale is out of range, or there is another number of weights.
        ContractError: the segmenter does not decode embeddings.
    """

    def __init__(
        self,
        of: str = "sam2",
        scales: Sequence[float] = (1.0, 0.5, 0.25),
        weights: Sequence[float] | None = None,
        checkpoint: str | Path | None = None,
        **options: Any,
    ) -> None:
        if not all(0.0 < scale <= 1.0 for scale in scales):
            raise ShapeError(f"option 'scales' must be shares in (0, 1] of the image's size, got {tuple(scales)}")
        self.scales, self.weights = tuple(scales), weights_of("weights", weights, len(scales))
        spec = registry().find("segmenter", of)
        if checkpoint is not None and "checkpoint" in inspect.signature(target_of(spec)).parameters:
            options = {"checkpoint": checkpoint, **options}
        self.inner: Any = construct(spec, **options)
        if not hasattr(self.inner, "decode"):
            raise ContractError(
                f"weighted-scales adds up logits, so its segmenter must have decode(features, embeddings=...); "
                f"{of!r} has none"
            )

    def __getattr__(self, name: str) -> Any:
        """``module``, ``embed_dim``, ``image_size``, ``upscale``, ``save``: the segmenter's own."""
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def encode(self, image: NDArray[np.uint8]) -> tuple[Any, ...]:
        """The segmenter's features of the image at every scale."""
        height, width = image.shape[:2]
        sizes = [(max(1, round(height * scale)), max(1, round(width * scale))) for scale in self.scales]
        return tuple(self.inner.encode(resized(image, size)) for size in sizes)

    def decode(self, features: Sequence[Any], **prompts: Any) -> tuple[Tensor, Tensor]:
        """Weighted logits ``(N, M, h, w)`` and predicted quality ``(N, M)`` where embeddings are the only prompts.

        Boxes and points are in the pixels of one image: with them, the first scale answers alone.
        """
        if set(prompts) - {"embeddings", "multimask"}:
            first: tuple[Tensor, Tensor] = self.inner.decode(features[0], **prompts)
            return first
        found = [self.inner.decode(one, **prompts) for one in features]
        logits = sum(weight * _sized(each[0], found[0][0]) for weight, each in zip(self.weights, found, strict=True))
        quality = sum(weight * each[1] for weight, each in zip(self.weights, found, strict=True))
        return logits, quality  # type: ignore[return-value]

    def _segment(
        self, features: Sequence[Any], prompts: Sequence[MaskPrompt], size: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        masks, quality = self.inner.segment(features[0], prompts, size)
        return masks, quality


def _sized(logits: Tensor, like: Tensor) -> Tensor:
    from torch.nn.functional import interpolate

    if logits.shape[-2:] == like.shape[-2:]:
        return logits
    return interpolate(logits.float(), size=like.shape[-2:], mode="bilinear", align_corners=False)
