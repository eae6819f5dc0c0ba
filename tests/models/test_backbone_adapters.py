"""LoRA: put on, taught, saved, loaded, merged, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from rsground.contracts import Prompt
from rsground.errors import CheckpointError
from rsground.models.backbone import TransformersBackbone
from rsground.types import View

pytest.importorskip("peft")

VIEW = View((np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8),), (40, 60))
ASKED = Prompt("Where is the ship?", VIEW, answer="[100, 200]", capture=frozenset({"hidden"}))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build("qwen2.5-vl", tmp_path_factory.mktemp("tiny"))


def states(backbone: TransformersBackbone) -> torch.Tensor:
    found: torch.Tensor = backbone.generate([ASKED])[0].hidden
    return found


@pytest.fixture
def taught(built: Path) -> TransformersBackbone:
    """A model whose adapter was taught a little."""
    backbone = TransformersBackbone(built, device="cpu")
    before = states(backbone)
    backbone.add_lora(rank=4, alpha=8, dropout=0.0)
    torch.testing.assert_close(states(backbone), before, msg="a fresh adapter changes nothing")
    weights = [weight for weight in backbone.model.parameters() if weight.requires_grad]
    names = [name for name, weight in backbone.model.named_parameters() if weight.requires_grad]
    assert names
    assert all("lora_" in name and "visual" not in name for name in names)
    optimizer = torch.optim.Adam(weights, lr=0.02)
    losses = []
    for _ in range(8):
        loss = backbone.teach([ASKED]).loss
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]
    assert (states(backbone) - before).abs().max() > 0.01
    return backbone


def test_an_adapter_is_saved_loaded_and_merged(taught: TransformersBackbone, built: Path, tmp_path: Path) -> None:
    expected = states(taught)
    taught.save_adapter(tmp_path / "adapter")
    assert not list((tmp_path / "adapter").glob("*.bin"))
    again = TransformersBackbone(built, device="cpu", adapter=tmp_path / "adapter")
    torch.testing.assert_close(states(again), expected)
    taught.save(tmp_path / "whole")
    torch.testing.assert_close(states(taught), expected, msg="saving changes nothing")
    whole = TransformersBackbone(tmp_path / "whole", device="cpu")
    torch.testing.assert_close(states(whole), expected, atol=1e-4, rtol=1e-4)
    again.merge_adapter()
    assert again.lora is None
    assert not [name for name, _ in again.model.named_parameters() if "lora" in name]
    torch.testing.assert_close(states(again), expected, atol=1e-4, rtol=1e-4)
    again.add_lora(rank=2)
    torch.testing.assert_close(states(again), expected, atol=1e-4, rtol=1e-4)


def test_targets_can_be_named(built: Path) -> None:
    backbone = TransformersBackbone(built, device="cpu")
    backbone.add_lora(rank=2, targets=["q_proj", "v_proj"])
    names = {
        name.split(".lora_")[0].rsplit(".", 1)[1] for name, _ in backbone.model.named_parameters() if "lora_" in name
    }
    assert names == {"q_proj", "v_proj"}
    assert backbone.generate([replace(ASKED, answer=None, max_new_tokens=2)])[0].token_ids


def test_what_is_no_fitting_adapter_is_refused(taught: TransformersBackbone, built: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no adapter_config\.json"):
        TransformersBackbone(built, device="cpu", adapter=built)
    with pytest.raises(CheckpointError, match="has a LoRA adapter already"):
        taught.add_lora()
    plain = TransformersBackbone(built, device="cpu")
    for act in (plain.merge_adapter, lambda: plain.save_adapter(tmp_path / "none")):
        with pytest.raises(CheckpointError, match="has no LoRA adapter"):
            act()
    taught.save_adapter(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    whole = load_file(file)
    name = sorted(whole)[0]
    save_file({key: value for key, value in whole.items() if key != name}, file)
    with pytest.raises(CheckpointError, match=r"not of this model: 1 keys missing, 0 unexpected \(.*lora_A"):
        TransformersBackbone(built, device="cpu", adapter=tmp_path / "adapter")
    save_file({**whole, name: whole[name][:, :5].contiguous()}, file)
    with pytest.raises(CheckpointError, match=r"does not fit the model: .*size mismatch"):
        TransformersBackbone(built, device="cpu", adapter=tmp_path / "adapter")
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(CheckpointError, match="cut off or damaged"):
        TransformersBackbone(built, device="cpu", adapter=tmp_path / "adapter")
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(CheckpointError, match="pickle"):
        TransformersBackbone(built, device="cpu", adapter=tmp_path / "adapter")
