"""Grounded descriptions: GLaMM's rules re-derived by hand, and what the strict protocol adds."""

from __future__ import annotations

import numpy as np
import pytest
from metric_samples import mask_region

from rsground.errors import ShapeError
from rsground.metrics import evaluate
from rsground.metrics.gcg import GlammGCG, StrictGCG, grounded
from rsground.types import ImageRef, Prediction, Region, Sample, Task

SIZE = (4, 40)


def bar(start, stop, **facts):
    mask = np.zeros(SIZE, bool)
    mask[:, start:stop] = True
    return mask_region(mask, **facts)


def sample(*targets, answer="", name="s"):
    return Sample(name, (ImageRef(f"{name}.png", *SIZE),), "describe the image", Task.GCG, targets, answer)


def said(text, *regions):
    return Prediction(regions=regions, text=text)


TWO = sample(bar(0, 10), bar(20, 30), answer="<p>a ship</p> [SEG] near <p>two cars</p> [SEG].")
RIGHT = "<p>a ship</p> [SEG] near <p>two cars</p> [SEG]."


def test_a_perfect_answer():
    for metric in (GlammGCG(), StrictGCG()):
        found = evaluate([TWO], [said(RIGHT, *TWO.targets)], metric)
        assert (found["mIoU"], found["AP50"], found["token-F1"]) == (1.0, 1.0, 1.0)
    assert evaluate([TWO], [said(RIGHT, *TWO.targets)], "gcg-glamm")["mask_recall"] == 1.0


def test_misses_and_extras_are_free_only_upstream():
    one = said("<p>a ship</p> [SEG]", bar(0, 8))
    assert evaluate([TWO], [one], GlammGCG())["mIoU"] == pytest.approx(0.8)
    assert evaluate([TWO], [one], StrictGCG())["mIoU"] == pytest.approx(0.8 / 2)
    extra = said(RIGHT, *TWO.targets, bar(35, 40))
    assert evaluate([TWO], [extra], GlammGCG())["mIoU"] == 1.0
    assert evaluate([TWO], [extra], StrictGCG())["mIoU"] == pytest.approx(2 / 3)


def test_the_recall_loop_stops_at_the_first_pair_that_fails():
    wrong_first = said("<p>a lake</p> [SEG] near <p>two cars</p> [SEG].", bar(0, 10), bar(20, 29))
    assert evaluate([TWO], [wrong_first], GlammGCG())["mask_recall"] == 0.0  # IoU 1 pair fails, IoU 0.9 pair unseen
    wrong_second = said("<p>a ship</p> [SEG] near <p>a lake</p> [SEG].", bar(0, 10), bar(20, 29))
    assert evaluate([TWO], [wrong_second], GlammGCG())["mask_recall"] == 0.5
    strict = evaluate([TWO], [wrong_first], StrictGCG())
    assert (strict["F1@0.5"], strict["Phrase-F1@0.5"]) == (1.0, 0.5)


def test_fewer_phrases_than_masks_recall_nothing():
    short = said("<p>a ship</p> [SEG] [SEG]", *TWO.targets)
    assert evaluate([TWO], [short], GlammGCG())["mask_recall"] == 0.0


def test_low_overlap_is_no_recall():
    assert evaluate([TWO], [said(RIGHT, bar(6, 16), bar(20, 30))], GlammGCG())["mask_recall"] == 0.5


def test_phrases_come_from_spans_and_labels_without_tags():
    text = "a red ship and cars"
    found = grounded([bar(0, 3, span=(0, 10)), bar(5, 6, label="car")], text, SIZE)
    assert found.phrases == ["a red ship", "car"]


def test_regions_of_one_span_are_one_mask():
    found = grounded([bar(0, 3, span=(0, 4), score=0.4), bar(5, 8, span=(0, 4), score=0.9)], "cars", SIZE)
    assert (len(found.masks), found.scores) == (1, [0.9])


def test_nothing_to_ground():
    plain = sample(answer="an empty field")
    assert evaluate([plain], [said("an empty field")], StrictGCG())["mIoU"] == 1.0
    assert evaluate([plain], [Prediction.failure("lost")], StrictGCG())["mIoU"] == 0.0
    assert evaluate([plain], [said("an empty field")], GlammGCG())["mIoU"] == 0.0


def test_an_unparsable_answer_scores_nothing():
    lost = Prediction(regions=TWO.targets, text=RIGHT, parsed=False)
    for metric in (GlammGCG(), StrictGCG()):
        found = evaluate([TWO], [lost], metric)
        assert (found["mIoU"], found["AP50"], found["token-F1"], found["parse_rate"]) == (0.0, 0.0, 0.0, 0.0)


def test_strict_uses_real_scores_and_glamm_the_order():
    prediction = said(RIGHT, bar(33, 38, score=0.1), bar(0, 10, score=0.9), bar(20, 30, score=0.8))
    assert evaluate([TWO], [prediction], StrictGCG())["AP50"] == pytest.approx(1.0)
    assert evaluate([TWO], [prediction], GlammGCG())["AP50"] < 0.7


def test_two_empty_masks_do_not_match():
    empty = mask_region(np.zeros(SIZE, bool))
    found = evaluate([sample(empty, answer="<p>x</p> [SEG]")], [said("<p>x</p> [SEG]", empty)], GlammGCG())
    assert (found["mIoU"], found["mask_recall"]) == (0.0, 0.0)


def test_similarity_can_be_exchanged():
    never = GlammGCG(similarity=lambda a, b: 0.0)
    assert evaluate([TWO], [said(RIGHT, *TWO.targets)], never)["mask_recall"] == 0.0
    named = GlammGCG(similarity="rsground.metrics.wording:word_iou")
    assert evaluate([TWO], [said(RIGHT, *TWO.targets)], named)["mask_recall"] == 1.0
    with pytest.raises(ShapeError, match=r"'package\.module:function', got 'bert'"):
        GlammGCG(similarity="bert")


def test_a_region_that_is_nowhere_is_an_extra():
    nowhere = said(RIGHT, *TWO.targets, Region(label="ship"))
    assert evaluate([TWO], [nowhere], StrictGCG())["mIoU"] == pytest.approx(2 / 3)
