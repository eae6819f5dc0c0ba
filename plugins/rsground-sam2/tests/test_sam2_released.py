"""Every released configuration, built without memory, against the package's own model of the same file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rsground.errors import CheckpointError

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from rsground_sam2.config import SIZES, read_config, released, released_names, write_config  # noqa: E402
from rsground_sam2.image_model import ImageModel  # noqa: E402
from rsground_sam2.weights import GEOPIXEL_PREFIX, image_key, is_video_key, shapes_only  # noqa: E402


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def ours(name: str) -> dict[str, tuple[int, ...]]:
    with shapes_only():
        return shapes(ImageModel(released(name)))


def stock(name: str) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the package's own model, by its own builder's means."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    release, size = name.split("_hiera_")
    letter = {size: letter for letter, size in SIZES.items()}[size]
    import sam2

    config = OmegaConf.load(Path(sam2.__path__[0]) / "configs" / release / f"{release}_hiera_{letter}.yaml")
    with shapes_only():
        return shapes(instantiate(config.model, _recursive_=True))


@pytest.mark.parametrize("name", released_names())
def test_key_sets_are_the_packages_without_the_memory(name: str) -> None:
    theirs = stock(name)
    assert {key: shape for key, shape in theirs.items() if not is_video_key(key)} == ours(name)
    assert any(is_video_key(key) for key in theirs)


def test_both_spellings_name_one_release() -> None:
    assert released("sam2.1_hiera_b+") == released("sam2.1_hiera_base_plus")
    assert released("sam2.1_hiera_l").trunk["embed_dim"] == 144


def test_geopixels_segmenter_is_the_large_release() -> None:
    root = os.environ.get("RSGROUND_SHARED_DATA")
    path = (Path(root) if root else Path(__file__).parents[4] / "shared" / "data").parent / "specs"
    file = path / "seg_token_keys_geopixel.json"
    if not file.exists():
        pytest.skip("needs the listing of a GeoPixel checkpoint's keys")
    listed = {key: tuple(shape) for key, shape in json.loads(file.read_text()).items()}
    inside = {image_key(key, GEOPIXEL_PREFIX): shape for key, shape in listed.items()}
    del inside[None]
    assert inside == ours("sam2_hiera_large")


def test_config_json_round_trip(tmp_path: Path) -> None:
    for name in released_names():
        write_config(released(name), tmp_path / "config.json")
        assert read_config(tmp_path / "config.json") == released(name)


@pytest.mark.parametrize("text", ["[]", "{", '{"model_type": "bert"}', '{"model_type": "sam2_image", "trunk": {}}'])
def test_other_config_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError):
        read_config(tmp_path / "config.json")
