"""Stages two and three: the language side learns what is meant, then one paradigm's way of saying it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from rsground.contracts import Head, TokenHead
from rsground.models.tokens import rows_read
from rsground.models.tower_lm import TowerLM
from rsground.models.tower_lm.facts import Facts
from rsground.models.training.fact_cache import FactCache
from rsground.models.training.language_losses import (
    SoftNumbers,
    answer_pointer_loss,
    complete_loss,
    pointer_accuracy,
    pointer_loss,
    slot_loss,
    starts_accuracy,
    starts_loss,
    steps_loss,
    text_loss,
)
from rsground.models.training.lessons import Asked
from rsground.models.training.packing import Packed, Read, pack, run_packed
from rsground.models.training.refusal import Refusal


class PackLessons:
    """Collates what is taught of images into facts and packed lessons.

    Args:
        cache: facts of the images.
        end: the token that ends an answer.
    """

    def __init__(self, cache: FactCache, end: int) -> None:
        self.cache, self.end = cache, end

    def __call__(self, batch: Sequence[Asked]) -> dict[str, Any]:
        numbers = [asked.at for asked in batch]
        rows = torch.tensor(numbers)
        found = self.cache.facts.select(rows).to(torch.device("cpu"), torch.float32)
        packed = pack(
            [asked.lessons for asked in batch], self.cache.shows[rows].unbind(), found.numbers.shape[1], self.end
        )
        refused = [each for asked in batch for each in asked.refused]
        return {"found": found, "packed": packed, "images": numbers, "refused": refused}


class LanguageModel(BaseModel):  # type: ignore[misc]
    """The small model with all that looks at images frozen.

    Args:
        model: the model.
        soft: how numbers are taught.
        heads: the paradigms whose answers are taught, together; none to teach pointing alone.
        book: the training images, for heads that look at them.
        pointing: weight of the pointer's loss.
    """

    def __init__(
        self,
        model: TowerLM,
        soft: SoftNumbers | None = None,
        heads: Sequence[Head] = (),
        book: Any = None,
        pointing: float = 1.0,
    ) -> None:
        super().__init__()
        self.model, self.soft, self.book, self.pointing = model, soft, book, pointing
        self.model.tower.requires_grad_(False)
        if self.model.look is not None:
            self.model.look.requires_grad_(False)
        self.heads = list(heads)
        self.readers = nn.ModuleList(head for head in heads if isinstance(head, nn.Module))  # trained along
        trained = [each for head in heads if hasattr(head, "trainable") for each in head.trainable()]
        beside = [parameter for name, parameter in trained if name.startswith("segmenter.")]
        self.beside = nn.ParameterList(beside)  # what a head trains of its segmenter, which is no part of it

    def train(self, mode: bool = True) -> LanguageModel:
        """As of any module; the tower stays in evaluation mode."""
        super().train(mode)
        self.model.tower.eval()
        return self

    def forward(
        self, found: Facts, packed: Packed, images: Sequence[int], mode: str = "loss", refused: Sequence[Refusal] = ()
    ) -> dict[str, Tensor]:
        """Losses by name, and the pointer's accuracy; what was passed over (``refused``) is told by others."""
        del mode, refused
        read = run_packed(self.model, found, packed)
        losses = {"loss_pointer": self.pointing * pointer_loss(read, packed)}
        if read.verdict.members is not None:
            losses["loss_steps"] = self.pointing * steps_loss(read, packed)
        starts = read.verdict.first.shape[1] > 1
        if starts:
            losses["loss_starts"] = self.pointing * starts_loss(read, packed)
        with torch.no_grad():
            losses["accuracy"] = pointer_accuracy(read, packed)
            losses |= {"starts": starts_accuracy(read, packed)} if starts else {}
        if self.soft is not None and (packed.labels >= 0).any():
            losses["loss_text"] = text_loss(self.model, read, packed, self.soft)
            losses["loss_slot"] = self.pointing * slot_loss(self.model, read, packed, self.soft)
        if self.soft is not None:
            losses["loss_kept"] = self.pointing * answer_pointer_loss(read, packed)
            if self.model.ledger is not None:
                losses["loss_complete"] = complete_loss(self.model, read, packed)
        for number, head in enumerate(self.heads):
            if isinstance(head, TokenHead):
                losses.update(self._read(number, head, read, packed, images))
        return losses

    def _read(
        self, number: int, head: TokenHead, read: Read, packed: Packed, images: Sequence[int]
    ) -> dict[str, Tensor]:
        """The losses a head takes on the states of its tokens, by the head's number."""
        samples, views, hidden = [], [], []
        seen = [self.book.view(each) for each in images]  # one each, so that heads can tell them apart
        for lesson, (row, mark) in zip(packed.lessons, packed.asks.tolist(), strict=True):
            if lesson.head != number or lesson.sample is None:
                continue
            fed = read.words[row, mark + 1 : mark + 1 + len(lesson.answer)]
            samples.append(lesson.sample)
            views.append(seen[row])
            hidden.append(fed[rows_read(head, torch.tensor(lesson.answer, dtype=torch.long))])
        made = head.loss(hidden, samples, views) if samples else {}
        return {f"loss_{number}_{name}": value for name, value in made.items()}
