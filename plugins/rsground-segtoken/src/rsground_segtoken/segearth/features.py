"""What the head knows of an image, whichever encoder sees it; computed once per image where that is possible."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from rsground.errors import ContractError
from rsground.types import View
from rsground_segtoken.segearth.frame import Frame, framed
from rsground_segtoken.segearth.pixel_decoder import PixelFeatures


@dataclass(frozen=True, slots=True)
class Features:
    """A batch of encoded images.

    Attributes:
        coarsest: ``(B, C, h, w)`` at stride 32.
        pixels: what the mask decoder looks at.
        frames: where each image lies in its frame.
    """

    coarsest: Tensor
    pixels: PixelFeatures
    frames: tuple[Frame, ...]

    def pick(self, rows: Sequence[int]) -> Features:
        """These images, repeated as asked."""
        if list(rows) == list(range(len(self.frames))):
            return self
        index = torch.tensor(rows, device=self.coarsest.device)
        levels = tuple(level[index] for level in self.pixels.levels)
        pixels = PixelFeatures(self.pixels.mask_features[index], levels)
        return Features(self.coarsest[index], pixels, tuple(self.frames[row] for row in rows))


def pixels_of(views: Sequence[View], frames: Sequence[Frame], device: torch.device) -> Tensor:
    """The last images of views, normalised, each in its frame: ``(B, 3, side, side)``."""
    made = [framed(view.images[-1], frame) for view, frame in zip(views, frames, strict=True)]
    return torch.stack(made).to(device)


def backbone_maps(
    backbone: Any, views: Sequence[View], channels: Sequence[int]
) -> tuple[list[Tensor], tuple[Frame, ...]]:
    """The backbone's own maps of views, finest first, and frames of the size its finest map stands for.

    The backbone answers ``pyramid(view)``: per stride 4, 8, 16, 32 (or from stride 2, where ``channels`` names five)
    one ``(1, C, H, W)`` map that shows the whole view, stretched to a square. Where it has ``pyramids(views)``, that
    is asked instead, for ``(B, C, H, W)`` at once; and where it has neither but its ``model`` has
    ``pyramid(pixel_values)``, that, with what its ``processor.image_processor`` makes of the images.

    Raises:
        ContractError: the backbone has no maps, or others than ``channels`` says.
    """
    maps = _asked(backbone, views)
    found = [tuple(level.shape) for level in maps]
    square = all(shape[2] == shape[3] for shape in found)
    halved = all(fine[2] == 2 * coarse[2] for fine, coarse in pairwise(found))
    if [shape[1] for shape in found] != list(channels) or not (square and halved):
        raise ContractError(
            f"backbone {type(backbone).__name__} must answer square maps of {list(channels)} channels, each half as "
            f"large as the one before (option 'channels'), got {found}"
        )
    side = found[0][2] * (2 if len(channels) == 5 else 4)
    return maps, tuple(Frame.stretched(view.size, side) for view in views)


def _asked(backbone: Any, views: Sequence[View]) -> list[Tensor]:
    if hasattr(backbone, "pyramids"):
        return list(backbone.pyramids(views))
    if hasattr(backbone, "pyramid"):
        each = [backbone.pyramid(view) for view in views]
        return [torch.cat(level) for level in zip(*each, strict=True)]
    model: Any = getattr(backbone, "model", None)
    if hasattr(model, "pyramid"):
        images = [view.images[-1] for view in views]
        seen = backbone.processor.image_processor(images=images, return_tensors="pt")["pixel_values"]
        weight = next(model.parameters())
        return list(model.pyramid(seen.to(weight.device, weight.dtype)))
    raise ContractError(
        f"head 'segearth-r1' with encoder='backbone' needs a backbone that has pyramid(view); "
        f"{type(backbone).__name__} has none: use encoder='swin'"
    )


def key_of(view: View) -> Hashable | None:
    """What tells a view from others while it is alive: its uri and place, or its array where that cannot change."""
    if "uri" in view.meta:
        return (str(view.meta["uri"]), view.size, tuple(view.to_original))
    pixels = view.images[-1]
    return None if pixels.flags.writeable else id(pixels)


class FeatureCache:
    """Features of the images seen last.

    Args:
        room: images kept.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._kept: OrderedDict[Hashable, tuple[View, Features]] = OrderedDict()

    def get(self, view: View, make: Callable[[View], Features]) -> Features:
        """What is kept of ``view``, or what ``make`` says; views that cannot be told apart are made each time."""
        key = key_of(view)
        if key is None or self.room < 1:
            return make(view)
        if key not in self._kept:
            self._kept[key] = (view, make(view))  # the view is kept too: its array's id stays its own
            if len(self._kept) > self.room:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key][1]

    def clear(self) -> None:
        """Forget everything: weights changed."""
        self._kept.clear()
