"""System folders: weights key by key, cards strictly, and nothing half written."""

from __future__ import annotations

import json
import os
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from rsground.errors import CheckpointError, RsgroundError  # noqa: E402
from rsground.models.atomic import replacing_folder  # noqa: E402
from rsground.models.folder import (  # noqa: E402
    Card,
    PartCard,
    load_state,
    part_folder,
    read_card,
    read_state,
    save_state,
    write_card,
)

DTYPES = (torch.float16, torch.bfloat16, torch.float32)


class Net(torch.nn.Module):
    """Two layers, a buffer of whole numbers, and a head tied to the embedding."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(6, width)
        self.norm = torch.nn.BatchNorm1d(width)
        self.out = torch.nn.Linear(width, 6, bias=False)
        self.out.weight = self.embed.weight


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_module_comes_back_as_it_was_in_its_own_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    net = Net().to(dtype)
    file = save_state(net, tmp_path / "head")
    assert file == tmp_path / "head" / "model.safetensors"
    stored = load_file(file)
    assert "out.weight" not in stored, "a tied tensor is stored once"
    assert {t.dtype for t in stored.values() if t.is_floating_point()} == {dtype}
    other = Net().to(dtype)
    load_state(other, tmp_path / "head")
    assert same(net, other)
    assert other.out.weight is other.embed.weight


def test_the_module_chooses_the_dtype_unless_told_otherwise(tmp_path: Path) -> None:
    net = Net()
    file = save_state(net, tmp_path / "half.safetensors", dtype=torch.float16)
    assert read_state(file)["norm.num_batches_tracked"].dtype == torch.int64
    kept, stored, chosen = Net(), Net(), Net()
    load_state(kept, file)
    load_state(stored, file, dtype="stored")
    load_state(chosen, file, dtype=torch.bfloat16)
    assert [n.embed.weight.dtype for n in (kept, stored, chosen)] == [torch.float32, torch.float16, torch.bfloat16]
    assert chosen.norm.num_batches_tracked.dtype == torch.int64
    assert stored.out.weight is stored.embed.weight
    assert torch.equal(kept.embed.weight, net.embed.weight.half().float())


def test_a_module_on_the_meta_device_gets_the_values_and_stays_tied(tmp_path: Path) -> None:
    net = Net()
    net.norm.weight.requires_grad_(False)
    file = save_state(net, tmp_path)
    with torch.device("meta"):
        empty = Net()
    empty.norm.weight.requires_grad_(False)
    with pytest.raises(CheckpointError, match="meta device"):
        save_state(empty, tmp_path / "empty")
    load_state(empty, file)
    assert same(net, empty)
    assert empty.out.weight is empty.embed.weight
    assert empty.embed.weight.requires_grad
    assert not empty.norm.weight.requires_grad


def test_loading_keeps_the_parameter_objects_that_an_optimiser_holds(tmp_path: Path) -> None:
    net, other = Net(), Net()
    before = dict(other.named_parameters())
    load_state(other, save_state(net, tmp_path), dtype="stored")
    assert all(parameter is before[name] for name, parameter in other.named_parameters())


def test_keys_that_do_not_fit_are_all_named_and_nothing_is_changed(tmp_path: Path) -> None:
    state = Net().state_dict()
    del state["norm.bias"]
    state |= {f"old.{number}": torch.zeros(1) for number in range(7)}
    state["norm.weight"] = torch.zeros(5)
    file = save_state(state, tmp_path / "wrong.safetensors")
    net, twin = Net(), Net()
    twin.load_state_dict(net.state_dict())
    with pytest.raises(CheckpointError) as caught:
        load_state(net, file)
    said = str(caught.value)
    assert "1 missing: norm.bias" in said
    assert "7 unexpected: old.0, old.1, old.2, old.3, old.4 and 2 more" in said
    assert "norm.weight is 5, should be 4" in said
    assert str(file) in said
    assert same(net, twin)


def test_renaming_drops_and_moves_keys(tmp_path: Path) -> None:
    net = Net()
    state = {f"model.{key}": value for key, value in net.state_dict().items()} | {"step": torch.zeros(1)}
    file = save_state(state, tmp_path / "published.safetensors")
    other = Net()
    load_state(other, file, rename=lambda key: None if key == "step" else key.removeprefix("model."))
    assert same(net, other)
    table = {key: key.removeprefix("model.") for key in state if key != "step"}
    third = Net()
    load_state(third, file, rename={**table, "step": None})
    assert same(net, third)
    with pytest.raises(CheckpointError, match="both renamed to 'one'"):
        load_state(Net(), file, rename=lambda key: "one")


def test_optional_keys_may_be_missing(tmp_path: Path) -> None:
    state = Net().state_dict()
    del state["norm.bias"]
    file = save_state(state, tmp_path)
    net = Net()
    torch.nn.init.constant_(net.norm.bias, 7.0)
    load_state(net, file, optional=("norm.bias",))
    load_state(net, file, optional=lambda key: key.startswith("norm."))
    assert net.norm.bias.tolist() == [7.0] * 4


@given(cut=st.floats(0, 0.999))
def test_a_file_cut_anywhere_is_refused_with_its_name(tmp_path_factory: pytest.TempPathFactory, cut: float) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = save_state(Net(), folder / "whole.safetensors").read_bytes()
    file = folder / "cut.safetensors"
    file.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(CheckpointError, match=r"cut off or damaged .*fetch it again") as caught:
        load_state(Net(), file)
    assert str(file) in str(caught.value)


@given(noise=st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    file = tmp_path_factory.mktemp("noise") / "model.safetensors"
    file.write_bytes(noise)
    with pytest.raises(CheckpointError):
        load_state(Net(), file)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.mark,))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "best.pt", "last.pth", "model.ckpt"])
@pytest.mark.parametrize("how", ["zip", "old", "pickle"])
def test_a_pickle_is_refused_unread_whatever_it_is_called(tmp_path: Path, name: str, how: str) -> None:
    file = tmp_path / name
    bomb = {"weight": Bomb(str(tmp_path / "ran"))}
    if how == "pickle":
        file.write_bytes(pickle.dumps(bomb, protocol=4))
    else:
        torch.save(bomb, file, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(CheckpointError, match=r"pickle.*weights_only=True"):
        load_state(Net(), file)
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_holds_only_a_pickle_says_so(tmp_path: Path) -> None:
    torch.save(Net().state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickle"):
        load_state(Net(), tmp_path)


def test_a_header_length_that_looks_like_a_pickle_is_no_pickle(tmp_path: Path) -> None:
    file = save_state(Net(), tmp_path / "model.safetensors")
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = data[8 : 8 + length].rstrip() + b" " * 2000
    file.write_bytes(struct.pack("<Q", 0x0480) + header[:0x0480] + data[8 + length :])
    assert file.read_bytes()[:2] == b"\x80\x04", "as a pickle of protocol 4 begins"
    load_state(Net(), file)


def test_files_that_stand_for_weights_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(CheckpointError, match="git lfs pull"):
        read_state(file)
    file.write_text("<!DOCTYPE html><html>not found</html>")
    with pytest.raises(CheckpointError, match="web page"):
        read_state(file)
    with pytest.raises(CheckpointError, match="no such weight file"):
        read_state(tmp_path / "absent.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor"):
        read_state(tmp_path / "empty")


def shards(folder: Path, net: torch.nn.Module) -> dict[str, str]:
    """Write a sharded set as transformers does; its weight map."""
    state = {key: value for key, value in net.state_dict().items() if key != "out.weight"}
    homes = {key: f"model-0000{1 + place % 2}-of-00002.safetensors" for place, key in enumerate(state)}
    for name in set(homes.values()):
        save_file({key: state[key] for key in state if homes[key] == name}, folder / name)
    write_index(folder, homes)
    return homes


def write_index(folder: Path, homes: Any) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": homes}))


def test_sharded_weights_load_by_folder_or_index(tmp_path: Path) -> None:
    net = Net()
    shards(tmp_path, net)
    for place in (tmp_path, tmp_path / "model.safetensors.index.json"):
        other = Net()
        load_state(other, place)
        assert same(net, other)


def test_a_broken_set_of_shards_is_named(tmp_path: Path) -> None:
    homes = shards(tmp_path, Net())
    write_index(tmp_path, {**homes, "embed.weight": "../model-00001-of-00002.safetensors"})
    with pytest.raises(CheckpointError, match="beside their index"):
        read_state(tmp_path)
    write_index(tmp_path, {**homes, "ghost": homes["embed.weight"]})
    with pytest.raises(CheckpointError, match="disagree about 1 keys: ghost"):
        read_state(tmp_path)
    for bad in ("[]", "{", '{"weight_map": 3}'):
        (tmp_path / "model.safetensors.index.json").write_text(bad)
        with pytest.raises(CheckpointError, match="index of shards"):
            read_state(tmp_path)
    write_index(tmp_path, homes)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"1 of 2 shards are not there: model-00002"):
        read_state(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save_state(Net(), tmp_path)
    before = file.read_bytes()

    def fails(state: Any, path: Path, metadata: Any) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("rsground.models.state.save_file", fails)
    with pytest.raises(CheckpointError, match="No space left"):
        save_state(Net(), tmp_path)
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_pickles_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="safetensors only"):
        save_state(Net(), tmp_path / "model.pt")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "system"
    with replacing_folder(target) as fresh:
        (fresh / "one").write_text("1")
    with pytest.raises(FileNotFoundError), replacing_folder(target) as fresh:
        (fresh / "no" / "two").write_text("2")
    assert [entry.name for entry in target.iterdir()] == ["one"]
    with replacing_folder(target) as fresh:
        (fresh / "three").write_text("3")
    assert [entry.name for entry in target.iterdir()] == ["three"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["system"]


CARD = Card(
    name="tiny/boxes",
    summary="writes boxes",
    head=PartCard("codec", {"codec": "text-hbb"}, "rsground 0.1.0"),
    backbone=PartCard("transformers", {}, "rsground 0.1.0"),
    preprocessors=(PartCard("magcrop", {"scale": 2.0}, "rsground-magcrop 0.1.0"),),
    segmenter=PartCard("sam2"),
    tokens=("[SEG]",),
    training={"recipe": "boxes.py", "seed": 0, "seconds": 61.5},
    scores={"scenes": {"acc@0.5": 0.8125}},
    licence="Apache-2.0",
)


def test_a_card_round_trips_and_reads_well(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    assert read_card(tmp_path) == CARD
    text = (tmp_path / "README.md").read_text()
    assert "pip install rsground-magcrop" in text
    assert "| scenes / acc@0.5 | 0.8125 |" in text
    assert "| head | `codec` | rsground 0.1.0 | codec='text-hbb' |" in text
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["README.md", "rsground.json"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(facts=st.dictionaries(st.text(), json_values, max_size=4), summary=st.text())
def test_any_facts_round_trip(tmp_path_factory: pytest.TempPathFactory, facts: dict[str, Any], summary: str) -> None:
    folder = tmp_path_factory.mktemp("card")
    try:
        summary.encode()
        json.dumps(facts, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # lone surrogates have no UTF-8
        return
    card = Card("any", PartCard("codec", facts), PartCard("blind"), summary=summary, training=facts)
    write_card(folder, card)
    assert read_card(folder) == card


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2, this rsground reads 1: pip install -U rsground"),
        ({"format": "1"}, "key 'format' must be a whole number"),
        ({"format": True}, "key 'format' must be a whole number"),
        ({"heads": {}}, "unknown key 'heads'; did you mean 'head'"),
        ({"head": None}, "needs the key 'head'"),
        ({"head": "codec"}, "key 'head' must be an object"),
        ({"backbone": {"options": {}}}, "backbone needs the key 'name'"),
        ({"backbone": {"name": "blind", "option": {}}}, "backbone has the unknown key 'option'"),
        ({"preprocessors": [3]}, r"preprocessors\[0\] must be a JSON object"),
        ({"tokens": ["a", 1]}, "key 'tokens' must be a list of texts"),
        ({"name": 5}, "key 'name' must be a text"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_card_that_breaks_a_rule_says_which(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    (tmp_path / "rsground.json").write_text(json.dumps({**CARD.to_json(), **change}))
    with pytest.raises(CheckpointError, match=said):
        read_card(tmp_path)


@given(value=json_values)
def test_any_json_is_a_card_or_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "rsground.json").write_text(json.dumps(value))
    with pytest.raises(RsgroundError):
        read_card(folder)


def test_what_is_no_card_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no system folder: it has no rsground\.json"):
        read_card(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        read_card(tmp_path / "absent")
    (tmp_path / "rsground.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_card(tmp_path)
    with pytest.raises(CheckpointError, match="plain JSON values only"):
        write_card(tmp_path, Card("x", PartCard("a", {"path": tmp_path}), PartCard("b")))


def test_parts_find_their_folder(tmp_path: Path) -> None:
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "config.json").write_text("{}")
    assert part_folder(tmp_path, "backbone") == tmp_path / "backbone"
    assert part_folder(tmp_path / "backbone", "backbone") == tmp_path / "backbone"
    with pytest.raises(CheckpointError, match=re.escape("neither segmenter/ nor config.json; it holds backbone")):
        part_folder(tmp_path, "segmenter")
    with pytest.raises(CheckpointError, match="no such folder"):
        part_folder(tmp_path / "absent", "backbone")
    with pytest.raises(CheckpointError, match="this is a file"):
        part_folder(tmp_path / "backbone" / "config.json", "backbone")
    assert part_folder("rsground:report", "templates").parts[-3:] == ("rsground", "report", "templates")
    with pytest.raises(CheckpointError, match="pip install no-such-zoo"):
        part_folder("no_such_zoo:systems/x", "backbone")
    with pytest.raises(CheckpointError, match="has no 'nowhere'"):
        part_folder("rsground:nowhere", "backbone")
