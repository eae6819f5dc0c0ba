"""What every head owes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.contracts import Head, TokenHead
from rsground.errors import ContractError
from rsground.geometry import iou_hbb
from rsground.regions import hbb_of
from rsground.registry import load
from rsground.testing.samples import ANSWERS_NOBODY_EXPECTS, blank_view, damages, miniature, miniatures
from rsground.types import Generation, Prediction, Region, Sample, Task

LOCATED = frozenset({Task.HBB, Task.OBB, Task.MASK, Task.CHANGE})
"""Tasks whose answer is a set of regions."""


class HeadConformance:
    """Subclass as ``TestMyHead`` and set ``head_name``.

    Attributes:
        head_name: registered name.
        head_options: keyword arguments it is built with.
        least_overlap: mean HBB IoU a perfect answer must keep on the miniatures. A head that says less than a box
            (a point, say) may lower it, and its documentation should then say why.
    """

    head_name: str
    head_options: dict[str, object] = {}  # noqa: RUF012 - read only, overridden whole
    least_overlap: float = 0.5

    def head(self) -> Head:
        """A fresh head, as the registry builds it."""
        built = load("head", self.head_name, **self.head_options)
        assert isinstance(built, Head), f"{self.head_name!r} must be a rsground.contracts.Head, got {type(built)}"
        return built

    def test_says_what_it_serves(self) -> None:
        head = self.head()
        assert head.tasks, "a head must serve at least one task"
        assert all(isinstance(task, Task) for task in head.tasks)

    def test_refuses_a_task_it_does_not_serve(self) -> None:
        head = self.head()
        for task in set(Task) - head.tasks:
            sample = miniature(task)
            with pytest.raises(ContractError, match="serves"):
                head.prompt(sample, blank_view(sample))

    def test_asks_the_same_question_twice(self) -> None:
        for sample in self._samples():
            view = blank_view(sample)
            assert self.head().prompt(sample, view).text == self.head().prompt(sample, view).text

    def test_question_does_not_give_the_answer_away(self) -> None:
        for sample in self._samples(LOCATED):
            view = blank_view(sample)
            blind = replace(sample, targets=None, answer=None)
            assert self.head().prompt(sample, view).text == self.head().prompt(blind, view).text

    def test_reads_its_own_right_answer(self) -> None:
        head = self.head()
        if isinstance(head, TokenHead):
            pytest.skip("a token head reads hidden states; the text of its answer does not say where anything is")
        for sample in self._samples(LOCATED):
            view = blank_view(sample)
            found = head.read(Generation(head.target(sample, view)), sample, view)
            assert found.parsed, f"{sample.id}: the right answer must parse, got {found.issues}"
            assert not sample.targets or found.regions, f"{sample.id}: the right answer lost every region"
            if len(sample.targets or ()) == 1 and sample.task is not Task.CHANGE:
                overlap = _overlap(found, sample)
                assert overlap >= self.least_overlap, f"{sample.id}: the right answer overlaps by {overlap:.2f} only"

    def test_grammar_accepts_the_right_answer(self) -> None:
        head = self.head()
        for sample in self._samples(LOCATED):
            view = blank_view(sample)
            grammar = head.grammar(sample, view)
            answer = head.target(sample, view)
            assert grammar is None or grammar.matches(answer), f"{sample.id}: outside its own grammar: {answer!r}"

    @pytest.mark.parametrize("answer", ANSWERS_NOBODY_EXPECTS, ids=lambda answer: repr(answer[:24]))
    def test_survives_what_nobody_expects(self, answer: str) -> None:
        for sample in self._samples():
            _check(self.head().read(Generation(answer), sample, blank_view(sample)), sample)

    def test_survives_damaged_answers(self) -> None:
        head = self.head()
        samples = self._samples(LOCATED) or self._samples()

        @settings(max_examples=40, deadline=None)
        @given(st.data())
        def survives(data: st.DataObject) -> None:
            sample = data.draw(st.sampled_from(samples))
            view = blank_view(sample)
            damaged = data.draw(damages(head.target(sample, view)))
            _check(head.read(Generation(damaged), sample, view), sample)

        survives()

    def test_training_pairs_repeat_with_their_seed(self) -> None:
        head = self.head()
        for sample in self._samples():
            view = blank_view(sample)
            pairs = [
                [(pair.kind, pair.prompt, pair.answer) for pair in head.training_pairs(sample, view, rng)]
                for rng in (np.random.default_rng(3), np.random.default_rng(3))
            ]
            assert pairs[0] == pairs[1], f"{sample.id}: training pairs must depend on the generator only"
            assert all(prompt for _, prompt, _ in pairs[0])

    def _samples(self, among: frozenset[Task] = frozenset(Task)) -> list[Sample]:
        return [sample for task in sorted(self.head().tasks & among) for sample in miniatures(task)]


def _check(found: Prediction, sample: Sample) -> None:
    assert isinstance(found, Prediction)
    assert all(isinstance(region, Region) for region in found.regions)
    height, width = sample.size
    for region in found.regions:
        if region.hbb is not None:
            x1, y1, x2, y2 = region.hbb
            assert 0 <= x1 <= x2 <= width, f"box outside the image: {region.hbb}"
            assert 0 <= y1 <= y2 <= height, f"box outside the image: {region.hbb}"
        if region.rle is not None:
            assert tuple(region.rle.size) == sample.size


def _overlap(found: Prediction, sample: Sample) -> float:
    (target,) = sample.targets or ()
    wanted, best = hbb_of(target), 0.0
    for region in found.regions:
        box = hbb_of(region)
        if box is not None and wanted is not None:
            best = max(best, float(iou_hbb(np.array([box]), np.array([wanted]))[0]))
    return best
