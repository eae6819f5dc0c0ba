"""What the language side is taught: to point, and to write."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from rsground.models.tower_lm import TowerLM
from rsground.models.training.packing import Packed


def pointer_loss(model: TowerLM, states: Tensor, packed: Packed) -> Tensor:
    """How far the pointer is from what is meant, per lesson: which token it is, and for each token whether it is.

    The first part is the cross-entropy of a softmax over the visual tokens and "none of them" (whose score is zero),
    any token that is meant being right; the second the binary cross-entropy summed over the tokens, a tenth of it.
    Lessons whose targets no visual token shows teach nothing here.
    """
    rows, columns = packed.asks.unbind(1)
    visual = packed.meant.shape[1]
    shown = packed.meant.any(1)
    taught = shown | torch.tensor([not lesson.targets for lesson in packed.lessons])
    scores = model.pointer(states[rows, visual + columns], states[:, :visual][rows])[taught]
    meant, shown = packed.meant[taught], shown[taught]
    each = F.binary_cross_entropy_with_logits(scores, meant.to(scores.dtype), reduction="none").sum(1)
    scores = torch.cat([scores, torch.zeros_like(scores[:, :1])], 1)
    right = torch.cat([meant, ~shown[:, None]], 1)
    which = scores.logsumexp(1) - scores.masked_fill(~right, -torch.inf).logsumexp(1)
    loss: Tensor = (which + each / 10).sum() / max(len(scores), 1)
    return loss


def pointer_accuracy(model: TowerLM, states: Tensor, packed: Packed) -> Tensor:
    """Share of lessons in which exactly the right visual tokens score above one half."""
    rows, columns = packed.asks.unbind(1)
    visual = packed.meant.shape[1]
    scores = model.pointer(states[rows, visual + columns], states[:, :visual][rows])
    share: Tensor = ((scores > 0) == packed.meant).all(1).float().mean()
    return share


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


def text_loss(model: TowerLM, states: Tensor, packed: Packed, soft: SoftNumbers) -> Tensor:
    """Mean cross-entropy over the answers' tokens and their ends."""
    visual = states.shape[1] - packed.ids.shape[1]
    asked = packed.labels >= 0
    logits = model.get_output_embeddings()(states[:, visual:][asked])
    return soft(logits, packed.labels[asked]).mean()
