"""One segmenter at several scales of the image, mask logits added up by weights (GeoMag, Eq. 1)."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsground.contracts import MaskPrompt, Segmenter
from rsground.errors import ContractError, ShapeError
from rsground.registry import construct, registry, target_of
from rsground.types import Size
from rsground_magcrop.compose import resized
from rsground_magcrop.geomag import weights_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """One image at every scale.

    Attributes:
        features: of the segmenter, per scale.
        size: (H, W) of the image, in pixels; what prompts are about.
        first: (H, W) of it at the first scale.
    """

    features: tuple[Any, ...]
    size: Size
    first: Size


class WeightedScales(Segmenter):
    """Logits of prompt embeddings, weighted over scales; other prompts go to the first scale alone.

    GeoMag takes SAM 2's *multi-scale segmentation features* and does not say which, nor how one decoder reads each.
    Here f_l are the segmenter's features of the image at ``scales``: a segmenter of one input size sees the whole image
    each time, with less detail at smaller scales.

    Args:
        of: the registered segmenter.
        scales: of the image, each in (0, 1] (open).
        weights: w_l (open); None for equal shares. Not normalised.
        checkpoint: of the segmenter.
        device, dtype: of the segmenter, where it has such options; None for its own.
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
        device: str | None = None,
        dtype: str | None = None,
        **options: Any,
    ) -> None:
        if not all(0.0 < scale <= 1.0 for scale in scales):
            raise ShapeError(f"option 'scales' must be shares in (0, 1] of the image's size, got {tuple(scales)}")
        self.scales, self.weights = tuple(scales), weights_of("weights", weights, len(scales))
        spec = registry().find("segmenter", of)
        known = inspect.signature(target_of(spec)).parameters
        given = {"checkpoint": checkpoint, "device": device, "dtype": dtype}
        handed_on = {name: value for name, value in given.items() if value is not None and name in known}
        self.inner: Any = construct(spec, **{**handed_on, **options})
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

    def encode(self, image: NDArray[np.uint8]) -> Scaled:
        """The segmenter's features of the image at every scale."""
        height, width = image.shape[:2]
        sizes = [(max(1, round(height * scale)), max(1, round(width * scale))) for scale in self.scales]
        features = tuple(self.inner.encode(resized(image, size)) for size in sizes)
        return Scaled(features, (height, width), sizes[0])

    def decode(self, features: Scaled, **prompts: Any) -> tuple[Tensor, Tensor]:
        """Weighted logits ``(N, M, h, w)`` and predicted quality ``(N, M)`` where embeddings are the only prompts.

        With boxes, points or coarse masks the first scale answers alone; boxes and points are in pixels of the image.
        """
        prompts = {name: value for name, value in prompts.items() if value is not None}
        if set(prompts) - {"embeddings", "multimask"}:
            across, down = _share(features)
            for name in ("boxes", "points"):
                if name in prompts and (across, down) != (1.0, 1.0):
                    prompts[name] = _moved(prompts[name], across, down)
            first: tuple[Tensor, Tensor] = self.inner.decode(features.features[0], **prompts)
            return first
        found = [self.inner.decode(one, **prompts) for one in features.features]
        size = found[0][0].shape[-2:]
        logits = sum(weight * _sized(each[0], size) for weight, each in zip(self.weights, found, strict=True))
        quality = sum(weight * each[1] for weight, each in zip(self.weights, found, strict=True))
        return logits, quality  # type: ignore[return-value]

    def _segment(
        self, features: Scaled, prompts: Sequence[MaskPrompt], size: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        masks, scores = np.zeros((len(prompts), *size), np.bool_), np.zeros(len(prompts), np.float32)
        across, down = _share(features)
        placed = [row for row, prompt in enumerate(prompts) if not _says_alone(prompt)]
        if placed:
            moved = [_at(prompts[row], across, down) for row in placed]
            masks[placed], scores[placed] = self.inner.segment(features.features[0], moved, size)
        for row in sorted(set(range(len(prompts))) - set(placed)):
            masks[row], scores[row] = self._weighted(features, prompts[row].embedding, size)
        return masks, scores

    def _weighted(self, features: Scaled, embedding: Tensor, size: Size) -> tuple[NDArray[np.bool_], float]:
        import torch

        with torch.no_grad():
            logits, quality = self.decode(features, embeddings=embedding.reshape(1, -1, embedding.shape[-1]))
            mask: NDArray[np.bool_] = (_sized(logits, size)[0, 0] > 0).cpu().numpy()
        return mask, float(quality[0, 0].clamp(0, 1))


def _says_alone(prompt: MaskPrompt) -> bool:
    """Whether an embedding is all there is."""
    others = (prompt.box, prompt.mask, prompt.points or None, prompt.negative_points or None)
    return prompt.embedding is not None and all(part is None for part in others)


def _share(features: Scaled) -> tuple[float, float]:
    """What x and y are multiplied by to get from the image to the first scale."""
    return features.first[1] / features.size[1], features.first[0] / features.size[0]


def _at(prompt: MaskPrompt, across: float, down: float) -> MaskPrompt:
    """The prompt in pixels of the first scale."""
    if (across, down) == (1.0, 1.0):
        return prompt
    x1, y1, x2, y2 = prompt.box or (0.0, 0.0, 0.0, 0.0)
    return replace(
        prompt,
        box=None if prompt.box is None else (x1 * across, y1 * down, x2 * across, y2 * down),
        points=tuple((x * across, y * down) for x, y in prompt.points),
        negative_points=tuple((x * across, y * down) for x, y in prompt.negative_points),
    )


def _moved(places: Any, across: float, down: float) -> Tensor:
    """``(..., 2 k)`` x and y in turn, at the first scale."""
    import torch

    given = torch.as_tensor(places).float()
    return given * given.new_tensor([across, down]).repeat(given.shape[-1] // 2)


def _sized(logits: Tensor, size: Sequence[int]) -> Tensor:
    from torch.nn.functional import interpolate

    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return interpolate(logits.float(), size=tuple(size), mode="bilinear", align_corners=False)
