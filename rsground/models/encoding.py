"""From prompts to a batch of tensors: chat template, processor, answers to force, padding on the left.

Each prompt goes through the processor alone, so that a prompt that cannot be taken costs nobody else anything, and a
batch is put together afterwards. Rows of a batch end at the same place: the last tokens of all rows are the last
columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsground.contracts import Prompt
from rsground.errors import PromptError

FALLBACK = "USER: {images}{text} ASSISTANT:"
"""How a turn is worded for a processor without a chat template: LLaVA-1.5's way, each image on a line of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One prompt as the model takes it.

    Attributes:
        prompt: what was asked.
        tokens: per-token inputs, each ``(T,)``; ``input_ids`` among them.
        extras: other inputs by name, first axis over images, tiles or patches.
        visual: ``(T,)`` bool, where the visual tokens stand.
        answer: tokens to force after the prompt, without the end; None to generate.
    """

    prompt: Prompt
    tokens: dict[str, Tensor]
    extras: dict[str, Tensor]
    visual: Tensor
    answer: tuple[int, ...] | None

    @property
    def length(self) -> int:
        """Tokens of the prompt, visual ones included."""
        return len(self.visual)

    @property
    def needs(self) -> tuple[Any, ...]:
        """Prompts with equal needs can share a batch: the same inputs, of shapes that can be joined."""
        shapes = tuple((key, tuple(value.shape[_free_axes(value) :])) for key, value in sorted(self.extras.items()))
        return (self.answer is not None, tuple(sorted(self.tokens)), shapes)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of equal length, padded on the left.

    Attributes:
        inputs: what the model is called with, on its device: ``input_ids`` ``(B, L)``, images and so on.
        mask: ``(B, L)`` long, 1 where a token stands.
        rows: the prompts.
        pads: number of padding columns on the left of each row.
    """

    inputs: dict[str, Tensor]
    mask: Tensor
    rows: Sequence[Encoded]
    pads: tuple[int, ...]


class Encoder:
    """Words turns and tokenizes them.

    Args:
        processor: a processor of the hub kind: ``__call__(text, images, return_tensors)`` and ``tokenizer``.
        image_token_id: the token that stands for a piece of an image.
    """

    def __init__(self, processor: Any, image_token_id: int) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.image_token_id = image_token_id
        self.image_mark: str = self.tokenizer.convert_ids_to_tokens(image_token_id)

    def encode(self, prompt: Prompt) -> Encoded:
        """One prompt's tensors, on the CPU.

        Raises:
            PromptError: the text holds the mark that stands for an image.
        """
        for name, text in (("text", prompt.text), ("answer", prompt.answer or "")):
            if self.image_mark in text:
                raise PromptError(
                    f"a prompt's {name} must not hold {self.image_mark!r}, the mark this model puts images at; the "
                    f"backbone adds it itself, so leave it out"
                )
        images: list[Any] = [] if prompt.view is None else [*map(_writeable, prompt.view.images)]
        turn = self._turn(prompt.text, len(images))
        bos = self.tokenizer.bos_token
        more = {"add_special_tokens": False} if bos is not None and turn.startswith(bos) else {}
        shown = [images] if len(images) > 1 else images or None  # nested: several images of one prompt
        found = dict(self.processor(text=[turn], images=shown, return_tensors="pt", **more))
        length = found["input_ids"].shape[1]
        found.pop("attention_mask", None)
        tokens = {key: value[0] for key, value in found.items() if tuple(value.shape) == (1, length)}
        extras = {key: value for key, value in found.items() if key not in tokens}
        answer = None if prompt.answer is None else tuple(self.answer_ids(prompt.answer))
        return Encoded(prompt, tokens, extras, tokens["input_ids"] == self.image_token_id, answer)

    def answer_ids(self, text: str) -> list[int]:
        """Tokens of an answer, without begin and end marks."""
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def _turn(self, text: str, images: int) -> str:
        """The user's turn with its images first, and the beginning of the model's."""
        if getattr(self.processor, "chat_template", None) is None:
            return FALLBACK.format(images=f"{self.image_mark}\n" * images, text=text)
        content = [{"type": "image"}] * images + [{"type": "text", "text": text}]
        turn: str = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        return turn


def _writeable(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image, or a copy of one that must not change: torch warns of arrays that it could write to by mistake."""
    return image if image.flags.writeable and image.flags.c_contiguous else image.copy()


def grouped(rows: Sequence[Encoded]) -> list[list[int]]:
    """Indices of prompts that can share a batch, longest first so that little is padded."""
    groups: dict[Any, list[int]] = {}
    for index in sorted(range(len(rows)), key=lambda index: -rows[index].length):
        groups.setdefault(rows[index].needs, []).append(index)
    return list(groups.values())


def join(
    rows: Sequence[Encoded], tails: Sequence[Sequence[int]], pad: int, device: torch.device, dtype: torch.dtype
) -> Batch:
    """A batch of prompts with equal needs, each followed by its tail (tokens to force; may be empty).

    Args:
        rows: the prompts.
        tails: per row, tokens that follow the prompt.
        pad: token id for the columns left of shorter rows.
        device: where the batch goes.
        dtype: of floating-point inputs (pixels).
    """
    lengths = [row.length + len(tail) for row, tail in zip(rows, tails, strict=True)]
    width = max(lengths)
    inputs: dict[str, Tensor] = {}
    for key, sample in rows[0].tokens.items():
        plane = torch.full((len(rows), width), pad if key == "input_ids" else 0, dtype=sample.dtype)
        for index, (row, tail) in enumerate(zip(rows, tails, strict=True)):
            begin = width - lengths[index]
            plane[index, begin : begin + row.length] = row.tokens[key]
            if key == "input_ids" and tail:
                plane[index, begin + row.length :] = torch.tensor(tail)
        inputs[key] = plane
    for key in rows[0].extras:
        inputs[key] = _stacked([row.extras[key] for row in rows])
    pads = tuple(width - length for length in lengths)
    mask = (torch.arange(width) >= torch.tensor(pads)[:, None]).long()
    moved = {key: value.to(device, dtype if value.is_floating_point() else None) for key, value in inputs.items()}
    return Batch(moved, mask.to(device), rows, pads)


def _free_axes(value: Tensor) -> int:
    """Leading axes that may differ within a batch: images; of tiled images (I, tiles, C, H, W) the tiles too."""
    return 2 if value.dim() == 5 else 1


def _stacked(values: Sequence[Tensor]) -> Tensor:
    if values[0].dim() == 5:
        most = max(value.shape[1] for value in values)
        values = [torch.cat([value, value.new_zeros(_gap(value, most))], dim=1) for value in values]
    return torch.cat(list(values))


def _gap(value: Tensor, most: int) -> tuple[int, ...]:
    return (value.shape[0], most - value.shape[1], *value.shape[2:])
