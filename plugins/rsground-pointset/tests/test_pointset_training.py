"""The recipe for changes, run on a tiny OneVision: two images and cyclic referring go through ``rsground train``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("mmengine")

from rsground.cli import main
from rsground.datasets.scenes import ScenesDataset
from rsground.images import read_image
from rsground.models.folder import read_card
from rsground.models.training.sample_stream import Pair
from rsground.models.training.system_model import SystemModel
from rsground.regions import union_mask
from rsground.types import Task
from rsground_pointset.georsmllm import TAGS

RECIPE = Path(__file__).parents[3] / "benchmarks" / "recipes" / "llava-lora-georsmllm.toml"
PAIRS = 'name = "levir-cd"\nroot = "LEVIR-CD"\nsplit = "train"\nval = { split = "val", metric = "change" }\n'
SINGLE = 'name = "scenes"\nsplit = "train"\noptions = { count = 6, size = 64, tasks = ["obb", "mask"] }\n'
SHORT = {
    "schedule.steps": 6,
    "schedule.batch": 4,
    "schedule.accumulate": 1,
    "schedule.workers": 0,
    "model.lora.rank": 4,
    "model.options.max_context": 2048,
}


@pytest.fixture
def levir(tmp_path: Path) -> Path:
    """Drawn pairs in the layout of LEVIR-CD: three that changed to learn from, one to validate."""
    changed = (sample for sample in ScenesDataset(size=64, count=99, tasks="change") if len(sample.targets or ()) > 1)
    for name, sample in zip(("train_1", "train_2", "train_3", "val_1"), changed, strict=False):
        label = union_mask(sample.targets or (), sample.size).astype(np.uint8) * 255
        pixels = [*(read_image(image) for image in sample.images), label]
        for folder, drawn in zip(("A", "B", "label"), pixels, strict=True):
            (tmp_path / "levir" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawn).save(tmp_path / "levir" / folder / f"{name}.png")
    return tmp_path / "levir"


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[Pair]:
    """All pairs that a training learns from."""
    forward, found = SystemModel.forward, list[Pair]()

    def listened(self: Any, pairs: list[Pair], mode: str = "loss") -> Any:
        found.extend(pairs)
        return forward(self, pairs, mode)

    monkeypatch.setattr(SystemModel, "forward", listened)
    return found


@pytest.mark.parametrize(
    ("data", "head", "kinds"),
    [
        (PAIRS, "{}", {"base", "cyclic"}),
        (PAIRS, "{ cyclic_referring = false }", {"base"}),
        (SINGLE, "{}", {"base", "cyclic"}),
    ],
    ids=["as it ships", "plain pairs alone", "single images"],
)
def test_cyclic_referring_is_taught_as_the_head_says(
    data: str,
    head: str,
    kinds: set[str],
    tmp_path: Path,
    levir: Path,
    tiny_folder: Callable[[str], Path],
    taught: list[Pair],
) -> None:
    text = RECIPE.read_text(encoding="utf-8")
    assert PAIRS in text
    file = tmp_path / "short.toml"
    file.write_text(text.replace(PAIRS, data), encoding="utf-8")
    changes = {**SHORT, "model.checkpoint": tiny_folder("llava-onevision"), "head.options": head}
    if data == PAIRS:
        changes["data.root"] = levir
    said = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    assert main(["train", str(file), "--root", str(tmp_path / "runs"), "--device", "cpu", "--quiet", *said]) == 0
    card = read_card(tmp_path / "runs" / "short" / "out")
    assert card.training["pairs"] == dict.fromkeys(kinds, 1.0)
    assert ("levir-cd" in card.scores) is (data == PAIRS)
    assert {pair.kind for pair in taught} == kinds
    for pair in taught:
        change = pair.sample.task is Task.CHANGE
        assert change is (data == PAIRS)
        assert pair.prompt.view is not None
        assert len(pair.prompt.view.images) == 1 + change
        if pair.kind == "base":
            assert pair.prompt.text.startswith(TAGS[pair.sample.task])
            assert (pair.prompt.answer or "").startswith("{")
        else:
            asked = "[refer] Describe what changed at {(" if change else "[refer] Describe the object at {("
            assert pair.prompt.text.startswith(asked)
            assert pair.prompt.answer == pair.sample.expression
            assert change or len(pair.sample.targets or ()) == 1
