"""The segmenter ``sam2``: an image is encoded once, prompts of any form are decoded in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - everyone's name for it

from rsground.contracts import MaskPrompt, Segmenter
from rsground.errors import ShapeError
from rsground.models.devices import pick_device, pick_dtype
from rsground_sam2.config import ImageModelConfig
from rsground_sam2.image_model import Pyramid
from rsground_sam2.prompts import Group, groups
from rsground_sam2.weights import load_model, save_model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Mean and deviation of RGB in [0, 1], as SAM 2 normalises."""
MOST_PROMPTS = 64
"""Prompts decoded in one call; more are split, so that memory stays bounded."""

Choice = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True, eq=False)
class Sam2Features:
    """One encoded image.

    Attributes:
        pyramid: features, batch axis of 1.
        size: (H, W) of the image that prompts are about, in pixels.
    """

    pyramid: Pyramid
    size: tuple[int, int]


class Sam2Segmenter(Segmenter):
    """SAM 2 / 2.1 for single images.

    Images of any size are squeezed to the model's square, as SAM 2 does. Prompt coordinates are pixels of the original
    image and go to the model as they are given.

    Args:
        checkpoint: a folder (``config.json`` and ``model.safetensors``, or a system's folder with ``segmenter/``), or a
            published ``.pt`` file; None for random weights of ``config``.
        config: a released configuration's name (``sam2.1_hiera_large``), or a configuration.
        device: where to compute: ``auto`` (the first CUDA device, else the CPU), ``cpu``, ``cuda``, ``cuda:1`` ...
        dtype: ``float32``, or ``bfloat16`` / ``float16`` to compute under autocast; ``auto`` is bfloat16 on CUDA and
            float32 on the CPU. ``fp32``, ``bf16`` and ``fp16`` are short for them.
        multimask: when to ask for three alternatives and take the one of the highest predicted quality; ``auto`` is
            SAM 2's rule: for prompts of at most one point.
        stability: whether an unstable single mask is replaced by the best alternative (SAM 2's evaluation setting);
            None as the configuration says.

    Raises:
        CheckpointError: the weights do not load.
        UnknownNameError: no such released configuration.
        DeviceError: no such device or precision here.
        ShapeError: ``multimask`` has none of the values above.
    """

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        config: str | ImageModelConfig | None = None,
        device: str = "auto",
        dtype: str = "float32",
        multimask: Choice = "auto",
        stability: bool | None = None,
    ) -> None:
        if multimask not in ("auto", "always", "never"):
            raise ShapeError(f"segmenter sam2 takes multimask auto, always or never, got {multimask!r}")
        self.device, self.multimask = pick_device(device), multimask
        self._dtype = pick_dtype(dtype, self.device)
        self.module = load_model(checkpoint, config, stability=stability).to(self.device).eval()

    @property
    def image_size(self) -> int:
        """Side of the square that images are resized to."""
        return self.module.config.image_size

    @property
    def embed_dim(self) -> int:
        """Width of prompt embeddings."""
        return self.module.config.width

    def encode(self, image: NDArray[np.uint8]) -> Sam2Features:
        """Features of one ``(H, W, 3)`` uint8 image, without gradients."""
        return self.encode_batch([image])[0]

    def encode_batch(self, images: Sequence[NDArray[np.uint8]]) -> list[Sam2Features]:
        """Features of images of any sizes, without gradients; one pass."""
        if not images:
            return []
        with torch.no_grad():
            pixels = torch.cat([self.pixels(image) for image in images])
            return self.features_of(pixels, [image.shape[:2] for image in images])

    def pixels(self, image: NDArray[np.uint8]) -> Tensor:
        """``(1, 3, S, S)`` normalised pixels of an image, resized with antialiasing.

        Raises:
            ShapeError: the image is not (H, W, 3) uint8.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ShapeError(f"sam2 encodes (H, W, 3) uint8 RGB, got {image.dtype} {image.shape}")
        raw = torch.from_numpy(np.array(image)).to(self.device).permute(2, 0, 1)[None].float() / 255
        square = (self.image_size, self.image_size)
        if raw.shape[-2:] != square:
            raw = F.interpolate(raw, square, mode="bilinear", align_corners=False, antialias=True)
        mean, deviation = (raw.new_tensor(each).reshape(1, 3, 1, 1) for each in (MEAN, DEVIATION))
        return (raw - mean) / deviation

    def features_of(self, pixels: Tensor, sizes: Sequence[tuple[int, int]] | None = None) -> list[Sam2Features]:
        """Features of ``(B, 3, S, S)`` normalised pixels, differentiable.

        Args:
            pixels: as :meth:`pixels` gives them.
            sizes: (H, W) of the images that prompts will be about; None: the square itself.
        """
        with self._autocast():
            batch = self.module.features(pixels)
        square = (self.image_size, self.image_size)
        return [
            Sam2Features(batch[index], square if sizes is None else (int(sizes[index][0]), int(sizes[index][1])))
            for index in range(len(pixels))
        ]

    def decode(
        self,
        features: Sam2Features,
        *,
        boxes: Tensor | ArrayLike | None = None,
        points: Tensor | ArrayLike | None = None,
        labels: Tensor | ArrayLike | None = None,
        masks: Tensor | ArrayLike | None = None,
        embeddings: Tensor | None = None,
        multimask: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Masks of N prompts about one image, differentiable.

        Args:
            features: of the image.
            boxes: ``(N, 4)`` x1, y1, x2, y2 in pixels of the original image.
            points: ``(N, P, 2)`` x, y in pixels of the original image, with
            labels: ``(N, P)`` 1 inside, 0 outside, -1 padding.
            masks: ``(N, 1, h, w)`` logits of coarse masks that cover the image.
            embeddings: ``(N, K, C)`` prompt embeddings of :attr:`embed_dim`.
            multimask: give three alternatives rather than one mask.

        Returns:
            Logits ``(N, M, 4g, 4g)`` of the square image at a quarter of the decoder's stride, and predicted qualities
            ``(N, M)``; M is 3 with ``multimask``, else 1.

        Raises:
            ShapeError: a prompt has another shape, the counts differ, or nothing is given.
        """
        forms = {
            "boxes": self._tensor("boxes", boxes, (None, 4)),
            "points": self._tensor("points", points, (None, None, 2)),
            "labels": self._tensor("labels", labels, (None, None)),
            "masks": self._tensor("masks", masks, (None, 1, None, None)),
            "embeddings": self._tensor("embeddings", embeddings, (None, None, self.embed_dim)),
        }
        counts = {name: len(value) for name, value in forms.items() if value is not None}
        if len(set(counts.values())) != 1 or (points is None) != (labels is None):
            raise ShapeError(f"decode needs as many prompts of every form, and labels with points; got {counts}")
        count = next(iter(counts.values()))
        grid = (features.pyramid.embedding.shape[-2], features.pyramid.embedding.shape[-1])
        if count == 0:
            shape = (0, 3 if multimask else 1, 4 * grid[0], 4 * grid[1])
            return torch.zeros(shape, device=self.device), torch.zeros(shape[:2], device=self.device)
        spots = self._square(forms["boxes"], features.size), self._square(forms["points"], features.size)
        module = self.module
        with self._autocast():
            sparse = module.sparse(count, *spots, forms["labels"], forms["embeddings"])
            dense = module.dense(count, grid, forms["masks"])
            logits, quality = module.decode(features.pyramid, sparse, dense, multimask=multimask)
        return logits.float(), quality.float()

    def box_embeddings(self, boxes: Tensor | ArrayLike, size: tuple[int, int]) -> Tensor:
        """Boxes as one embedding each, ``(N, C)``: the sum of the embeddings of two corners.

        What a head may be taught to say; a model answers it as well as it was trained to (the small one was, released
        ones were not).

        Args:
            boxes: ``(N, 4)`` x1, y1, x2, y2 in pixels of the original image.
            size: (H, W) of that image.
        """
        given = self._tensor("boxes", boxes, (None, 4))
        assert given is not None
        with torch.no_grad():
            corners = self.module.sparse(len(given), self._square(given, size), None, None, None)[:, :2]
        summed: Tensor = corners.sum(1)
        return summed

    def upscale(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """``(N, h, w)`` logits → ``(N, H, W)`` logits of an image of that size, bilinear."""
        if not len(logits):
            return logits.new_zeros((0, *size))
        return F.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)[:, 0]

    def save(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Write ``config.json`` and ``model.safetensors``; ``dtype`` is that of the stored values."""
        save_model(self.module, Path(folder), dtype=dtype)

    def _segment(
        self, features: Any, prompts: Sequence[MaskPrompt], size: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        masks = np.zeros((len(prompts), *size), np.bool_)
        scores = np.zeros(len(prompts), np.float32)
        with torch.inference_mode():
            for group in groups(prompts, MOST_PROMPTS, self.embed_dim):
                logits, quality = self._best(features, group)
                upscaled = self.upscale(logits, size)
                masks[group.rows] = (upscaled > 0).cpu().numpy()
                scores[group.rows] = quality.clamp(0, 1).cpu().numpy()
        return masks, scores

    def _best(self, features: Sam2Features, group: Group) -> tuple[Tensor, Tensor]:
        """One mask per prompt: the single one, or the best of three by predicted quality."""
        several = self.multimask == "always" or (self.multimask == "auto" and group.ambiguous)
        logits, quality = self.decode(features, **group.forms, multimask=several)
        chosen = quality.argmax(dim=1)
        rows = torch.arange(len(chosen), device=chosen.device)
        return logits[rows, chosen], quality[rows, chosen]

    def _tensor(self, name: str, value: Any, shape: tuple[int | None, ...]) -> Tensor | None:
        if value is None:
            return None
        found = torch.as_tensor(value, dtype=None if isinstance(value, Tensor) else torch.float32, device=self.device)
        if found.ndim != len(shape) or any(
            want not in (None, got) for want, got in zip(shape, found.shape, strict=True)
        ):
            wanted = ", ".join("*" if each is None else str(each) for each in shape)
            raise ShapeError(f"{name} must be ({wanted}), got {tuple(found.shape)}")
        return found

    def _square(self, spots: Tensor | None, size: tuple[int, int]) -> Tensor | None:
        """From pixels of the original image to pixels of the square."""
        if spots is None:
            return None
        extent = torch.tensor([size[1], size[0]], dtype=torch.float32, device=spots.device)
        pairs = spots.float().reshape(*spots.shape[:-1], -1, 2) / extent * self.image_size
        return pairs.reshape(spots.shape)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self._dtype, enabled=self._dtype != torch.float32)
