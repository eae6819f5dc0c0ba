"""Folders that cannot be loaded, and what is said about them; devices and precisions."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from rsground.contracts import Prompt
from rsground.errors import CheckpointError, DeviceError
from rsground.models.backbone import TransformersBackbone
from rsground.models.devices import pick_device, pick_dtype
from rsground.models.folder import Card, PartCard, write_card
from rsground.models.loading import hub_folder
from rsground.types import View


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build("llava", tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy"))


def load(folder: Path) -> TransformersBackbone:
    return TransformersBackbone(folder, device="cpu")


def weights(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def first(state: dict[str, torch.Tensor], part: str) -> str:
    return next(name for name in sorted(state) if part in name)


def cut_off(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def pickled_in_disguise(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weight": [0.0] * 100}))


def of_another_kind(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "novel", "auto_map": {"AutoModel": "x.Y"}}))


def text_only(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 32}))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickle": (pickled, r"pickle, which can run code.*safetensors"),
    "pickle under another name": (pickled_in_disguise, "pickle"),
    "cut off": (cut_off, "cut off or damaged"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), r"neither model\.safetensors nor"),
    "no config": (lambda folder: (folder / "config.json").unlink(), r"neither backbone/ nor config\.json; it holds"),
    "config is no JSON": (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
    "config is a list": (lambda folder: (folder / "config.json").write_text("[]"), '"model_type"'),
    "code of its own": (of_another_kind, "'novel' needs Python code that lies in the folder, and none is run"),
    "no vision": (text_only, "cannot be loaded"),
    "no tokenizer": (
        lambda folder: [(folder / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")],
        "processor or tokenizer cannot be loaded",
    ),
    "no processor": (lambda folder: (folder / "processor_config.json").unlink(), "processor"),
    "missing": (weights(lambda state: state.pop(first(state, "mlp.up_proj"))), r"1 missing: \S*mlp\.up_proj"),
    "unexpected": (
        weights(lambda state: state.update({"mask_head.weight": torch.zeros(3)})),
        r"1 unexpected: mask_head\.weight",
    ),
    "misshapen": (
        weights(lambda state: state.update({first(state, "q_proj"): torch.zeros(3, 5)})),
        r"1 of another shape: \S*q_proj\S* .*\(3, 5\).*",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_folder_that_cannot_be_loaded_is_refused_by_name(folder: Path, fault: str) -> None:
    spoil, said = BROKEN[fault]
    spoil(folder)
    with pytest.raises(CheckpointError, match=said) as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_a_folder_that_is_not_there_is_never_fetched(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder; weights are read from disk and never fetched"):
        load(tmp_path / "llava-hf" / "llava-1.5-7b-hf")


def test_a_card_says_where_the_backbone_of_several_systems_lies(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "shared_zoo"
    shutil.copytree(built, package / "backbones" / "one")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    backbone = PartCard("transformers", {"checkpoint": "shared_zoo:backbones/one"})
    card = Card(name="some/thing", head=PartCard("codec"), backbone=backbone)
    write_card(package / "systems" / "thing", card)
    assert hub_folder("shared_zoo:systems/thing") == package / "backbones" / "one"
    own = package / "systems" / "thing" / "backbone"
    own.mkdir()
    assert hub_folder("shared_zoo:systems/thing") == own, "its own comes first"


def test_all_faults_of_the_weights_come_at_once(folder: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> None:
        for name in [name for name in sorted(state) if "layers.0." in name]:
            del state[name]
        state["extra"] = torch.zeros(1)

    weights(change)(folder)
    with pytest.raises(CheckpointError, match=r"\d\d missing: .*, \.\.\.|\d\d missing: .* \.\.\.; 1 unexpected: extra"):
        load(folder)


def test_shards_are_read_as_one(built: Path, tmp_path: Path) -> None:
    whole = load(built)
    whole.model.save_pretrained(tmp_path, max_shard_size="60KB")
    whole.processor.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors.index.json").is_file()
    again = load(tmp_path)
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], value, atol=0, rtol=0)
    next(tmp_path.glob("model-*.safetensors")).unlink()
    with pytest.raises(CheckpointError, match=r"1 of .* shards are not there"):
        load(tmp_path)


def test_loading_and_saving_print_nothing(built: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(built).save(tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["bfloat16", "bf16", "float16", "float32"])
def test_precision_is_as_asked_for(built: Path, name: str) -> None:
    backbone = TransformersBackbone(built, device="cpu", dtype=name)
    wanted = pick_dtype(name, torch.device("cpu"))
    assert {weight.dtype for weight in backbone.model.parameters()} == {wanted}
    view = View((np.full((40, 60, 3), 9, np.uint8),), (40, 60))
    prompt = Prompt("Where?", view, max_new_tokens=3, capture=frozenset({"hidden"}))
    (found,) = backbone.generate([prompt])
    assert found.hidden.dtype == wanted
    assert torch.isfinite(found.hidden.float()).all()


def test_a_device_that_is_not_there_is_an_error() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(DeviceError, match="no device is called 'gpu'"):
        pick_device("gpu")
    with pytest.raises(DeviceError, match="no precision is called 'int7'; known: auto, float32"):
        pick_dtype("int7", torch.device("cpu"))
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(DeviceError, match=f"'{absent}' was asked for, but"):
        pick_device(absent)
    with pytest.raises(DeviceError, match="'vulkan' was asked for, but this machine has none"):
        pick_device("vulkan")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_is_refused_where_there_is_none(built: Path) -> None:
    with pytest.raises(DeviceError, match=r"'cuda' was asked for, but .*; use device='cpu' or 'auto'"):
        TransformersBackbone(built, device="cuda")
    assert TransformersBackbone(built).device == torch.device("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_answers_what_the_cpu_answers(built: Path) -> None:
    view = View((np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8),), (40, 60))
    prompts = [Prompt("Where?", view, max_new_tokens=4), Prompt("Where is the red car?", view, max_new_tokens=9)]
    here = load(built).generate(prompts)
    there = TransformersBackbone(built, device="cuda", dtype="float32").generate(prompts)
    assert [each.token_ids for each in here] == [each.token_ids for each in there]
