"""Segmenter: a promptable mask model; the image is encoded once, prompts come in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsground.errors import ContractError
from rsground.types import HBB, Point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class MaskPrompt:
    """What to segment; any combination of forms.

    Attributes:
        box: horizontal box (x1, y1, x2, y2) in image pixels.
        points: (x, y) in image pixels inside the object.
        negative_points: (x, y) in image pixels outside of it.
        mask: ``(h, w)`` float logits of a coarse mask, any size, covering the whole image.
        embedding: prompt embedding of the segmenter's own width (torch tensor), as [SEG] heads make.
    """

    box: HBB | None = None
    points: tuple[Point, ...] = ()
    negative_points: tuple[Point, ...] = ()
    mask: NDArray[np.float32] | None = None
    embedding: Any = None


class Segmenter(ABC):
    """Boxes, points, coarse masks or embeddings in; masks of the image's own size out."""

    @abstractmethod
    def encode(self, image: NDArray[np.uint8]) -> Any:
        """Features of one ``(H, W, 3)`` uint8 RGB image, to be reused for many prompts."""

    def segment(
        self, features: Any, prompts: Sequence[MaskPrompt], size: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Masks ``(N, H, W)`` bool and predicted quality ``(N,)`` in [0, 1] for N prompts.

        Raises:
            ContractError: the segmenter answered other shapes.
        """
        masks, scores = self._segment(features, prompts, size)
        if masks.shape != (len(prompts), *size) or masks.dtype.name != "bool" or scores.shape != (len(prompts),):
            raise ContractError(
                f"segmenter {type(self).__name__} must answer bool masks of {(len(prompts), *size)} and as many "
                f"scores, got {masks.dtype} {masks.shape} and {scores.shape}"
            )
        return masks, scores

    @abstractmethod
    def _segment(
        self, features: Any, prompts: Sequence[MaskPrompt], size: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Answer all prompts about one encoded image of ``size`` (H, W)."""
