"""GeoMag's mask side: Eq. 1, several [SEG] tokens and several scales, weighted.

``Mask = sum_l w_l Decoder(sum_n b_n h_n, f_l)``: h_n are the states of the N segmentation tokens that the language
model writes for one mask, f_l the features of the image at L scales. The paper gives neither N, L, the weights, nor
whether they are learned; here they are options, fixed while training.

The tokens are a matter of the head: :func:`geomag_head` is whatever head is registered as ``geopixel`` with N tokens
per mask. The scales are a matter of the segmenter: :class:`WeightedScales` stands before any segmenter that decodes
embeddings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rsground.codecs import Grammar
from rsground.errors import ShapeError
from rsground.registry import registry, target_of
from rsground.types import Generation, Prediction, Sample, View
from rsground_magcrop.token_runs import TokenRuns

if TYPE_CHECKING:
    from torch import Tensor

_BASE = "geopixel"


def geomag_head(
    checkpoint: str | None = None, tokens: int = 3, token_weights: Sequence[float] | None = None, **options: Any
) -> Any:
    """The head ``geopixel`` with ``tokens`` [SEG] per mask, whose states are added up by their weights (Eq. 1).

    Args:
        checkpoint: of the head.
        tokens: N of Eq. 1 (open); 1 is GeoPixel itself.
        token_weights: b_n (open); None for 1/N each. Not normalised.
        options: of head ``geopixel``.

    Raises:
        UnknownNameError: no plugin offers a head ``geopixel``.
        ShapeError: no tokens, or another number of weights.
    """
    weights = weights_of("token_weights", token_weights, tokens)
    base = target_of(registry().find("head", _BASE))
    kind = type("GeoMagHead", (WeightedTokens, base), {"__doc__": geomag_head.__doc__})
    head = kind(checkpoint, **options)
    head.token_weights = weights
    return head


def weights_of(name: str, given: Sequence[float] | None, count: int) -> tuple[float, ...]:
    """``count`` weights, equal shares unless given.

    Raises:
        ShapeError: none at all, or another number.
    """
    if count < 1:
        raise ShapeError(f"there must be at least one of what {name!r} weighs, got {count}")
    weights = (1.0 / count,) * count if given is None else tuple(float(weight) for weight in given)
    if len(weights) != count:
        raise ShapeError(f"option {name!r} must have one weight each for {count}, got {len(weights)}")
    return weights


class WeightedTokens:
    """What Eq. 1 changes of a head with one [SEG] per mask; stands before it in the order of bases."""

    state_token: str
    token_ids: Mapping[str, int]
    token_weights: tuple[float, ...] = (1.0,)

    def target(self, sample: Sample, view: View) -> str:
        """The base head's answer with every [SEG] written N times."""
        answer: str = super().target(sample, view)  # type: ignore[misc]
        return answer.replace(self.state_token, self.state_token * len(self.token_weights))

    def grammar(self, sample: Sample, view: View) -> Grammar | None:
        """The base head's, with every [SEG] up to N times in a row."""
        found: Grammar | None = super().grammar(sample, view)  # type: ignore[misc]
        count = len(self.token_weights)
        return found if found is None or count == 1 else TokenRuns(found, self.state_token, count)

    def loss(self, hidden: Sequence[Any], samples: Sequence[Sample], views: Sequence[View]) -> Mapping[str, Any]:
        """The base head's losses on the weighted states.

        Args:
            hidden: per sample ``(N K, D)``, the states at all [SEG] of the right answer.
            samples, views: as the base head's.
        """
        merged = [self._merged(states, [len(states)]) for states in hidden]
        found: Mapping[str, Any] = super().loss(merged, samples, views)  # type: ignore[misc]
        return found

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        """The base head's reading of the answer with every N [SEG] in a row taken for one."""
        collapsed = self._collapsed(generation)
        found: Prediction = super()._read(collapsed, sample, view)  # type: ignore[misc]
        return replace(found, text=found.text or collapsed.text)

    def _collapsed(self, generation: Generation) -> Generation:
        from rsground.models.tokens import states_at

        count = len(self.token_weights)
        mark = re.escape(self.state_token)
        runs: list[int] = []

        def fewer(match: re.Match[str]) -> str:
            runs.append(match[0].count(self.state_token))
            return self.state_token * -(-runs[-1] // count)

        text = re.sub(f"{mark}(?:\\s*{mark})*", fewer, generation.text)
        token = self.token_ids.get(self.state_token, -1)
        states = states_at(generation, token)
        if states is None:
            return replace(generation, text=text)
        merged = self._merged(states, runs)
        return replace(generation, text=text, hidden=merged, token_ids=(token,) * len(merged))

    def _merged(self, states: Tensor, runs: Sequence[int]) -> Tensor:
        """``(M, D)``: every N rows of a run by their weights; a rest of fewer rows by their own weights' share."""
        rows, start = [], 0
        for run in runs:
            stop = min(start + run, len(states))
            for first in range(start, stop, len(self.token_weights)):
                part = states[first : min(first + len(self.token_weights), stop)]
                rows.append(self._sum(part))
            start = stop
        return states.new_zeros(0, states.shape[-1]) if not rows else _stack(rows)

    def _sum(self, part: Tensor) -> Tensor:
        weights = part.new_tensor(self.token_weights)
        mine = weights[: len(part)]
        if len(part) < len(weights) and bool(mine.sum() != 0):
            mine = mine * (weights.sum() / mine.sum())
        return (part * mine[:, None]).sum(dim=0)


def _stack(rows: Sequence[Tensor]) -> Tensor:
    import torch

    stack: Callable[[list[Tensor]], Tensor] = torch.stack
    return stack(list(rows))
