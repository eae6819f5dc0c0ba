"""Answers with every [SEG] up to N times: those of the grammar with one, and no others."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("rsground_segtoken")

from rsground.codecs import CharSet, Grammar, RuleGrammar
from rsground.codecs.rules import Phrase, chain
from rsground.registry import load
from rsground.testing import HeadConformance, miniature
from rsground.testing.samples import blank_view
from rsground.types import Task
from rsground_magcrop.token_runs import TokenRuns

SEG = "[SEG]"
TASKS = (Task.MASK, Task.GCG)


class TestThreeTokens(HeadConformance):
    head_name = "geomag"
    head_options = {"tokens": 3}  # noqa: RUF012


def single(task: Task) -> Grammar:
    """GeoPixel's own."""
    sample = miniature(task)
    found = load("head", "geopixel").grammar(sample, blank_view(sample))
    assert found is not None
    return found


SINGLE = {task: single(task) for task in TASKS}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TASKS), st.integers(0, 10_000), st.integers(2, 4), st.data())
def test_every_answer_with_its_tokens_repeated(task: Task, seed: int, most: int, data: st.DataObject) -> None:
    answer = SINGLE[task].sample(np.random.default_rng(seed), stop=0.3)
    several = re.sub(re.escape(SEG), lambda _: SEG * data.draw(st.integers(1, most)), answer)
    grammar = TokenRuns(SINGLE[task], SEG, most)
    assert grammar.matches(answer)
    assert grammar.matches(several)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TASKS), st.integers(0, 10_000), st.integers(2, 4))
def test_no_other_answer(task: Task, seed: int, most: int) -> None:
    """Any answer of it is one of the single grammar's once its runs are written short."""
    grammar = TokenRuns(SINGLE[task], SEG, most)
    answer = grammar.sample(np.random.default_rng(seed), stop=0.3)
    assert grammar.matches(answer)
    runs = [len(run[0]) // len(SEG) for run in re.finditer(f"(?:{re.escape(SEG)})+", answer)]
    if task is Task.MASK:
        assert max(runs, default=1) <= most
    assert SINGLE[task].matches(re.sub(f"(?:{re.escape(SEG)})+", SEG, answer))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TASKS), st.integers(0, 10_000), st.floats(0, 1))
def test_an_answer_can_be_ended_anywhere(task: Task, seed: int, share: float) -> None:
    grammar = TokenRuns(SINGLE[task], SEG, 3)
    whole = grammar.sample(np.random.default_rng(seed), stop=0.3)
    begun = whole[: round(share * len(whole))]
    state = grammar.advance(grammar.start(), begun)
    assert grammar.matches(begun + grammar.completion(state))
    assert grammar.matches(begun + grammar.sample(np.random.default_rng(seed), state=state))
    for char in grammar.allowed_next(state).some():
        assert grammar.step(state, char) is not None


def test_too_long_a_run_is_refused_at_its_first_character() -> None:
    grammar = TokenRuns(SINGLE[Task.MASK], SEG, 2)
    state = grammar.advance(grammar.start(), f"Sure, it is {SEG}")
    assert grammar.allowed_next(state) == CharSet(frozenset(".["))
    state = grammar.advance(state, SEG)
    assert grammar.allowed_next(state) == CharSet(frozenset("."))
    assert grammar.forced(state) == "."


def test_free_text_stays_at_hand_where_no_token_can_begin() -> None:
    plain = TokenRuns(RuleGrammar(chain(Phrase(CharSet(frozenset("<["), negated=True), 1, 9), SEG, ".")), SEG, 2)
    found = plain.loose(plain.start())
    assert found is not None
    assert found.most == 9
    assert plain.matches(f"a ship {SEG}{SEG}.")
    assert plain.max_length == 2 * (9 + len(SEG) + 1)
    after = plain.advance(plain.start(), f"a ship {SEG}")
    assert plain.loose(after) is None
    mixed = TokenRuns(RuleGrammar(Phrase(CharSet(frozenset("<"), negated=True), 1, 9)), SEG, 2)
    assert mixed.loose(mixed.start()) is None
