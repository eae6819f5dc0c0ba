"""A small finished run on disk, written row by row as the store's schema says, so that reading is tested alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rsground.bench.records import USAGE, dumps, prediction_to_json, sample_to_json
from rsground.bench.schema import APPLICATION_ID, STORE, TABLES, VERSION
from rsground.geometry import mask_to_rle
from rsground.metrics import group_keys
from rsground.registry import load
from rsground.types import ImageRef, Issue, Prediction, Region, Sample, Task, Usage

SIDE = 160
COUNT = 24
SEEDS = (0, 1)
LABELS = ("exact", "boxes", "shaky")
METRICS = ("res", "rec-hbb")


def build_run(
    folder: Path, words: Callable[[str], str] = str, *, images_exist: bool = True, finished: bool = True
) -> Path:
    """Write the run; ``words`` rewrites every text that comes from data or models."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = [_sample(place, folder, words) for place in range(COUNT)]
    if images_exist:
        for place, sample in enumerate(samples):
            _draw(Path(sample.image.uri), place // 3)
    db = sqlite3.connect(folder / STORE)
    db.executescript(TABLES)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")
    environment = {
        "versions": {"rsground": "0.1"},
        "command": ["rsground", "bench", words("mine")],
        "hardware": {"cpu": "two"},
    }
    insert(
        db,
        "run",
        id=1,
        name=words("mine"),
        key="key",
        suite="",
        summary=words("what is compared"),
        created="2026-03-01T10:00:00Z",
        finished="2026-03-01T10:05:00Z" if finished else None,
        environment=dumps(environment),
    )
    source = {"name": "rrsis-d", "root": None, "split": "test", "options": {}}
    insert(
        db,
        "datasets",
        id=1,
        key="d",
        label=words("toy"),
        fingerprint="f",
        place=0,
        spec=dumps(source),
        size=COUNT if finished else None,
        ended=int(finished),
    )
    for place, name in enumerate(METRICS):
        insert(db, "metrics", id=place + 1, key=name, label=name, place=place, spec=_metric_spec(name))
    for place, sample in enumerate(samples):
        insert(
            db,
            "samples",
            dataset=1,
            idx=place,
            id=sample.id,
            image=sample.image.uri,
            task=sample.task.value,
            groups=dumps(group_keys(sample)),
            record=dumps(sample_to_json(sample)),
        )
    for place, label in enumerate(LABELS):
        spec = {"head": label, "backbone": "oracle", "head_options": {"resolution": 16}, "preprocess": []}
        insert(
            db,
            "systems",
            id=place + 1,
            key=label,
            label=words(label),
            family=words(label),
            place=place,
            spec=dumps(spec),
        )
        for seed in SEEDS:
            _answers(db, place, label, seed, samples, words)
    insert(db, "broken", dataset=1, path="a.json", line=12, code="bad-box", detail=words("x2 < x1"))
    insert(db, "notes", text="head magic: its plugin is not installed")
    db.commit()
    db.close()
    return folder


def insert(db: sqlite3.Connection, table: str, **values: Any) -> None:
    """One row, by column names."""
    names = ", ".join(f'"{name}"' for name in values)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", tuple(values.values()))


def _metric_spec(name: str) -> str:
    metric = load("metric", name)
    return dumps(
        {
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
    )


def _sample(place: int, folder: Path, words: Callable[[str], str]) -> Sample:
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
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(60, 160, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((SIDE, SIDE)).save(path, "JPEG")


def predict(label: str, seed: int, place: int, sample: Sample, words: Callable[[str], str]) -> Prediction:
    """What each of the three systems answers."""
    usage = Usage(latency_s=0.001 * (place + 1), output_tokens=len(label) * (place + 1))
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


def _answers(
    db: sqlite3.Connection, system: int, label: str, seed: int, samples: list[Sample], words: Callable[[str], str]
) -> None:
    job = 1 + system * len(SEEDS) + seed
    insert(db, "jobs", id=job, key=f"j{job}", system=system + 1, dataset=1, seed=seed, place=job)
    for place, sample in enumerate(samples):
        prediction = predict(label, seed, place, sample, words)
        found = prediction_to_json(prediction)
        usage = dict(zip(USAGE, found.pop("usage"), strict=True))
        found |= {"regions": dumps(found["regions"]), "issues": dumps(found["issues"]), "parsed": int(found["parsed"])}
        insert(db, "answers", job=job, idx=place, served=1, **found, **usage)
        for number, name in enumerate(METRICS):
            metric = load("metric", name)
            measured = metric.measure(sample, prediction)
            stats = np.array([measured[key] for key in metric.statistics], "<f8").tobytes()
            payload = dumps([measured[key] for key in metric.payloads]) if metric.payloads else None
            insert(db, "scores", job=job, metric=number + 1, idx=place, stats=stats, payload=payload)
