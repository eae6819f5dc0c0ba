"""Prompts of any forms, sorted into groups that decode in one call each with the same answers as one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rsground.contracts import MaskPrompt
from rsground.errors import ShapeError


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Prompts of one form.

    Attributes:
        rows: their places in the list that was asked.
        forms: keyword arguments of :meth:`rsground_sam2.segmenter.Sam2Segmenter.decode`.
        ambiguous: at most one point and nothing else, where SAM 2 asks for three alternatives.
    """

    rows: list[int]
    forms: dict[str, Any]
    ambiguous: bool


Form = tuple[bool, int, int, tuple[int, ...] | None]


def groups(prompts: Sequence[MaskPrompt], most: int, width: int) -> Iterator[Group]:
    """Groups of at most ``most`` prompts that have the same parts; padding to a common form would change answers.

    Raises:
        ShapeError: a prompt is empty, its coarse mask is not 2-D, or its embedding is not of ``width``.
    """
    forms: dict[Form, list[int]] = {}
    for row, prompt in enumerate(prompts):
        forms.setdefault(_form(row, prompt, width), []).append(row)
    for form, rows in forms.items():
        for start in range(0, len(rows), most):
            chosen = rows[start : start + most]
            yield Group(chosen, _stack([prompts[row] for row in chosen], form, width), _ambiguous(form))


def _form(row: int, prompt: MaskPrompt, width: int) -> Form:
    """Box or not, points, rows of embedding, shape of the coarse mask."""
    points = len(prompt.points) + len(prompt.negative_points)
    rows = 0
    if prompt.embedding is not None:
        shape = tuple(prompt.embedding.shape)
        if shape[-1:] != (width,) or len(shape) > 2:
            raise ShapeError(f"prompt {row}: an embedding is ({width},) or (K, {width}), got {shape}")
        rows = 1 if len(shape) == 1 else shape[0]
    mask = None if prompt.mask is None else prompt.mask.shape
    if mask is not None and len(mask) != 2:
        raise ShapeError(f"prompt {row}: a coarse mask is (h, w) logits, got {mask}")
    if prompt.box is None and not points and not rows and mask is None:
        raise ShapeError(f"prompt {row} is empty; give a box, a point, a coarse mask or an embedding")
    return prompt.box is not None, points, rows, mask


def _ambiguous(form: Form) -> bool:
    box, points, rows, mask = form
    return not box and points == 1 and not rows and mask is None


def _stack(prompts: Sequence[MaskPrompt], form: Form, width: int) -> dict[str, Any]:
    box, points, rows, mask = form
    stacked: dict[str, Any] = {}
    if box:
        stacked["boxes"] = np.array([prompt.box for prompt in prompts], np.float32)
    if points:
        spots = [(*prompt.points, *prompt.negative_points) for prompt in prompts]
        marks = [[1] * len(prompt.points) + [0] * len(prompt.negative_points) for prompt in prompts]
        stacked["points"], stacked["labels"] = np.array(spots, np.float32), np.array(marks, np.float32)
    if mask is not None:
        stacked["masks"] = np.stack([np.asarray(prompt.mask, np.float32) for prompt in prompts])[:, None]
    if rows:
        stacked["embeddings"] = torch.stack([prompt.embedding.reshape(rows, width) for prompt in prompts])
    return stacked
