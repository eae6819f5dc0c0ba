"""Preprocessor: changes what the model sees, and says how to get back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from rsground.errors import ContractError
from rsground.types import Sample, View

if TYPE_CHECKING:
    from rsground.contracts.backbone import Backbone


class Preprocessor(ABC):
    """View in, view out. Stands before any head on any backbone."""

    def apply(self, view: View, sample: Sample, backbone: Backbone | None = None) -> View:
        """The changed view.

        Args:
            view: what the model would see without this step.
            sample: for its expression and task only.
            backbone: for steps that ask the model where to look (MagCrop).

        Raises:
            ContractError: images were lost, are no ``(h, w, 3)`` uint8, or the original size changed.
        """
        changed = self._apply(view, sample, backbone)
        name = type(self).__name__
        if len(changed.images) < 1 or changed.original_size != view.original_size:
            raise ContractError(f"preprocessor {name} must keep the original size and at least one image")
        for image in changed.images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype.name != "uint8":
                raise ContractError(f"preprocessor {name} must answer (h, w, 3) uint8, got {image.dtype} {image.shape}")
        return changed

    @abstractmethod
    def _apply(self, view: View, sample: Sample, backbone: Backbone | None) -> View:
        """Answer the changed view, with ``to_original`` composed onto the given one's."""
