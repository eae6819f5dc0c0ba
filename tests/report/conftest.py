"""Reports made of numbers we know, so that renderers are tested without a run."""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsground.report.model import (
    Board,
    Breakdown,
    BrokenRow,
    Cost,
    DatasetBlock,
    Failure,
    GalleryItem,
    Overlay,
    Pair,
    ReportData,
    RunFacts,
    Score,
    SystemInfo,
)

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "]]><!--",
    '"onerror="alert(3)" x="',
    "' onmouseover='alert(4)",
    "<img src=http://evil.example/x.png onerror=alert(5)>",
    "100% of $x_1 & #2 {a} ~ ^ \\input{/etc/passwd}",
    '=HYPERLINK("http://evil.example","click")',
    "@SUM(1+1)",
    "two\nlines | a pipe \\| `code` [link](javascript:alert(6))",
    "abc\u202edcba\u2066\x00\x1b[31m\ud800",
    "{{ 7 * 7 }}{% raw %}",
)
"""What data sets, models and suite files may hold."""


def _jpeg(rng: np.random.Generator, width: int = 240, height: int = 180) -> bytes:
    y, x = np.mgrid[:height, :width]
    field = 90 + 40 * np.sin(x / 17) * np.cos(y / 23) + rng.normal(0, 9, (height, width))
    pixels = np.stack([field + 10, field + 25, field - 10], axis=-1).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=75)
    return out.getvalue()


def build_report(
    systems: int = 3,
    *,
    families: int = 3,
    tests: int = 12,
    gallery: int = 2,
    words: Callable[[str], str] = str,
    seed: int = 7,
) -> ReportData:
    """A report of two data sets; ``words`` rewrites every text that would come from outside."""
    rng = np.random.default_rng(seed)
    codecs = (
        "text-box",
        "text-obb",
        "text-mask",
        "box-mask",
        "point-set",
        "polygon-text",
        "qwen2-vl",
        "florence-2",
        "kosmos",
        "vrsbench",
    )
    names = [f"{codecs[i % families]}/{16 * (1 + i // families)}" for i in range(systems)]
    labels = [words(name) for name in names]
    infos = tuple(
        SystemInfo(label, words(name.split("/")[0]), words(f"codec {name}, answers copied from the target"))
        for label, name in zip(labels, names, strict=True)
    )
    level = np.sort(rng.uniform(0.2, 0.97, systems))[::-1]
    blocks = (
        _block(words, "rrsis-d", "test", ("mask",), labels, level, rng, tests, gallery),
        _block(words, "scenes", "val", ("mask", "hbb"), labels, level * 0.9, rng, tests, 0),
    )
    run = RunFacts(
        suite=words("ceilings"),
        title=words("How good could each paradigm be if its model were perfect?"),
        created="2026-03-01T10:00:00Z",
        command=words("rsground bench ceilings --data rrsis-d=/data/rrsisd --out runs/ceilings"),
        seeds=(0, 1),
        versions={"rsground": "0.1", "numpy": "2.1"},
        facts=(("machine", words("2 cores")),),
    )
    broken = tuple(
        BrokenRow("rrsis-d", words(f"annotations/{i}.xml"), i, "bad-box", words("x2 < x1")) for i in range(3)
    )
    return ReportData(run, infos, blocks, broken, broken_total=17, ceilings=True)


def _block(words, name, split, tasks, labels, level, rng, tests, gallery):  # type: ignore[no-untyped-def]
    rows = {label: _scores(value, rng) for label, value in zip(labels, level, strict=True)}
    tested = tuple(labels[:tests]) if len(labels) > 1 else ()
    pairs = tuple(
        Pair(
            a, b, rows[a]["gIoU"].value - rows[b]["gIoU"].value, p := float(rng.uniform(0, 0.06)), min(1.0, 2 * p), 900
        )
        for a, b in combinations(tested, 2)
    )
    breakdowns = (
        _breakdown(
            "size", "object size", ("tiny < 16 px", "small < 32 px", "medium < 96 px", "large"), labels, level, rng
        ),
        _breakdown("targets", "number of targets", ("none", "one", "several"), labels, level, rng),
        _breakdown(
            "category",
            "category",
            tuple(words(c) for c in ("airplane", "storage tank", "ground track field")),
            labels,
            level,
            rng,
        ),
    )
    board = Board(
        "res/strict",
        "gIoU",
        ("gIoU", "cIoU", "Pr@0.5", "Pr@0.7", "Pr@0.9"),
        rows,
        "mean IoU of masks, empty against empty is 1",
        True,
        "iou",
        pairs,
        tested,
        breakdowns,
    )
    costs = {
        label: Cost(
            900,
            float(20 * 1.07**i + i),
            float(8 * 1.07**i),
            None,
            0.002 * (i + 1),
            0.004 * (i + 1),
            0.0025 * (i + 1),
            2e8,
            None,
            i % 4,
            0,
        )
        for i, label in enumerate(labels)
    }
    failures = tuple(
        Failure(
            label,
            words(f"{name}/{i}"),
            words(f"{i:05}.jpg"),
            words(f"the plane left of hangar {i}"),
            0.01 * i,
            ("truncated", "empty")[: i % 3],
            words("<box>12 13 99"),
            words("worker died") if i == 2 else None,
            words("airplane"),
        )
        for label in labels[:8]
        for i in range(3)
    )
    issues = {label: {"truncated": 3 * i, "empty": i} for i, label in enumerate(labels)}
    items = tuple(_item(words, i, labels[:6], rng) for i in range(gallery))
    return DatasetBlock(
        words(name) if words is not str else name,
        name,
        split,
        tasks,
        900,
        120,
        "research use only",
        (board,),
        costs,
        issues,
        items,
        failures,
        2700,
    )


def _scores(value: float, rng: np.random.Generator) -> dict[str, Score]:
    found = {}
    for name, shift in (("gIoU", 0.0), ("cIoU", 0.02), ("Pr@0.5", 0.03), ("Pr@0.7", -0.05), ("Pr@0.9", -0.2)):
        centre = float(np.clip(value + shift, 0, 1))
        half = float(rng.uniform(0.005, 0.03))
        found[name] = Score(centre, max(0.0, centre - half), min(1.0, centre + half), 900)
    return found


def _breakdown(axis, title, bins, labels, level, rng):  # type: ignore[no-untyped-def]
    values = {}
    for label, base in zip(labels, level, strict=True):
        scores = []
        for place in range(len(bins)):
            centre = float(np.clip(base - 0.25 + 0.12 * place + rng.normal(0, 0.03), 0, 1))
            scores.append(Score(centre, max(0, centre - 0.03), min(1, centre + 0.03), 40 * (place + 1)))
        values[label] = tuple(scores)
    first = labels[-1]
    values[first] = (None, *values[first][1:])
    return Breakdown(axis, title, "gIoU", tuple(bins), tuple(40 * (i + 1) for i in range(len(bins))), values)


def _item(words, place, labels, rng):  # type: ignore[no-untyped-def]
    overlays = tuple(
        Overlay(
            label,
            () if i == 3 else (f"M{60 + 4 * i} {50 + 3 * i}H{140 - 5 * i}V{120}H{60 + 4 * i}Z",),
            0.9 - 0.1 * i,
            ("truncated",) if i == 2 else (),
            words("<box>12 13 99 45</box>"),
            words("timeout") if i == 3 else None,
        )
        for i, label in enumerate(labels)
    )
    return GalleryItem(
        words(f"s{place}"),
        words(f"{place:05}.jpg"),
        words("the white airplane nearest to the terminal"),
        _jpeg(rng),
        240,
        180,
        (100, 50, 340, 230),
        (800, 800),
        ("M62 52H138V118H62Z",),
        True,
        overlays,
        "",
        "systems disagree",
    )


class _Rewriter:
    """Turns each text into a hostile one that is still unique."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        if text not in self.known:
            self.known[text] = f"{HOSTILE[len(self.known) % len(HOSTILE)]}{len(self.known)}"
        return self.known[text]


@pytest.fixture(scope="session")
def report() -> ReportData:
    """Three systems on two data sets."""
    return build_report()


@pytest.fixture(scope="session")
def long_report() -> ReportData:
    """Eighty systems in ten families."""
    return build_report(80, families=10)


def with_rulers(data: ReportData) -> ReportData:
    """The same, where the best system of every board is a ceiling and the worst one blind."""
    roles = {data.systems[0].label: "ceiling", data.systems[-1].label: "blind"}
    systems = tuple(replace(system, role=roles.get(system.label, "system")) for system in data.systems)
    blocks = []
    for block in data.datasets:
        boards = [
            replace(
                board,
                aside=roles,
                tested=tuple(label for label in board.tested if label not in roles),
                pairs=tuple(pair for pair in board.pairs if not {pair.first, pair.second} & set(roles)),
            )
            for board in block.boards
        ]
        blocks.append(replace(block, boards=tuple(boards)))
    return replace(data, systems=systems, datasets=tuple(blocks), ceilings=False)


@pytest.fixture(scope="session")
def ruled_report() -> ReportData:
    """Six systems, of which the best is a ceiling and the worst is blind."""
    return with_rulers(build_report(6))


@pytest.fixture(scope="session")
def long_ruled_report() -> ReportData:
    """Thirty systems in five families, of which the best is a ceiling and the worst is blind."""
    return with_rulers(build_report(30, families=5))


@pytest.fixture(scope="session")
def hostile_report() -> ReportData:
    """Every text from outside is an attack."""
    return build_report(12, words=_Rewriter())


@pytest.fixture(scope="session")
def lonely_report() -> ReportData:
    """One system, no cost, nothing to draw, a score that does not apply."""
    board = Board(
        "hbb/strict",
        "Acc@0.5",
        ("Acc@0.5", "mIoU"),
        {"only": {"Acc@0.5": Score(math.nan, None, None, 0)}},
        paired="iou",
    )
    block = DatasetBlock("empty", "empty", boards=(board,))
    return ReportData(RunFacts("lonely", complete=False, progress="3 of 10 samples"), (SystemInfo("only"),), (block,))


def _stored_run() -> Any:
    spec = importlib.util.spec_from_file_location("report_stored_run", Path(__file__).with_name("stored_run.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def stored() -> Any:
    """The module that writes small runs to disk."""
    return _stored_run()


@pytest.fixture(scope="session")
def run_folder(stored: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three systems, two seeds and two protocols on 24 samples."""
    return Path(stored.build_run(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="session")
def hostile_words() -> Callable[[str], str]:
    """Turns each text into an attack that is still unique and that a database can hold."""
    rewrite = _Rewriter()
    return lambda text: rewrite(text).encode("utf-8", "replace").decode("utf-8")
