"""Tiny random models for this plugin's tests; without torch the tests that want them are skipped."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
_TINY = Path(__file__).resolve().parents[3] / "tests" / "models" / "tiny.py"


def _tiny() -> ModuleType:
    for name in ("torch", "transformers"):
        pytest.importorskip(name)
    if not _TINY.is_file():
        pytest.skip("the tiny models are in the repository, not in the plugin")
    spec = importlib.util.spec_from_file_location(f"tiny_models_of_{Path(__file__).parents[1].name}", _TINY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _tower(tiny: ModuleType, folder: Path, seed: int) -> Path:
    """The project's own small model, smaller still."""
    import torch
    import transformers

    from rsground.models.tower_lm import TowerLM, TowerLMConfig, TowerLMProcessor
    from rsground.models.tower_lm.tokenizer import make_tokenizer

    pieces = make_tokenizer([tiny.CORPUS], size=300)
    config = TowerLMConfig(
        vision_config={"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
        text_config=tiny.text(transformers.LlamaConfig, pieces, tie_word_embeddings=True, max_position_embeddings=4096),
        image_size=64,
        fpn_width=8,
        dense_width=8,
        objects=6,
        grid=2,
        code_width=8,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TowerLM(config)
    model.generation_config.eos_token_id = pieces.eos_token_id
    model.save_pretrained(folder)
    images = transformers.ViTImageProcessor(size={"height": 64, "width": 64})
    TowerLMProcessor(images, pieces, visual_tokens=config.visual_tokens).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """(family, **options) → a backbone of a tiny random model: ``"tower"`` or a family of the tiny models."""
    tiny = _tiny()
    folders: dict[str, Path] = {}

    def build(family: str, **options: Any) -> Any:
        from rsground.models.backbone import TransformersBackbone

        if family not in folders:
            folder = tmp_path_factory.mktemp(family.replace(".", "-"))
            if family == "tower":
                folders[family] = _tower(tiny, folder, 0)
            else:
                folders[family] = tiny.build(family, folder, max_position_embeddings=4096)
        return TransformersBackbone(folders[family], device="cpu", **options)

    return build


@pytest.fixture(scope="session")
def tiny_sam2() -> Any:
    """SAM 2 of a few thousand random weights."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("sam2")
    pytest.importorskip("rsground_sam2")
    from rsground_sam2.config import ImageModelConfig
    from rsground_sam2.segmenter import Sam2Segmenter

    trunk = {
        "embed_dim": 16,
        "num_heads": 1,
        "stages": [1, 1, 2, 1],
        "global_att_blocks": [3],
        "window_pos_embed_bkg_spatial_size": [7, 7],
        "window_spec": [8, 4, 8, 4],
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Sam2Segmenter(config=ImageModelConfig(trunk=trunk, width=32, image_size=128), device="cpu")
