"""What the language side is taught: to point, and to write."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from rsground.models.tower_lm import TowerLM
from rsground.models.tower_lm.recall import written
from rsground.models.training.packing import Packed, Read


def pointer_loss(model: TowerLM, read: Read, packed: Packed) -> Tensor:
    """How far the pointer is from what is meant, per lesson: which token it is, and for each token whether it is.

    The first part is the cross-entropy of a softmax over the visual tokens and "none of them" (whose score is zero),
    any token that is meant being right; the second the binary cross-entropy summed over the tokens, a tenth of it.
    Lessons whose targets no visual token shows teach nothing here.
    """
    taught = packed.meant.any(1) | torch.tensor([not lesson.targets for lesson in packed.lessons])
    scores, meant = _asked(model, read, packed)[taught], packed.meant[taught]
    each = F.binary_cross_entropy_with_logits(scores, meant.to(scores.dtype), reduction="none").sum(1)
    loss: Tensor = (_which(scores, meant) + each / 10).sum() / max(len(scores), 1)
    return loss


def answer_pointer_loss(model: TowerLM, read: Read, packed: Packed) -> Tensor:
    """How far the words of an answer about one object are from pointing at it, mean over those words."""
    rows, columns, number = _singles(packed)
    if not len(rows):
        return read.plain.sum() * 0
    scores = model.pointer(read.plain, read.memory.offers)[rows, columns]
    return _which(scores, packed.meant[number]).mean()


def slot_loss(model: TowerLM, read: Read, packed: Packed, soft: SoftNumbers) -> Tensor:
    """How far the words before the numbers of one object are from choosing those among all that is known of it.

    Minus the logarithm of the chance of slots that hold the right number, give or take a Gaussian's spread of eight
    thousandths; which slot that is, is told by nobody else.
    """
    rows, columns, number = _singles(packed)
    labels = soft.number_of[packed.labels[rows, columns]]
    rows, columns, number, labels = (each[labels >= 0] for each in (rows, columns, number, labels))
    if not len(rows):
        return read.plain.sum() * 0
    meant = packed.meant[number].to(read.words.dtype)
    known = (meant[:, None] @ read.memory.numbers[rows])[:, 0] / meant.sum(1, keepdim=True)
    away = (written(known) - labels[:, None]) / torch.tensor([8.0] * 16 + [0.8] * 16 + [3.0])
    right = torch.exp(-(away**2) / 2) * 0.99 + 0.01
    chances = model.recall.slot(read.words[rows, columns]).softmax(-1)
    loss: Tensor = -(chances * right).sum(1).log().mean()
    return loss


def _singles(packed: Packed) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, columns and lesson numbers of the words before those of answers about one object that is shown."""
    single = packed.meant.any(1) & torch.tensor([len(lesson.targets) == 1 for lesson in packed.lessons])
    number = packed.segment.clamp(min=0)
    rows, columns = ((packed.labels >= 0) & single[number]).nonzero().unbind(1)
    return rows, columns, number[rows, columns]


def pointer_accuracy(model: TowerLM, read: Read, packed: Packed) -> Tensor:
    """Share of lessons in which exactly the right visual tokens score above one half."""
    share: Tensor = ((_asked(model, read, packed) > 0) == packed.meant).all(1).float().mean()
    return share


def _asked(model: TowerLM, read: Read, packed: Packed) -> Tensor:
    """Scores ``(N, V)`` where the lessons ask."""
    rows, columns = packed.asks.unbind(1)
    scores: Tensor = model.pointer(read.plain, read.memory.offers)[rows, columns]
    return scores


def _which(scores: Tensor, meant: Tensor) -> Tensor:
    """Cross-entropy ``(N,)`` of "any that is meant", or of "none" where none is."""
    scores = torch.cat([scores, torch.zeros_like(scores[:, :1])], 1)
    right = torch.cat([meant, ~meant.any(1, keepdim=True)], 1)
    return scores.logsumexp(1) - scores.masked_fill(~right, -torch.inf).logsumexp(1)


class SoftNumbers:
    """Cross-entropy that forgives a number its neighbours: targets spread as a Gaussian over the numbers beside it.

    Args:
        ids: number → token id, for the numbers 0 to N-1.
        vocabulary: number of tokens.
        spread: standard deviation, in steps.
    """

    def __init__(self, ids: dict[int, int], vocabulary: int, spread: float = 3.0) -> None:
        self.number_of = torch.full((vocabulary,), -1)
        self.number_of[list(ids.values())] = torch.tensor(list(ids))
        self.ids = torch.tensor(list(ids.values()))
        steps = torch.arange(len(ids), dtype=torch.float32)
        near = torch.exp(-((steps[:, None] - steps) ** 2) / (2 * spread**2))
        self.targets = near / near.sum(1, keepdim=True)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss ``(N,)`` in nats above the target's own entropy, for logits ``(N, vocabulary)`` and labels ``(N,)``."""
        logs = logits.float().log_softmax(-1)
        numbers = self.number_of[labels]
        is_number = numbers >= 0
        exact = -logs.gather(1, labels[:, None])[:, 0]
        if not is_number.any():
            return exact
        targets = self.targets[numbers[is_number]]
        spread = -(targets * logs[is_number][:, self.ids]).sum(1) + torch.special.xlogy(targets, targets).sum(1)
        return exact.masked_scatter(is_number, spread)


def text_loss(model: TowerLM, read: Read, packed: Packed, soft: SoftNumbers) -> Tensor:
    """Mean cross-entropy over the answers' tokens and their ends."""
    rows, columns = (packed.labels >= 0).nonzero().unbind(1)
    words, weights = read.words[rows, columns], read.weights[rows, columns]
    logits = model.get_output_embeddings()(words)
    if model.recall.numbers:
        logits = model.recall.logits(logits, words, weights, read.memory.numbers, rows)
    return soft(logits, packed.labels[rows, columns]).mean()
