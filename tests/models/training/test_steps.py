"""What questions choose among and start from: by the engine's plain meaning, and on the way to the judge's loss."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from small import model, tokenizer

from rsground.datasets.refer import evaluate, expressions
from rsground.datasets.refer.query import Nearest, Rank, Related
from rsground.datasets.scenes import Scene
from rsground.datasets.scenes.layout import scene_rng
from rsground.models.training.language_losses import steps_loss
from rsground.models.training.packing import Lesson, pack, run_packed
from rsground.models.training.steps import steps_of

WORDS = tokenizer()


def test_targets_are_among_what_is_chosen_and_never_what_is_started_from() -> None:
    kinds = {"ordered": 0, "related": 0, "plain": 0}
    for index in range(12):
        graph = Scene(0, index, 256).graph
        for each in expressions(graph, scene_rng(0, index, 7), limit=24):
            among, start = steps_of(each, graph)
            assert set(each.target_ids) <= set(among)
            assert not set(start) & set(each.target_ids)
            match each.query:
                case Rank(source=source, k=k):
                    assert among == evaluate(source, graph)
                    assert len(each.target_ids) == 0 or len(among) >= k
                    kinds["ordered"] += 1
                case Related(anchor=anchor) | Nearest(anchor=anchor):
                    assert start == evaluate(anchor, graph)
                    kinds["related"] += 1
                case _:
                    kinds["plain"] += not start
    assert min(kinds.values()) > 5, kinds


@torch.no_grad()
def test_the_loss_is_small_where_members_are_right_and_asks_nothing_where_nobody_tells() -> None:
    small = model(WORDS, compares=True)
    visual = small.config.visual_tokens
    shown = torch.full((visual,), -1)
    shown[:3] = torch.arange(3)
    question = (*WORDS("Where is the ship", add_special_tokens=False)["input_ids"], 3)
    lessons = [Lesson(question, (), (1,), steps=((0, 1), (2,))), Lesson(question, (), (2,))]
    packed = pack([lessons], [shown], visual, WORDS.eos_token_id)
    assert packed.steps[0, 0].nonzero()[:, 0].tolist() == [0, 1]
    assert packed.steps[0, 1].nonzero()[:, 0].tolist() == [2]
    assert not packed.steps[1].any()
    read = run_packed(small, small.facts(torch.randn(1, 3, 64, 64)), packed)
    assert read.members is not None
    right = torch.where(packed.steps[:, None], 20.0, -20.0).expand(read.members.shape)
    assert float(steps_loss(dataclasses.replace(read, members=right), packed)) < 1e-5
    wrong = float(steps_loss(dataclasses.replace(read, members=-right), packed))
    assert wrong == pytest.approx(0.1 * 20 * visual, rel=1e-3)
    untold = pack([lessons[1:]], [shown], visual, WORDS.eos_token_id)
    assert float(steps_loss(run_packed(small, small.facts(torch.randn(1, 3, 64, 64)), untold), untold)) == 0.0
