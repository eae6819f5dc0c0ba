"""What the language side is taught: to point, and to write."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from rsground.models.tower_lm import TowerLM
from rsground.models.tower_lm.recall import written
from rsground.models.training.packing import Packed, Read


def pointer_loss(read: Read, packed: Packed) -> Tensor:
    """How far the pointer and the judge are from what is meant, per lesson.

    Two parts each: which token it is, the cross-entropy of a softmax over the visual tokens and "none of them" (whose
    score is zero), any token that is meant being right; and for each token whether it is, the binary cross-entropy
    summed over the tokens, at a tenth for the pointer and three tenths for the judge, on whom sets of objects rest.
    Lessons whose targets no visual token shows teach nothing here, nor do those asked without the image.
    """
    taught = packed.meant.any(1) | torch.tensor([not lesson.targets for lesson in packed.lessons])
    taught &= packed.sees
    meant = packed.meant[taught]
    first, settled = read.verdict.first[taught, 0], read.verdict.settled[taught, 0]
    loss = _pointing(first, meant, 0.1)
    if read.verdict.settled is not read.verdict.first:
        loss = loss / 2 + _pointing(settled, meant, 0.3)
    return loss.sum() / max(len(meant), 1)


def steps_loss(read: Read, packed: Packed) -> Tensor:
    """How far the judge's rounds are from what questions choose among and start from, for those of which it is known.

    The binary cross-entropy summed over the visual tokens, at a tenth, mean over known steps, rounds and both sets.
    """
    members = read.verdict.members
    assert members is not None, "steps_loss() needs a model whose judge compares"
    steps = min(members.shape[1], packed.known.shape[1])
    among, meant = packed.steps[:, :, 0], packed.steps[:, :, 1]
    starts = torch.cat([meant[:, 1:], torch.zeros_like(meant[:, :1])], 1)
    known = packed.known[:, :steps]
    wanted = torch.stack([among, starts], 2)[:, :steps][known]
    found = members[:, :steps][known]
    each = F.binary_cross_entropy_with_logits(
        found, wanted[:, None].expand(found.shape).to(found.dtype), reduction="none"
    )
    loss: Tensor = 0.1 * each.sum(-1).mean() if len(found) else found.sum()
    return loss


def starts_loss(read: Read, packed: Packed) -> Tensor:
    """How far the pointer and the judge are from what questions start from, mean over the steps of which it is known.

    The cross-entropy of a softmax over the visual tokens and "none of them", half of each.
    """
    steps = min(read.verdict.first.shape[1], packed.known.shape[1])
    known, meant = packed.known[:, 1:steps], packed.steps[:, 1:steps, 1]
    found = (each[:, 1:steps][known] for each in (read.verdict.first, read.verdict.settled))
    losses = [_which(scores, meant[known]) for scores in found]
    loss: Tensor = torch.stack(losses).mean() if len(losses[0]) else read.verdict.first.sum() * 0
    return loss


def _pointing(scores: Tensor, meant: Tensor, whether: float) -> Tensor:
    each = F.binary_cross_entropy_with_logits(scores, meant.to(scores.dtype), reduction="none").sum(1)
    return _which(scores, meant) + whether * each


def answer_pointer_loss(read: Read, packed: Packed) -> Tensor:
    """How far the words of answers are from pointing at the object that is written next, mean over those words."""
    rows, columns = _told(packed)
    if not len(rows):
        return read.plain.sum() * 0
    return _which(read.scores[rows, columns], _next(packed, rows, columns)).mean()


def complete_loss(model: TowerLM, read: Read, packed: Packed) -> Tensor:
    """How far the ledger is from telling which words complete an object, mean over the words of which it is known; of a
    question whose answer is not taught, it is known of none."""
    assert model.ledger is not None, "complete_loss() needs a model with a ledger"
    here = packed.about
    after = torch.cat([here[:, 1:], torch.full_like(here[:, :1], -1)], 1)
    last = (here >= 0) & (after != here)
    known = here != -1
    untaught = torch.tensor([not lesson.answer for lesson in packed.lessons], dtype=torch.bool)
    known[packed.asks[untaught].unbind(1)] = False
    found = model.ledger.completes(read.plain[known])[:, 0]
    loss: Tensor = F.binary_cross_entropy_with_logits(found, last[known].to(found.dtype))
    return loss if len(found) else read.plain.sum() * 0


def slot_loss(model: TowerLM, read: Read, packed: Packed, soft: SoftNumbers) -> Tensor:
    """How far the words before the numbers of an object are from choosing those among all that is known of it.

    Minus the logarithm of the chance of slots that hold the right number, give or take a Gaussian's spread of eight
    thousandths; which slot that is, is told by nobody else.
    """
    rows, columns = _told(packed)
    labels = packed.labels[rows, columns]
    numbers = torch.where(labels >= 0, soft.number_of[labels.clamp(min=0)], -1)
    asked = (numbers >= 0) & (packed.about[rows, columns] >= 0)
    rows, columns, numbers = (each[asked] for each in (rows, columns, numbers))
    if not len(rows):
        return read.plain.sum() * 0
    meant = _next(packed, rows, columns).to(read.words.dtype)
    known = (meant[:, None] @ read.memory.numbers[rows])[:, 0] / meant.sum(1, keepdim=True)
    away = (written(known) - numbers[:, None]) / torch.tensor([8.0] * 16 + [0.8] * 16 + [3.0])
    right = torch.exp(-(away**2) / 2) * 0.99 + 0.01
    chances = model.recall.slot(read.words[rows, columns]).softmax(-1)
    loss: Tensor = -(chances * right).sum(1).log().mean()
    return loss


def _told(packed: Packed) -> tuple[Tensor, Tensor]:
    """Rows and columns of the words of which it is known what comes next: an object that is shown, or none."""
    seen = (packed.shown[:, None] == packed.about[..., None]).any(-1) & (packed.about >= 0)
    rows, columns = (seen | (packed.about == -2)).nonzero().unbind(1)
    return rows, columns


def _next(packed: Packed, rows: Tensor, columns: Tensor) -> Tensor:
    """Whether ``(N, V)`` a visual token shows what the next token is about."""
    about = packed.about[rows, columns][:, None]
    meant: Tensor = (packed.shown[rows] == about) & (about >= 0)
    return meant


def pointer_accuracy(read: Read, packed: Packed) -> Tensor:
    """Share of lessons about the image in which exactly the right visual tokens score above one half; 1 without any."""
    right = ((read.verdict.settled[:, 0] > 0) == packed.meant).all(1)[packed.sees]
    return right.float().mean() if len(right) else torch.ones(())


def starts_accuracy(read: Read, packed: Packed) -> Tensor:
    """Share of questions that start from something of which the judge's first choice of it is right; 1 without any."""
    some = packed.known[:, 1] & packed.steps[:, 1, 1].any(1)
    right = first_choice_right(read.verdict.settled[some, 1], packed.steps[some, 1, 1])
    return right.float().mean() if len(right) else torch.ones(())


def first_choice_right(scores: Tensor, meant: Tensor) -> Tensor:
    """Whether ``(N,)`` the best of ``(N, V)`` scores and of "none", whose score is zero, is what is meant."""
    best = torch.cat([scores, torch.zeros_like(scores[:, :1])], 1).argmax(1, keepdim=True)
    found: Tensor = torch.cat([meant, ~meant.any(1, keepdim=True)], 1).gather(1, best)[:, 0]
    return found


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
