"""What is pointed at comes back: chances stay chances, and the numbers of the one object pointed at can be copied."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache

from rsground.models.tower_lm.cursor import PLACE
from rsground.models.tower_lm.facts import NUMBERS
from rsground.models.tower_lm.recall import Memory, Recall

HIDDEN, COLUMNS = 8, 12
IDS = tuple(range(5, 1006))


def recall(gate: float, slot: int) -> Recall:
    """One that copies with a gate of that logit, always the same of an object's numbers."""
    made = Recall(HIDDEN, IDS)
    with torch.no_grad():
        for weight in (made.copies.weight, made.slot.weight, made.slot.bias):
            weight.zero_()
        made.copies.bias.fill_(gate)
        made.slot.bias[slot] = 50.0
    return made


def say(made: Recall, values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    said, states = torch.randn(len(weights), 1024), torch.randn(len(weights), HIDDEN)
    return made.logits(said, states, weights, values, torch.zeros(len(weights), dtype=torch.long)).exp()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(-9, 9), st.integers(0, 32))
def test_chances_sum_to_one(seed: int, gate: float, slot: int) -> None:
    torch.manual_seed(seed)
    values = torch.rand(1, COLUMNS, NUMBERS) * 1.2 - 0.1
    weights = torch.randn(3, COLUMNS + 1).mul(4).softmax(-1)[:, :-1]
    with torch.no_grad():
        chances = say(recall(gate, slot), values, weights)
    torch.testing.assert_close(chances.sum(-1), torch.ones(3), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("slot", "scale"), [(0, 1000), (3, 1000), (16, 100), (31, 100), (32, 180)])
def test_the_number_of_the_object_pointed_at_is_said(slot: int, scale: int) -> None:
    torch.manual_seed(slot)
    values = torch.rand(1, COLUMNS, NUMBERS) * 0.5
    number = slot % 16 if slot < 32 else 16
    weights = torch.eye(COLUMNS)[[2, 7]]
    with torch.no_grad():
        best = say(recall(20.0, slot), values, weights).argmax(-1) - IDS[0]
    wanted = (values[0, [2, 7], number] * scale).round().long()
    assert (best - wanted).abs().max() <= 1


def test_nothing_is_copied_where_nothing_is_pointed_at() -> None:
    made = recall(20.0, 0)
    said = torch.randn(1, 1024)
    nowhere = torch.zeros(1, COLUMNS)
    with torch.no_grad():
        states, values = torch.randn(1, HIDDEN), torch.rand(1, COLUMNS, NUMBERS)
        chances = made.logits(said, states, nowhere, values, torch.tensor([0])).exp()
    torch.testing.assert_close(chances, said.softmax(-1), rtol=0, atol=1e-5)


def test_words_without_an_image_point_at_nothing() -> None:
    made = Recall(HIDDEN, IDS)
    memory = Memory(
        torch.randn(1, 4, HIDDEN),
        torch.randn(1, 4, HIDDEN),
        torch.rand(1, 4, NUMBERS),
        torch.zeros(1, 4).bool(),
        torch.zeros(1, 4),
        torch.zeros(1, 4, PLACE),
    )
    words = torch.randn(1, 2, HIDDEN)
    states, weights = made(words, torch.randn(1, 2, 4), memory)
    assert not weights.any()
    torch.testing.assert_close(states, words)


def test_memory_goes_through_the_cache_column_by_column() -> None:
    torch.manual_seed(3)
    whole = Memory(
        torch.randn(2, 6, HIDDEN),
        torch.randn(2, 6, HIDDEN),
        torch.rand(2, 6, NUMBERS),
        torch.rand(2, 6) > 0.5,
        torch.randn(2, 6),
        torch.rand(2, 6, PLACE),
    )
    cache = DynamicCache()
    names = [field.name for field in fields(whole)]
    first, second = (Memory(*(getattr(whole, name)[:, a:b] for name in names)) for a, b in ((0, 4), (4, 6)))
    assert Memory.kept(None, 2) is None
    assert Memory.kept(cache, 2) is None
    assert first.after(None) is first
    first.into(None, 2)
    first.into(cache, 2)
    found = second.after(Memory.kept(cache, 2))
    second.into(cache, 2)
    for name in names:
        torch.testing.assert_close(getattr(found, name), getattr(whole, name))
    later = Memory(*(getattr(whole, name)[:, :0] for name in names)).after(Memory.kept(cache, 2))
    torch.testing.assert_close(later.numbers, whole.numbers)
