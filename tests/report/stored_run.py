"""A small run on disk: answers we know, stored by the real store, so that every figure of a report can be checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from rsground.bench.plan import Plan, PlannedData, PlannedJob, PlannedMetric, PlannedSystem
from rsground.bench.store import Store
from rsground.bench.suite import DataChoice, Entry, Part, Suite
from rsground.contracts import BrokenRecord, Job, Notice, Outcome
from rsground.geometry import mask_to_rle
from rsground.records import prediction_to_json
from rsground.registry import load
from rsground.types import ImageRef, Issue, Prediction, Region, Sample, Task, Usage

SIDE = 160
COUNT = 24
SEEDS = (0, 1)
LABELS = ("exact", "boxes", "shaky")
METRICS = ("res", "rec-hbb")
BACKBONES = ("oracle", "oracle", "oracle")
Words = Callable[[str], str]


def build_run(
    folder: Path,
    words: Words = str,
    *,
    images_exist: bool = True,
    finished: bool = True,
    backbones: Sequence[str] = BACKBONES,
) -> Path:
    """Write the run; ``words`` rewrites every text that comes from data, models or suites."""
    samples = [_sample(place, folder, words) for place in range(COUNT)]
    if images_exist:
        for place, sample in enumerate(samples):
            _draw(Path(sample.image.uri), place // 3)
    plan = _plan(words, backbones)
    metrics = {name: load("metric", name) for name in METRICS}
    store = Store(folder)
    store.begin(plan, {"versions": {"rsground": "0.1"}, "command": ["rsground", "bench", words("mine")], "cpus": 2})
    for planned in plan.jobs:
        label = LABELS[planned.system]
        for place, sample in enumerate(samples):
            prediction = predict(label, planned.job.seed, place, sample, words)
            scores = {name: metric.measure(sample, prediction) for name, metric in metrics.items()}
            record = {"prediction": prediction_to_json(prediction), "scores": scores}
            store.add(Outcome(planned.job.key, place, sample, record))
    store.note(Notice("d", BrokenRecord("a.json", 12, "bad-box", words("x2 < x1"))))
    if finished:
        store.note(Notice("d", size=COUNT, ended=True))
        store.finish()
    store.close()
    return folder


def _plan(words: Words, backbones: Sequence[str]) -> Plan:
    entries = tuple(
        Entry(words(name), Part(name, {"resolution": 16}), Part(backbone), family=words(name))
        for name, backbone in zip(LABELS, backbones, strict=True)
    )
    choice = DataChoice(words("toy"), "rrsis-d", split="test")
    suite = Suite(
        words("mine"),
        entries,
        (choice,),
        tuple(Part(name) for name in METRICS),
        summary=words("what is compared"),
        seeds=SEEDS,
        notes=("head magic: its plugin is not installed",),
    )
    systems = tuple(PlannedSystem(name, entry, True) for name, entry in zip(LABELS, entries, strict=True))
    jobs = tuple(
        PlannedJob(Job(f"{name}-{seed}", {}, {"key": "d"}, seed, 0, COUNT, ()), place, 0)
        for place, name in enumerate(LABELS)
        for seed in SEEDS
    )
    return Plan("key", suite, systems, (PlannedData("d", choice, "f", COUNT),), _metrics(), jobs)


def _metrics() -> tuple[PlannedMetric, ...]:
    found = []
    for name in METRICS:
        metric = load("metric", name)
        spec = {
            "name": name,
            "label": name,
            "options": {},
            "primary": metric.primary,
            "higher_is_better": metric.higher_is_better,
            "statistics": list(metric.statistics),
            "payloads": list(metric.payloads),
            "paired": metric.paired,
            "tasks": sorted(task.value for task in metric.tasks),
            "summary": f"protocol {name}",
        }
        found.append(PlannedMetric(name, name, spec))
    return tuple(found)


def _sample(place: int, folder: Path, words: Words) -> Sample:
    mask = np.zeros((SIDE, SIDE), bool)
    x, y = 20 + 4 * place, 30 + 2 * place
    mask[y : y + 12 + place, x : x + 20] = True
    mask[y : y + 6, x : x + 8] = False
    targets = () if place % 8 == 7 else (Region(rle=mask_to_rle(mask), label=words(("ship", "tank")[place % 2])),)
    uri = str(folder / "images" / f"{place // 3:03}.jpg")
    meta = {"category": words(("ship", "tank")[place % 2]), "is_unique": place % 3 == 0, "axes": ["position"]}
    return Sample(
        words(f"s{place}"),
        (ImageRef(uri, SIDE, SIDE),),
        words(f"the ship number {place}"),
        Task.MASK,
        targets,
        None,
        meta,
    )


def _draw(path: Path, seed: int) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    pixels = np.random.default_rng(seed).integers(60, 160, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((SIDE, SIDE)).save(path, "JPEG")


def predict(label: str, seed: int, place: int, sample: Sample, words: Words) -> Prediction:
    """What each of the three systems answers."""
    latency = 0.001 * (place + 1)
    usage = Usage(latency_s=latency, output_tokens=len(label) * (place + 1), time_s=latency)
    if label == "exact" or not sample.targets:
        return Prediction(sample.targets or (), text=words("copied"), usage=usage)
    assert sample.targets[0].rle is not None
    from rsground.regions import hbb_of

    box = hbb_of(sample.targets[0])
    assert box is not None
    if label == "boxes":
        return Prediction((Region(hbb=box),), text=words("<box>"), usage=usage)
    if place == 5 and seed == 0:
        return Prediction.failure(words("worker ran out of memory"))
    if place % 6 == 4:
        return Prediction(
            parsed=False, issues=(Issue("missing-tag", "no <box>"),), text=words("I see no such thing"), usage=usage
        )
    x1, y1, x2, y2 = box
    return Prediction((Region(hbb=(x1 + 3 + seed, y1 + 3, x2 + 3 + seed, y2 + 3)),), text=words("<box>"), usage=usage)
