"""The public front door: pairing, streaming, intervals, breakdowns, clear errors."""

from __future__ import annotations

import json

import pytest
from metric_samples import answers, box_sample, boxes, mask_sample, row_mask

import rsground
from rsground.errors import DataError, UnknownNameError
from rsground.metrics import evaluate, summarise_cost, summarise_failures
from rsground.types import Issue, Prediction, Task, Usage


def samples(count=4):
    return [mask_sample(row_mask(4), name=f"s{k}", meta={"category": "ship" if k % 2 else "car"}) for k in range(count)]


def predictions(count=4):
    return [answers(row_mask(4 if k % 2 else 2)) for k in range(count)]


def test_it_is_exported_from_the_root():
    assert rsground.evaluate(samples(), predictions())["gIoU"] == 0.75


def test_by_order_and_by_id_agree_and_streams_are_read_once():
    by_id = {f"s{k}": prediction for k, prediction in reversed(list(enumerate(predictions())))}
    plain = evaluate(samples(), predictions(), "res")
    assert evaluate(iter(samples()), iter(predictions()), "res") == plain
    assert evaluate(iter(samples()), by_id, "res") == plain


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (predictions(3), "3 predictions for more samples: sample number 4 \\('s3'\\) has none"),
        (predictions(5), "more predictions than the 4 samples"),
        ({"s0": answers()}, "no prediction for sample 's1'"),
        ({f"s{k}": answers() for k in range(5)}, "1 predictions are for no sample, the first for id 's4'"),
    ],
)
def test_what_does_not_pair_up_is_an_error(given, message):
    with pytest.raises(DataError, match=message):
        evaluate(samples(), given, "res")


def test_repeated_ids_cannot_be_paired_by_id():
    with pytest.raises(DataError, match="two samples have the id 's0'"):
        evaluate([*samples(1), *samples(1)], {"s0": answers()}, "res")


def test_samples_of_other_tasks_are_skipped_and_counted():
    found = evaluate([*samples(2), box_sample((0, 0, 1, 1))], [*predictions(2), boxes()], "res")
    assert (found["n"], found["skipped"]) == (2, 1)
    with pytest.raises(DataError, match=r"no sample is of a task this protocol scores \(mask\); 1 of others"):
        evaluate([box_sample((0, 0, 1, 1))], [boxes()], "res")


def test_intervals_hold_the_score():
    found = evaluate(samples(40), predictions(40), "res", intervals=True, seed=1)
    low, high = found["intervals"]["gIoU"]
    assert low < found["gIoU"] < high
    assert found == evaluate(samples(40), predictions(40), "res", intervals=True, seed=1)
    json.dumps(found, allow_nan=False)


def test_breakdowns_come_with_n():
    found = evaluate(samples(), predictions(), "res", by=["category", "empty", "meta:category"])["breakdowns"]
    assert list(found) == ["category", "empty", "meta:category"]
    assert (found["category"]["ship"]["gIoU"], found["category"]["car"]["gIoU"]) == (1.0, 0.5)
    assert [group["n"] for group in found["category"].values()] == [2, 2]
    assert found["empty"]["present"]["gIoU"] == 0.75
    assert evaluate(samples(), predictions(), "res", by="category")["breakdowns"] == {"category": found["category"]}


def test_unknown_names_are_told_apart():
    with pytest.raises(UnknownNameError, match=r"no metric named 'ress'\. Did you mean 'res'"):
        evaluate(samples(), predictions(), "ress")
    with pytest.raises(UnknownNameError, match=r"no breakdown named 'sise'\. Did you mean 'size'"):
        evaluate(samples(), predictions(), "res", by="sise")


def test_cost_over_answers():
    usages = [Usage(latency_s=k / 100, output_tokens=10, peak_memory_bytes=k) for k in range(1, 101)] + [Usage()]
    found = summarise_cost(usages)
    assert found["latency_p50_s"] == pytest.approx(0.505)
    assert found["latency_p95_s"] == pytest.approx(0.9505)
    assert (found["latency_n"], found["output_tokens"], found["peak_memory_bytes"]) == (100, 10, 100)
    assert "flops" not in found
    assert "time_s" not in found
    assert summarise_cost([Usage(time_s=1.0), Usage(time_s=2.0), Usage()]) == {"time_s": 1.5}
    assert summarise_cost([]) == {}


def test_failures_over_answers():
    broken = Prediction(parsed=False, issues=(Issue("truncated", "cut"), Issue("truncated", "cut")))
    found = summarise_failures([Prediction(), broken, Prediction.failure("out of memory"), Prediction()])
    assert found == {"n": 4, "parse_rate": 0.5, "error_rate": 0.25, "issue/no-answer": 1, "issue/truncated": 1}
    assert summarise_failures([]) == {"n": 0}


def test_every_registered_protocol_has_a_task():
    from rsground.builtin.metrics import METRICS
    from rsground.registry import target_of

    for spec in METRICS:
        assert spec.tasks, spec.name
        assert {Task(task) for task in spec.tasks} <= target_of(spec).tasks, spec.name
