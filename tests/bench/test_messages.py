"""Tasks and reports cross a pipe without losing a digit, and what is no report is found out."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest

from rsground.bench.messages import (
    job_from_message,
    job_to_message,
    report_from_message,
    report_to_message,
    task_from_message,
    task_to_message,
)
from rsground.bench.work import Item, Step, Task
from rsground.contracts import Job
from rsground.errors import ContractError, ProtocolError
from rsground.records import prediction_to_json, sample_to_json
from rsground.registry import load_dataset
from rsground.testing import miniature
from rsground.types import ImageRef, Prediction, Region
from rsground.types import Task as Domain

STEPS = [Step(0, (0,)), Step(1, (0, 1))]


def travelled(message: Any) -> Any:
    """What JSON leaves of a message."""
    return json.loads(json.dumps(message))


def record(**scores: Any) -> dict[str, Any]:
    prediction = Prediction(regions=(Region(hbb=(0.1, 1 / 3, 2e-7, 4.0)),))
    return {"prediction": prediction_to_json(prediction), "scores": {"m": scores}}


def test_a_task_is_the_same_over_there() -> None:
    samples = list(islice(load_dataset("scenes", None, "val"), 12))
    task = Task(5, tuple(Item(place, sample, (0, 2)) for place, sample in enumerate(samples)), 4)
    message, attachment = task_to_message(task)
    found = task_from_message(5, travelled(message), attachment)
    assert found.steps() == task.steps()
    for ours, theirs in zip(task.items, found.items, strict=True):
        assert (ours.place, ours.jobs) == (theirs.place, theirs.jobs)
        assert sample_to_json(ours.sample) == sample_to_json(theirs.sample)
    first, again = samples[0].image.render, found.items[0].sample.image.render
    assert first is not None
    assert again is not None
    assert (first() == again()).all()


def test_pictures_that_are_files_need_no_attachment() -> None:
    sample = replace(miniature(Domain.HBB), images=(ImageRef("picture.png", 8, 8),))
    message, attachment = task_to_message(Task(1, (Item(0, sample, (0,)),)))
    assert attachment == b""
    image = task_from_message(1, travelled(message), attachment).items[0].sample.image
    assert (image.uri, image.size, image.render) == ("picture.png", (8, 8), None)


def test_what_the_script_itself_defines_cannot_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    import __main__ as script

    def picture(shade: int) -> np.ndarray:
        return np.full((8, 8, 3), shade, np.uint8)

    picture.__module__, picture.__qualname__ = "__main__", "picture"
    monkeypatch.setattr(script, "picture", picture, raising=False)
    sample = replace(miniature(Domain.HBB), images=(ImageRef("drawn", 8, 8, partial(picture, 3)),))
    with pytest.raises(ContractError, match=r"cannot be sent .*the script that was started.*--workers 0"):
        task_to_message(Task(1, (Item(0, sample, (0,)),)))


def test_a_name_that_looks_like_the_script_may_travel() -> None:
    drawn = ImageRef("drawn", 8, 8, partial(os.path.join, "pictures", "__main__.png"))
    sample = replace(miniature(Domain.HBB), images=(drawn,))
    message, attachment = task_to_message(Task(1, (Item(0, sample, (0,)),)))
    (item,) = task_from_message(1, travelled(message), attachment).items
    assert item.sample.images[0].render is not None
    assert item.sample.images[0].render() == os.path.join("pictures", "__main__.png")


def test_a_job_is_the_same_over_there() -> None:
    system = {"head": {"name": "codec", "options": {"codec": "text-hbb"}}, "light": True}
    job = Job("k", system, {"name": "scenes"}, 3, 0, 10, ({"label": "rec", "name": "rec-hbb", "options": {}},))
    found = job_from_message(travelled(job_to_message(job)))
    assert (found.key, found.system, found.seed, found.metrics) == (job.key, job.system, job.seed, job.metrics)


def test_a_report_is_the_same_over_here() -> None:
    one = record(iou=np.float64(1 / 3), hits=np.int64(4), good=np.bool_(True), nothing=float("nan"), who=["a", 1])
    silent = {"prediction": None, "scores": {}}
    found = report_from_message(
        travelled(report_to_message([(0, [(0, one)]), (1, [(0, one), (1, silent)])], 0.5)), 9, STEPS
    )
    assert (found.task, found.seconds, found.finished) == (9, 0.5, False)
    assert [number for number, _ in found.steps] == [0, 1]
    ((_, first),) = found.steps[0][1]
    assert first["prediction"] == travelled(one["prediction"])
    assert first["scores"]["m"]["iou"] == 1 / 3
    assert first["scores"]["m"]["hits"] == 4
    assert first["scores"]["m"]["good"] is True
    assert first["scores"]["m"]["nothing"] != first["scores"]["m"]["nothing"]
    assert found.steps[1][1][1] == (1, silent)


GOOD = travelled(report_to_message([(0, [(0, record(a=1.0))])], 0.1))


def with_record(**changed: Any) -> dict[str, Any]:
    """A good report but for its record."""
    return {**GOOD, "steps": [[0, [[0, {**record(), **changed}]]]]}


BAD = {
    "nothing": None,
    "no steps": {"seconds": 0.1},
    "no such step": {**GOOD, "steps": [[7, [[0, record()]]]]},
    "another sample": {**GOOD, "steps": [[0, [[1, record()]]]]},
    "a sample too few": {**GOOD, "steps": [[1, [[0, record()]]]]},
    "no record": {**GOOD, "steps": [[0, [[0, None]]]]},
    "no prediction": with_record(prediction={}),
    "text that is none": with_record(prediction={**record()["prediction"], "text": 3}),
    "a cost too few": with_record(prediction={**record()["prediction"], "usage": []}),
    "scores that are none": with_record(scores={"m": 3}),
    "no time": {"steps": [], "seconds": "soon"},
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_report_is_found_out(what: str) -> None:
    assert report_from_message(GOOD, 1, STEPS).steps
    with pytest.raises(ProtocolError, match="what came of a task is no report"):
        report_from_message(BAD[what], 1, STEPS)
