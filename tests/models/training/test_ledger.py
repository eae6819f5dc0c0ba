"""The ledger: what is written counts from the next word on, for all tokens that show it, and goes through the cache."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box
from small import inputs, model, piece_by_piece, tokenizer
from transformers import DynamicCache

from rsground.models.tower_lm.cursor import PLACE
from rsground.models.tower_lm.facts import NUMBERS
from rsground.models.tower_lm.ledger import Ledger, already, overlaps
from rsground.models.tower_lm.recall import Memory
from rsground.models.training.dense import normalised
from rsground.models.training.language_losses import complete_loss
from rsground.models.training.packing import Lesson, pack, run_packed

HIDDEN, LAYER = 8, 2
WORDS = tokenizer()
BOXES = [(0.1, 0.1, 0.2, 0.2), (0.11, 0.1, 0.21, 0.2), (0.5, 0.5, 0.9, 0.6), (0.0, 0.0, 0.0, 0.0)]
"""An object, another token that shows it, another object, and nothing at all."""


def numbers(boxes: Any) -> torch.Tensor:
    rows = torch.zeros(1, len(boxes), NUMBERS)
    rows[0, :, :4] = torch.tensor(boxes)
    return rows


def columns(words: int) -> Memory:
    """What stands before ``words`` words: the boxes."""
    length = len(BOXES)
    return Memory(
        torch.randn(1, length + words, HIDDEN),
        torch.randn(1, length + words, HIDDEN),
        torch.cat([numbers(BOXES), torch.zeros(1, words, NUMBERS)], 1),
        torch.tensor([[True] * length + [False] * words]),
        torch.zeros(1, length + words),
        torch.zeros(1, length + words, PLACE),
    )


def ledger(bias: float = 0.0) -> Ledger:
    """Words whose first number is positive complete an object."""
    made = Ledger(HIDDEN)
    made.begin()
    with torch.no_grad():
        made.completes.weight[0, 0] = 1.0
        made.heeds.bias.fill_(bias)
    return made


def pointing(places: list[int]) -> Any:
    """Points at these columns, word by word; at nothing where that is negative."""
    said = iter(places)

    def point(states: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
        weights = torch.zeros_like(written, dtype=torch.float32)
        if (place := next(said)) >= 0:
            weights[..., place] = 0.9
        return weights

    return point


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=2, max_size=5))
def test_overlap_is_shapelys(sides: list[list[float]]) -> None:
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in sides]
    found = overlaps(numbers(boxes), numbers(boxes))[0]
    shapes = [box(*each) for each in boxes]
    for row, one in enumerate(shapes):
        for column, other in enumerate(shapes):
            union = one.union(other).area
            iou = one.intersection(other).area / union if union > 1e-9 else 0.0
            if abs(iou - 0.5) > 1e-3 and union > 1e-6:
                assert bool(found[row, column]) == (iou > 0.5)


def test_what_is_written_counts_from_the_next_word_on() -> None:
    states = torch.full((1, 4, HIDDEN), -1.0)
    states[0, [1, 2], 0] = 1.0
    memory = columns(4)
    answering = torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        written, told = ledger().follow(states, memory, answering, pointing([0, 2]))
        silent, nothing = ledger().follow(states, memory, ~answering, pointing([]))
        nowhere, empty = ledger().follow(states, memory, answering, pointing([-1, -1]))
    assert written[0, :, : len(BOXES)].tolist() == [
        [False, False, False, False],
        [False, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
    ]
    assert not written[0, :, len(BOXES) :].any(), "words are no objects"
    assert told[0, :, :4].tolist() == [[0.0] * 4, *numbers(BOXES)[0, [0, 2], :4].tolist(), [0.0] * 4]
    assert not silent.any()
    assert not nothing.any()
    assert not nowhere.any()
    assert not empty.any()


@pytest.mark.parametrize("split", [1, 2, 3])
def test_the_cache_keeps_what_is_written(split: int) -> None:
    states = torch.full((1, 4, HIDDEN), -1.0)
    states[0, [1, 2], 0] = 1.0
    whole, keeper, cache = columns(4), ledger(), DynamicCache()
    answering = torch.ones(1, 4, dtype=torch.bool)
    point = pointing([0, 2])
    found = []
    with torch.no_grad():
        wanted, _ = keeper.follow(states, whole, answering, pointing([0, 2]))
        for start, stop in ((0, split), (split, 4)):
            first = 0 if start == 0 else len(BOXES) + start
            own = Memory(*(getattr(whole, each.name)[:, first : len(BOXES) + stop] for each in fields(Memory)))
            every = own.after(Memory.kept(cache, LAYER))
            written, told = keeper.follow(states[:, start:stop], every, answering[:, start:stop], point)
            found.append(written[..., : len(BOXES)])
            rows = own.numbers.clone()
            rows[:, -(stop - start) :] += told
            replace(own, numbers=rows).into(cache, LAYER)
        end = Memory.kept(cache, LAYER)
        assert end is not None
    assert torch.equal(torch.cat(found, 1), wanted[..., : len(BOXES)])
    assert already(end)[0, : len(BOXES)].tolist() == [True, True, True, False]


def test_what_is_taken_off_stays_in_bounds() -> None:
    words = torch.randn(2, 5, HIDDEN) * 100
    for bias in (-50.0, 0.0, 50.0):
        less = ledger(bias).less(words)
        assert less.shape == (2, 5, 1)
        assert less.min() >= 0
        assert less.max() <= 16


@torch.no_grad()
def test_an_answer_word_by_word_equals_the_whole() -> None:
    small = model(WORDS, ledger=True)
    assert small.ledger is not None
    text = "<image>Where is the large white ship<answer>[12, 40, 300, 999], [12, 40, 300, 999], [0, 0, 1, 1]"
    given = inputs(small, WORDS, text)
    small.pointer.bias.fill_(2.0)  # so that words do point
    small.ledger.heeds.bias.fill_(9.0)
    whole = small(**given).logits[0]
    small.ledger.completes.weight.mul_(-1)
    other = small(**given).logits[0]
    small.ledger.completes.weight.mul_(-1)
    mark = int((given["input_ids"][0] == 3).nonzero()[-1])
    assert (whole - other)[mark + 1 :].abs().max() > 1e-2, "what completes an object makes no difference"
    torch.testing.assert_close(whole[: mark + 1], other[: mark + 1])
    for pieces in (1, 3):
        said = piece_by_piece(small, given, mark, pieces)
        torch.testing.assert_close(said, whole[mark:], rtol=1e-4, atol=2e-3)


@torch.no_grad()
def test_gaps_in_front_of_a_shorter_rows_words_complete_nothing() -> None:
    """Rows go on by different numbers of words at once; what fills the shorter ones is no word of theirs."""
    small = model(WORDS, ledger=True)
    assert small.ledger is not None
    small.pointer.bias.fill_(2.0)
    small.ledger.heeds.bias.fill_(9.0)
    given = inputs(small, WORDS, "<image>all ships<answer>[12, 40")
    length, answer = given["input_ids"].shape[1], torch.tensor([[7, 9, 11]])

    def said(gap: int) -> torch.Tensor:
        cache = small(**given, use_cache=True).past_key_values
        ids = torch.cat([torch.zeros(1, gap, dtype=torch.long), answer], 1)
        mask = torch.cat([given["attention_mask"], torch.tensor([[0] * gap + [1] * 3])], 1)
        places = (torch.arange(gap + 3) - gap).clamp(min=0)[None] + length
        step = small(input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True)
        return step.logits[0, gap:]

    for sign in (1, -1):  # one of them has the filling complete an object
        small.ledger.completes.weight.mul_(sign)
        torch.testing.assert_close(said(gap=4), said(gap=0), rtol=1e-4, atol=2e-3)


@torch.no_grad()
def test_lessons_say_what_is_written_and_what_completes_it() -> None:
    small = model(WORDS, ledger=True)
    assert small.ledger is not None
    visual = small.config.visual_tokens
    shown = torch.tensor([4, 9, 4, *([-1] * (visual - 3))])
    given = [Lesson((8, 3), (20, 21, 22, 23, 24), (4, 9), (2, 4)), Lesson((8, 3), (20, 21), (4, 9), ())]
    given.append(Lesson((8, 3), (), (4,)))  # no answer is taught, so that no word of it completes anything
    packed = pack([given], [shown], visual, WORDS.eos_token_id)
    none, first, both = (torch.isin(shown, torch.tensor(each)) for each in ([7], [4], [4, 9]))
    wanted = [none, none, none, first, first, both, both, *([none] * 6)]
    assert torch.equal(packed.written[0], torch.stack(wanted))
    images = np.random.default_rng(2).integers(0, 255, (1, 64, 64, 3), dtype=np.uint8)
    read = run_packed(small, small.facts(normalised(torch.from_numpy(images))), packed)
    logits = small.ledger.completes(read.plain[0])[:, 0]
    labels = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 0.0])  # of the mark and the words of the first answer
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits[1:7], labels)
    torch.testing.assert_close(complete_loss(small, read, packed), plain)
