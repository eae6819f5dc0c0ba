"""What the language side is taught: to point, and to write."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from rsground.models.tower_lm import TowerLM
from rsground.models.training.packing import Packed


def pointer_loss(model: TowerLM, states: Tensor, packed: Packed) -> Tensor:
    """Binary cross-entropy of "this visual token shows what is meant", per lesson.

    A token that is meant weighs as much as it takes to make one lesson's tokens count alike on both sides.
    """
    rows, columns = packed.asks.unbind(1)
    visual = packed.meant.shape[1]
    scores = model.pointer(states[rows, visual + columns], states[:, :visual][rows])
    wanted = packed.meant.to(scores.dtype)
    each = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    return each.sum(1).mean() / 4


def pointer_accuracy(model: TowerLM, states: Tensor, packed: Packed) -> Tensor:
    """Share of lessons in which exactly the right visual tokens score above one half."""
    rows, columns = packed.asks.unbind(1)
    visual = packed.meant.shape[1]
    scores = model.pointer(states[rows, visual + columns], states[:, :visual][rows])
    return ((scores > 0) == packed.meant).all(1).float().mean()


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
