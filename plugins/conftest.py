"""Tiny random models that the plugins' tests share; where what they need is not installed, those tests are skipped."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
_TINY = Path(__file__).resolve().parents[1] / "tests" / "models" / "tiny.py"


def _tiny() -> ModuleType:
    for name in ("torch", "transformers"):
        pytest.importorskip(name)
    spec = importlib.util.spec_from_file_location("tiny_models_of_plugins", _TINY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """(family) → a tiny random model in hub layout: ``"tower"`` or a family of the tiny models."""
    tiny = _tiny()
    folders: dict[str, Path] = {}

    def build(family: str) -> Path:
        if family not in folders:
            folder = tmp_path_factory.mktemp(family.replace(".", "-"))
            make = tiny.tower if family == "tower" else partial(tiny.build, family)
            folders[family] = make(folder, max_position_embeddings=4096)
        return folders[family]

    return build


@pytest.fixture(scope="session")
def tiny_backbone(tiny_folder: Callable[[str], Path]) -> Callable[..., Any]:
    """(family, **options) → a backbone of such a model."""

    def build(family: str, **options: Any) -> Any:
        from rsground.models.backbone import TransformersBackbone

        return TransformersBackbone(tiny_folder(family), device="cpu", **options)

    return build


@pytest.fixture(scope="session")
def taught() -> Callable[[Any, Sequence[Any]], tuple[float, float]]:
    """(backbone, prompts) → its loss on them before and after it learned from them for thirty steps."""
    torch = pytest.importorskip("torch")

    def teach(backbone: Any, prompts: Sequence[Any]) -> tuple[float, float]:
        optimiser = torch.optim.AdamW(backbone.model.parameters(), 5e-3)
        losses = []
        for _ in range(31):
            loss = backbone.teach(prompts).loss
            losses.append(float(loss.detach()))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert np.isfinite(losses).all()
        return losses[0], losses[-1]

    return teach


@pytest.fixture(scope="session")
def tiny_sam2_config() -> Any:
    """SAM 2 with a trunk of a few thousand weights."""
    pytest.importorskip("torch")
    pytest.importorskip("sam2")
    config = pytest.importorskip("rsground_sam2.config")
    trunk = {
        "embed_dim": 16,
        "num_heads": 1,
        "stages": [1, 1, 2, 1],
        "global_att_blocks": [3],
        "window_pos_embed_bkg_spatial_size": [7, 7],
        "window_spec": [8, 4, 8, 4],
    }
    return config.ImageModelConfig(trunk=trunk, width=32, image_size=128)


@pytest.fixture(scope="session")
def tiny_sam2(tiny_sam2_config: Any) -> Any:
    """The segmenter of that, with random weights."""
    import torch

    from rsground_sam2.segmenter import Sam2Segmenter

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Sam2Segmenter(config=tiny_sam2_config, device="cpu")
