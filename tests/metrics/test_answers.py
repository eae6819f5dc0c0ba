"""Short answers, scene classes, object classes: the published rules, case by case."""

from __future__ import annotations

import pytest

from rsground.errors import ShapeError
from rsground.metrics import evaluate
from rsground.metrics.answers import ExactAnswer, SceneClass, VRSBenchAnswer
from rsground.metrics.object_class import ObjectClass, clean_class
from rsground.types import ImageRef, Prediction, Sample, Task


def ask(answer, task=Task.VQA, **meta):
    return Sample("s", (ImageRef("s.png", 8, 8),), "is there a ship?", task, None, answer, meta)


def run(metric, *pairs):
    return evaluate([sample for sample, _ in pairs], [Prediction(text=text) for _, text in pairs], metric)


def test_rsvqa_averages_presence_and_comparison():
    found = run(
        ExactAnswer(),
        (ask("yes", question_type="presence"), " Yes. "),
        (ask("no", question_type="presence"), "yes"),
        (ask("yes", question_type="comp"), "yes"),
        (ask("rural", question_type="rural_urban"), "rural"),
        (ask("yes", question_type="comp"), "yes, there are more"),
    )
    assert (found["P"], found["C"], found["average"]) == (0.5, 0.5, 0.5)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["accuracy/rural_urban"] == 1.0


def test_average_needs_both_kinds():
    assert "average" not in run(ExactAnswer(), (ask("yes", question_type="presence"), "yes"))


def test_a_failed_answer_is_wrong():
    found = evaluate([ask("yes")], [Prediction.failure("lost", text="yes")], ExactAnswer())
    assert (found["accuracy"], found["parse_rate"]) == (0.0, 0.0)


def test_vrsbench_takes_substrings_and_tells_what_a_judge_would_decide():
    found = run(
        VRSBenchAnswer(),
        (ask("Ship", question_type="object category"), "a large ship"),
        (ask("no", question_type="object existence"), "yes"),
        (ask("vehicle", question_type="object category"), "a car"),
        (ask("3", question_type="object quantity"), "13"),
    )
    assert found["accuracy"] == pytest.approx(2 / 4)
    assert found["macro"] == pytest.approx((0.5 + 0.0 + 1.0) / 3)
    assert found["undecided"] == 0.25


def test_vrsbench_asks_a_judge_for_open_answers_only():
    asked = []

    def judge(question, reference, answer):
        asked.append((reference, answer))
        return True

    found = run(VRSBenchAnswer(judge=judge), (ask("vehicle"), "a Car"), (ask("no"), "yes"), (ask("7"), "eight"))
    assert asked == [("vehicle", "a car")]
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["undecided"] == 0.0


@pytest.mark.parametrize(
    ("text", "strict", "geochat"),
    [
        ("Dense Residential.", 1.0, 0.0),
        ("dense_residential", 1.0, 1.0),
        ("denseresidential", 1.0, 0.0),
        ("it is dense", 0.0, 0.0),
    ],
)
def test_scene_rules_differ_on_underscores(text, strict, geochat):
    scene = ask("dense residential", Task.SCENE, folder="dense_residential")
    assert run(SceneClass(), (scene, text))["accuracy"] == strict
    assert run(SceneClass(rule="geochat"), (scene, text))["accuracy"] == geochat


def test_geochat_drops_blanks_of_the_answer_only():
    assert (
        run(SceneClass(rule="geochat"), (ask("DenseResidential", Task.SCENE), "Dense Residential."))["accuracy"] == 1.0
    )


def test_scene_macro_is_the_mean_over_classes():
    found = run(SceneClass(), *[(ask("port", Task.SCENE), "port")] * 3, (ask("farm", Task.SCENE), "port"))
    assert (found["accuracy"], found["macro"]) == (0.75, 0.5)
    with pytest.raises(ShapeError, match="'strict' or 'geochat'"):
        SceneClass(rule="loose")


def test_osprey_cleaning_and_word_iou():
    assert clean_class("Answer: a storage tank.") == "a storage tank"
    found = run(ObjectClass(), (ask("storage_tank", Task.REGION_CAPTION), "Answer: a storage tank."))
    assert found["SIoU"] == pytest.approx(2 / 3)
    assert run(ObjectClass(), (ask("ship", Task.REGION_CAPTION), ""))["SIoU"] == 0.0


def test_ss_needs_a_model_and_says_so():
    found = run(ObjectClass(), (ask("ship", Task.REGION_CAPTION), "ship"))
    assert "SS" not in found
    assert "similarity" in found["notes"]["SS"]
    named = ObjectClass(similarity="rsground.metrics.wording:token_f1")
    assert run(named, (ask("ship", Task.REGION_CAPTION), "a ship"))["SS"] == pytest.approx(2 / 3)


def test_questions_without_reference_are_left_out():
    found = run(ExactAnswer(), (ask(None), "yes"), (ask("yes"), "yes"))
    assert (found["accuracy"], found["n"], found["skipped"]) == (1.0, 1, 1)
