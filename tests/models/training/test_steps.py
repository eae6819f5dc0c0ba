"""What questions choose among and start from: by the engine's plain meaning, and on the way to the judge's loss."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
import torch
from small import model, tokenizer

from rsground.datasets.refer import evaluate, expressions
from rsground.datasets.refer.query import Nearest, Rank, Related
from rsground.datasets.scenes import Scene
from rsground.datasets.scenes.layout import scene_rng
from rsground.models.tower_lm.judge import Verdict
from rsground.models.training.language_losses import starts_accuracy, starts_loss, steps_loss
from rsground.models.training.lessons import Chances, SceneLessons, Speller
from rsground.models.training.packing import Lesson, Packed, pack, run_packed
from rsground.models.training.steps import Steps, steps_of

WORDS = tokenizer()


def test_targets_are_among_what_is_chosen_and_never_what_is_started_from() -> None:
    kinds = {"ordered": 0, "related": 0, "chain": 0, "plain": 0}
    for index in range(24):
        graph = Scene(0, index, 256).graph
        for each in expressions(graph, scene_rng(0, index, 7), limit=24):
            steps = steps_of(each, graph)
            among, meant = steps[0]
            assert meant == each.target_ids
            assert all(set(chosen) <= set(others) for others, chosen in steps)
            for (_, one), (_, start) in pairwise(steps):
                assert len(start) == 1 or not meant
                assert not set(start) & set(one)
            match each.query:
                case Rank(source=source, k=k):
                    assert among == evaluate(source, graph)
                    assert len(each.target_ids) == 0 or len(among) >= k
                    kinds["ordered"] += 1
                case Related(anchor=anchor) | Nearest(anchor=anchor):
                    assert steps[1][1] == evaluate(anchor, graph)
                    kinds["related"] += 1
                    kinds["chain"] += len(steps) > 2
                case _:
                    kinds["plain"] += len(steps) == 1
    assert min(kinds.values()) > 5, kinds


def lesson(words: str, targets: tuple[int, ...], steps: Steps | None) -> Lesson:
    """A question that asks for pointing alone."""
    return Lesson((*WORDS(words, add_special_tokens=False)["input_ids"], 3), (), targets, steps=steps)


def packed_of(lessons: list[Lesson], visual: int) -> Packed:
    """Lessons about an image whose first three tokens show its three objects; there is a fourth that none shows."""
    shown = torch.full((visual,), -1)
    shown[:3] = torch.arange(3)
    return pack([lessons], [shown], visual, WORDS.eos_token_id)


def test_what_is_known_of_steps_ends_where_a_question_starts_from_nothing_or_from_what_nothing_shows() -> None:
    chain: Steps = (((0, 1), (1,)), ((2,), (2,)))
    hidden: Steps = (((0, 1), (1,)), ((3,), (3,)))
    told = [lesson("Where", (1,), each) for each in (chain, (((0, 1), (1,)),), hidden, None)]
    packed = packed_of(told, 20)
    assert packed.known.tolist() == [[True] * 3, [True, True, False], [True, False, True], [False] * 3]
    assert packed.steps[0, 0, 0].nonzero()[:, 0].tolist() == [0, 1]
    assert packed.steps[0, 1, 1].nonzero()[:, 0].tolist() == [2]
    assert not packed.steps[1, 1:].any()
    assert not packed.steps[3].any()


@torch.no_grad()
def test_losses_are_small_where_steps_are_right_and_ask_nothing_where_nobody_tells() -> None:
    small = model(WORDS, compares=True, measures=True, starts=2)
    visual = small.config.visual_tokens
    told = [lesson("Where is the ship", (1,), (((0, 1), (1,)), ((2,), (2,)))), lesson("Where is the ship", (2,), None)]
    packed = packed_of(told, visual)
    found = small.facts(torch.randn(1, 3, 64, 64))
    read = run_packed(small, found, packed)
    starts = torch.cat([packed.steps[:, 1:, 1], torch.zeros(2, 1, visual, dtype=torch.bool)], 1)
    wanted = torch.stack([packed.steps[:, :, 0], starts], 2)
    shape = read.verdict.members.shape if read.verdict.members is not None else ()
    right = torch.where(wanted[:, :, None], 20.0, -20.0).expand(shape)
    meant = torch.where(packed.steps[:, :, 1], 20.0, -20.0)
    best = dataclasses.replace(read, verdict=Verdict(meant, meant, right))
    assert float(steps_loss(best, packed)) < 1e-5
    assert float(starts_loss(best, packed)) < 1e-5
    assert float(starts_accuracy(best, packed)) == 1.0
    worst = dataclasses.replace(read, verdict=Verdict(-meant, -meant, -right))
    assert float(steps_loss(worst, packed)) == pytest.approx(0.1 * 20 * visual, rel=1e-3)
    assert float(starts_loss(worst, packed)) > 20
    assert float(starts_accuracy(worst, packed)) == 0.0
    untold = packed_of(told[1:], visual)
    read = run_packed(small, found, untold)
    assert float(steps_loss(read, untold)) == float(starts_loss(read, untold)) == 0.0
    assert float(starts_accuracy(read, untold)) == 1.0


def test_a_model_may_ask_farther_than_is_taught() -> None:
    small = model(WORDS, compares=True, measures=True, starts=4)
    packed = packed_of([lesson("Where is the ship", (1,), (((0, 1), (1,)), ((2,), (2,))))], small.config.visual_tokens)
    read = run_packed(small, small.facts(torch.randn(1, 3, 64, 64)), packed)
    assert read.verdict.settled.shape[1] == 5
    (steps_loss(read, packed) + starts_loss(read, packed)).backward()
    assert small.judge is not None
    assert small.judge.asking is not None
    assert float(small.judge.asking.start.weight.grad.abs().sum()) > 0


def test_related_questions_are_drawn_as_often_as_is_said() -> None:
    """Among one such question and four others, one is drawn: with a weight of 4 in half the cases."""
    steps: list[Steps | None] = [(((0,), (0,)), ((1,), (1,))), (((0,), (0,)),), None, None, (((0,), (0,)),)]
    maker = SceneLessons([], [], Speller(WORDS), Chances(each=1, related=4.0))
    drawn = [maker._in_turn(steps, [""] * 5) for _ in range(2000)]
    assert all(sorted(each) == [0, 1, 2, 3, 4] for each in drawn)
    assert sum(each[0] == 0 for each in drawn) / 2000 == pytest.approx(0.5, abs=0.05)


def test_questions_with_favoured_words_are_drawn_as_often_as_is_said() -> None:
    """Whole words count, and weights are multiplied: 3 * 2, 2, 1 and 1 of 10."""
    chances = Chances(each=1, favoured={"pointing": 3.0, "up": 2.0})
    maker = SceneLessons([], [], Speller(WORDS), chances)  # type: ignore[arg-type]
    told = ["a car pointing up", "who is up", "the upper one", "the pointing-device"]
    drawn = [maker._in_turn([None] * 4, told)[0] for _ in range(4000)]
    shares = [drawn.count(each) / 4000 for each in range(4)]
    assert shares == pytest.approx([0.6, 0.2, 0.1, 0.1], abs=0.03)
