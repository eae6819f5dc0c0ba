"""Tasks and reports as messages of the worker protocol; see docs/reference/worker-protocol.md.

Samples and records are JSON, with every digit. Pictures that are drawn travel as what draws them, pickled, in the
attachment: the worker runs this very code, and trusts who started it. Nothing that a worker sends is unpickled.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rsground.bench.work import Item, Step, Task
from rsground.contracts import Job
from rsground.errors import ContractError, ProtocolError
from rsground.records import USAGE, sample_from_json, sample_to_json
from rsground.types import ImageRef

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Draw = Callable[[], NDArray[np.uint8]]

Records = list[tuple[int, dict[str, Any]]]
"""(place of the item in the task, record) of a step's answers."""
_PREDICTION = {"regions": list, "issues": list, "text": str, "usage": list}


class Report(NamedTuple):
    """What a worker says of a task.

    Attributes:
        task: its number.
        steps: (place of the step in the task, its records).
        seconds: spent on the task so far.
        finished: whether this is the task's last report.
    """

    task: int
    steps: list[tuple[int, Records]]
    seconds: float
    finished: bool


def job_to_message(job: Job) -> dict[str, Any]:
    """What a worker needs of a job: not the data, which comes sample by sample."""
    return {"key": job.key, "system": dict(job.system), "seed": job.seed, "metrics": [dict(m) for m in job.metrics]}


def job_from_message(found: Mapping[str, Any]) -> Job:
    """The job that :func:`job_to_message` wrote."""
    return Job(found["key"], found["system"], {}, found["seed"], 0, 0, tuple(found["metrics"]))


def task_to_message(task: Task) -> tuple[dict[str, Any], bytes]:
    """A task, and what draws its pictures.

    Raises:
        ContractError: a picture is drawn by something that does not pickle, or that a worker cannot import.
    """
    drawn = {ref.uri: ref.render for item in task.items for ref in item.sample.images if ref.render is not None}
    rows = [{"place": i.place, "jobs": list(i.jobs), "sample": sample_to_json(i.sample)} for i in task.items]
    return {"items": rows, "batch": task.batch, "drawn": list(drawn)}, _pickled(task, list(drawn.values()))


def _pickled(task: Task, draws: Sequence[Draw]) -> bytes:
    if not draws:
        return b""
    try:
        found = pickle.dumps(draws, pickle.HIGHEST_PROTOCOL)
        if b"__main__" in found and any(word == "__main__" for _, word, _ in pickletools.genops(found)):
            raise ValueError("they are drawn by code of the script that was started, which a worker does not import")
    except Exception as error:  # pickling fails in many ways
        names = ", ".join(repr(item.sample.id) for item in task.items[:3])
        raise ContractError(
            f"samples {names} cannot be sent to a worker process: {error}; "
            "data sets must give samples that pickle (or run with --workers 0)"
        ) from error
    return found


def task_from_message(number: int, message: Mapping[str, Any], attachment: bytes) -> Task:
    """The task that :func:`task_to_message` wrote."""
    draws = pickle.loads(attachment) if attachment else []
    drawn: dict[str, Draw] = dict(zip(message["drawn"], draws, strict=True))

    def image(ref: ImageRef) -> ImageRef:
        return replace(ref, render=drawn[ref.uri]) if ref.uri in drawn else ref

    items = []
    for row in message["items"]:
        sample = sample_from_json(row["sample"])
        images = tuple(image(ref) for ref in sample.images)
        items.append(Item(row["place"], replace(sample, images=images), tuple(row["jobs"])))
    return Task(number, tuple(items), message["batch"])


def report_to_message(steps: Sequence[tuple[int, Records]], seconds: float) -> dict[str, Any]:
    """Part of the answer to a task."""
    rows = [[number, [[place, _plain(record)] for place, record in records]] for number, records in steps]
    return {"steps": rows, "seconds": seconds}


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with numbers of Python's own: JSON knows no others."""
    scores = {
        label: {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
        for label, values in record["scores"].items()
    }
    return {**record, "scores": scores}


def report_from_message(part: Any, task: int, steps: Sequence[Step]) -> Report:
    """The report that :func:`report_to_message` wrote.

    Args:
        part: what came.
        task: number of the task it is about, whose ``steps`` are these.

    Raises:
        ProtocolError: it is no report, or not one of that task.
    """
    try:
        found = []
        for number, records in part["steps"]:
            if tuple(place for place, _ in records) != steps[number].items:
                raise ValueError(f"step {number} has other samples")
            found.append((number, [(place, _checked(record)) for place, record in records]))
        return Report(task, found, float(part["seconds"]), finished=False)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"what came of a task is no report: {error!r}") from None


def _checked(record: dict[str, Any]) -> dict[str, Any]:
    prediction, scores = record["prediction"], record["scores"]
    if prediction is not None:
        wrong = [name for name, kind in _PREDICTION.items() if not isinstance(prediction[name], kind)]
        if wrong or len(prediction["usage"]) != len(USAGE):
            raise ValueError(f"a prediction with a wrong {wrong or 'usage'}")
    if not all(isinstance(values, dict) for values in scores.values()):
        raise ValueError("scores that are none")
    return record
