"""The shipped systems: whole, safe, small, and better than guessing."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

from rsground import Grounder
from rsground.datasets.scenes import ScenesDataset
from rsground.errors import DeviceError
from rsground.images import read_image
from rsground.metrics import evaluate
from rsground.models.asking import Question
from rsground.registry import registry
from rsground.testing import PluginConformance
from rsground.types import Prediction, Region, Sample, Task

HOME = Path(str(files("rsground_zoo_tiny")))
SYSTEMS = sorted(path.name for path in (HOME / "systems").iterdir())
MOST_BYTES = 120_000_000


class TestPlugin(PluginConformance):
    plugin_name = "zoo-tiny"
    plugin_module = "rsground_zoo_tiny"


def test_the_systems_are_registered() -> None:
    assert {"geoground", "box-mask", "georsmllm", "geopixel"} <= set(SYSTEMS)
    assert {f"tiny/{name}" for name in SYSTEMS} <= set(registry().offers("system"))


def test_weights_are_small_and_never_pickles() -> None:
    held = [path for path in HOME.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in held) < MOST_BYTES
    assert not [path for path in held if path.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_card_says_where_the_weights_come_from(name: str) -> None:
    card = json.loads((HOME / "systems" / name / "rsground.json").read_text())
    assert card["training"]["recipe"].endswith(".toml")
    assert card["training"]["data"]["kind"] == "scenes"
    assert card["scores"]
    assert (HOME / "systems" / name / "README.md").is_file()


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_beats_the_middle_of_the_image(name: str) -> None:
    """On a few scenes never trained on; the full figures are in the results page."""
    samples = [each for each in ScenesDataset(split="val", count=12, tasks="hbb", per_scene=3) if each.targets]
    with Grounder.from_pretrained(f"tiny/{name}") as grounder:
        found = grounder.ground_many(Question(read_image(each.image), each.expression, Task.HBB) for each in samples)
    assert [each.error for each in found] == [None] * len(samples)
    assert _score(samples, found) > 0.15 + _score(samples, [_middle(each) for each in samples])


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_device_chooses_no_other_precision(name: str) -> None:
    samples = [each for each in ScenesDataset(split="val", count=4, tasks="mask", per_scene=1) if each.targets]
    found = []
    for dtype in (None, "auto"):
        with Grounder.from_pretrained(f"tiny/{name}", device="cpu", dtype=dtype) as grounder:
            asked = [Question(read_image(each.image), each.expression, Task.MASK) for each in samples]
            found.append(grounder.ground_many(asked))
    assert all(each.error is None for some in found for each in some)
    plain, told = ([(each.text, each.regions) for each in some] for some in found)
    assert any(regions for _, regions in plain), "something is found, so that something is compared"
    assert plain == told
    with pytest.raises(DeviceError, match=r"computes in float32 only: .*, got 'bf16'; use dtype='float32' or 'auto'"):
        Grounder.from_pretrained(f"tiny/{name}", device="cpu", dtype="bf16")


def _score(samples: list[Sample], found: list[Prediction]) -> float:
    return float(evaluate(samples, found, "rec-hbb")["mIoU"])


def _middle(sample: Sample) -> Prediction:
    height, width = sample.size
    return Prediction(regions=(Region(hbb=(width / 4, height / 4, width * 3 / 4, height * 3 / 4)),))
