"""The detector that ships: complete, described, found by name, and as good as its card says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from rsground.assembly import locate
from rsground.datasets.scenes.plan import CATEGORIES
from rsground.models.card import read_card
from rsground.registry import registry
from rsground_mmrotate.annotated import annotated_scenes
from rsground_mmrotate.average_precision import dota_map
from rsground_mmrotate.labels import class_name

NAME, ADDRESS = "tiny/mmrotate", "rsground_mmrotate:trained/fcos_tiny"


def header(file: Path) -> dict[str, dict[str, object]]:
    """What a safetensors file says of its tensors, read by its published layout: a length, then JSON."""
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    found: dict[str, dict[str, object]] = json.loads(content[8 : 8 + length])
    ends = [end for row in found.values() if isinstance(row.get("data_offsets"), list) for end in row["data_offsets"]]
    assert max(ends) == len(content) - 8 - length
    return found


def test_the_folder_is_whole() -> None:
    folder = locate(ADDRESS)
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "README.md",
        "config.py",
        "model.safetensors",
        "rsground.json",
    ]
    found = header(folder / "model.safetensors")
    told = found.pop("__metadata__")
    assert json.loads(str(told["classes"])) == sorted(map(class_name, CATEGORIES))
    numbers = sum(math.prod(shape) for row in found.values() if isinstance(shape := row["shape"], list))
    assert 3.0e6 < numbers < 3.3e6
    assert (folder / "model.safetensors").stat().st_size < 8e6


def test_the_card_and_the_registry_say_the_same() -> None:
    card, spec = read_card(locate(ADDRESS)), registry().find("system", NAME)
    assert card.name == NAME
    assert spec.checkpoint == ADDRESS
    assert (card.head.name, dict(card.head.options)) == (spec.head, dict(spec.head_options))
    assert (card.backbone.name, dict(card.backbone.options)) == (spec.backbone, dict(spec.backbone_options))
    assert {"recipe", "seed", "data", "iterations"} <= card.training.keys()
    assert card.scores


@pytest.mark.filterwarnings("ignore")
def test_it_finds_what_is_in_scenes_it_never_saw() -> None:
    for name in ("torch", "mmcv", "mmdet", "mmrotate", "safetensors"):
        pytest.importorskip(name, reason="MMRotate is not installed here (nox -s mmrotate runs this)")
    from rsground.images import read_image
    from rsground_mmrotate.detector import Detector

    detector = Detector(ADDRESS, device="cpu")
    images = list(annotated_scenes("test", 12))
    found = {each.name: detector.detect([read_image(each.image)])[0] for each in images}
    annotated = {each.name: each.regions for each in images}
    score = dota_map(found, annotated, detector.classes, mode="area")
    assert score.mean > 0.5
