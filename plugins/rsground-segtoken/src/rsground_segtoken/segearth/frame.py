"""Bringing an image to the model's square frame, and a mask back out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rsground.errors import ShapeError

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""Per RGB channel, on 0..255."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where an image lies in the square frame.

    Attributes:
        side: of the frame, in pixels.
        size: (H, W) of the image before.
        inner: (h, w) of the image inside the frame; its long side is ``side``.
        top, left: padding before the image.
    """

    side: int
    size: tuple[int, int]
    inner: tuple[int, int]
    top: int
    left: int

    @classmethod
    def of(cls, size: tuple[int, int], side: int) -> Frame:
        """The frame of an image of ``size`` (H, W): long side to ``side``, the other truncated, centred.

        Raises:
            ShapeError: an empty image, or one so thin that nothing of it would be left.
        """
        height, width = size
        if min(height, width) < 1:
            raise ShapeError(f"an image must have pixels, got size {size}")
        inner = (int(height * (side / width)), side) if width > height else (side, int(width * (side / height)))
        if min(inner) < 1:
            raise ShapeError(f"an image of {size} is too thin for a frame of {side}: its short side would vanish")
        return cls(side, size, inner, (side - inner[0]) // 2, (side - inner[1]) // 2)

    @classmethod
    def stretched(cls, size: tuple[int, int], side: int) -> Frame:
        """The frame an image of ``size`` (H, W) fills, whatever its shape."""
        return cls(side, size, (side, side), 0, 0)

    @property
    def to_image(self) -> tuple[float, float, float, float, float, float]:
        """Affine map from frame pixels to image pixels, as :attr:`rsground.types.View.to_original` is written."""
        across, down = self.size[1] / self.inner[1], self.size[0] / self.inner[0]
        return (across, 0.0, -self.left * across, 0.0, down, -self.top * down)

    def place(self, pixels: Tensor, mode: str = "bilinear") -> Tensor:
        """``(C, H, W)`` float to ``(C, side, side)``, zeros around; bilinear without antialiasing, or nearest."""
        if tuple(pixels.shape[-2:]) != self.size:
            raise ShapeError(f"this frame is for images of {self.size}, got {tuple(pixels.shape[-2:])}")
        align = {"align_corners": False} if mode == "bilinear" else {}
        moved = functional.interpolate(pixels[None], size=self.inner, mode=mode, **align)[0]
        bottom, right = self.side - self.inner[0] - self.top, self.side - self.inner[1] - self.left
        return functional.pad(moved, (self.left, right, self.top, bottom))

    def take(self, logits: Tensor) -> Tensor:
        """``(N, h, w)`` logits over the whole frame, at any resolution, to ``(N, H, W)`` over the image."""
        full = functional.interpolate(
            logits[None].float(), size=(self.side, self.side), mode="bilinear", align_corners=False
        )
        inside = full[..., self.top : self.top + self.inner[0], self.left : self.left + self.inner[1]]
        return functional.interpolate(inside, size=self.size, mode="bilinear", align_corners=False)[0]


def framed(image: NDArray[np.uint8], frame: Frame) -> Tensor:
    """An ``(H, W, 3)`` uint8 RGB image in its frame, as a normalised float32 ``(3, side, side)`` tensor.

    The padding is black *before* normalisation, as in the released preprocessing, so padded pixels are about -2 and
    not 0.

    Raises:
        ShapeError: no such image.
    """
    return (_placed(image, frame) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def framed_pixels(image: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """The same before normalisation, ``(side, side, 3)`` uint8.

    Raises:
        ShapeError: as :func:`framed`.
    """
    return _placed(image, frame).permute(1, 2, 0).to(torch.uint8).contiguous().numpy()


def _placed(image: NDArray[np.uint8], frame: Frame) -> Tensor:
    """``(3, side, side)`` float32, whole numbers 0 ... 255: resized values are rounded, as in the released code."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"an image must be (H, W, 3) uint8 RGB, got {image.dtype} {image.shape}")
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()
    return frame.place(pixels).round().clamp(0, 255)


def framed_mask(mask: NDArray[np.bool_], frame: Frame) -> Tensor:
    """An ``(H, W)`` bool mask as ``(side, side)`` float 0 or 1: nearest neighbour, zeros around."""
    return frame.place(torch.from_numpy(np.ascontiguousarray(mask)).float()[None], mode="nearest")[0]
