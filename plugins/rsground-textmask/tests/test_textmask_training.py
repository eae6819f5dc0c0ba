"""The recipe for a LLaVA, run as it ships on a tiny one: GeoGround's own pairs go through ``rsground train``."""

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
from rsground.datasets.refer.records import ImageRecord, Ref
from rsground.datasets.refer.write_rrsisd import write_rrsisd
from rsground.models.folder import read_card, read_state
from rsground.models.training.sample_stream import Pair
from rsground.models.training.system_model import SystemModel
from rsground.testing import miniature
from rsground.types import Task

RECIPE = Path(__file__).parents[3] / "benchmarks" / "recipes" / "llava-lora-geoground.toml"
PAIRS = "pairs = { base = 1, pal = 0.5, ggl = 0.5 }\n"
SHORT = {
    "schedule.steps": "6",
    "schedule.batch": "4",
    "schedule.accumulate": "1",
    "schedule.rate": "0.01",
    "schedule.workers": "0",
    "data.val.limit": "1",
    "head.options": "{ resolution = 8 }",
    "model.lora.rank": "4",
}


@pytest.fixture
def rrsisd(tmp_path: Path) -> Path:
    """Four noisy photographs in RRSIS-D's layout, each with a tilted object that has a mask; one for validation."""
    rng, records = np.random.default_rng(0), []
    for number, split in enumerate(("train", "train", "train", "val")):
        sample = miniature(Task.MASK)
        file = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (*sample.size, 3), np.uint8)).save(file)
        said = Ref(f"tank {number}", (0,), "category", (), "storage tank", [])
        records.append(ImageRecord(file.stem, str(file), sample.size, split, sample.targets or (), (said,)))
    write_rrsisd(tmp_path / "set", records, "copy")
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("pairs", "weights"),
    [(PAIRS, {"base": 1, "pal": 0.5, "ggl": 0.5}), ("", {"base": 1, "pal": 1, "ggl": 1})],
    ids=["as it ships", "without data.pairs"],
)
def test_hybrid_supervision_goes_through_the_recipe(
    pairs: str,
    weights: dict[str, float],
    tmp_path: Path,
    rrsisd: Path,
    tiny_folder: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = RECIPE.read_text(encoding="utf-8")
    assert PAIRS in text
    file = tmp_path / "short.toml"
    file.write_text(text.replace(PAIRS, pairs), encoding="utf-8")
    before, forward = tiny_folder("llava"), SystemModel.forward
    taught, losses = list[Pair](), list[float]()

    def listened(self: Any, pairs: list[Pair], mode: str = "loss") -> Any:
        found = forward(self, pairs, mode)
        taught.extend(pairs)
        losses.append(float(found["loss_text"].detach()))
        return found

    monkeypatch.setattr(SystemModel, "forward", listened)
    changes = {**SHORT, "data.root": str(rrsisd), "model.checkpoint": str(before)}
    said = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    assert main(["train", str(file), "--root", str(tmp_path / "runs"), "--device", "cpu", "--quiet", *said]) == 0
    by_kind = {kind: [pair for pair in taught if pair.kind == kind] for kind in {pair.kind for pair in taught}}
    assert set(by_kind) == {"base", "pal", "ggl"}
    assert all(pair.prompt.text.startswith("Can you segment the <ref>tank ") for pair in by_kind["base"])
    assert all(pair.prompt.view is not None and " Given its " in pair.prompt.text for pair in by_kind["pal"])
    assert all(pair.prompt.view is None and "Convert to the" in pair.prompt.text for pair in by_kind["ggl"])
    assert losses[-1] < losses[0]
    out = tmp_path / "runs" / "short" / "out"
    assert read_card(out).training["pairs"] == weights
    old, new = read_state(before), read_state(out / "backbone")
    assert any(not old[name].equal(new[name].to(old[name].dtype)) for name in old)
