"""Fixtures of this plugin's tests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real samples; skips where they are not at hand (their terms forbid shipping them)."""
    root = Path(os.environ.get("RSGROUND_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    if not (root / "MANIFEST.md").is_file():
        pytest.skip(f"no real data at {root}; set RSGROUND_SHARED_DATA to a folder that holds it")
    return root


@pytest.fixture(scope="session")
def shared_specs(shared_data: Path) -> Path:
    """Folder with the listings of published checkpoints; skips where they are not at hand."""
    root = shared_data.parent / "specs"
    if not root.is_dir():
        pytest.skip(f"no listings of checkpoints at {root}")
    return root


@pytest.fixture(scope="session")
def paper() -> dict[str, object]:
    """Options of SegEarth-R1's head for the published structure, every part tiny."""
    swin = {"embed": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 1, 1), "window": 4, "drop_path": 0.0}
    return {
        "preset": "paper", "swin": swin, "size": 128, "width": 32, "latent": 16, "heads": 2, "pixel_layers": 1,
        "pixel_hidden": 16, "layers": 2, "decoder_hidden": 16, "points": 64,
    }  # fmt: skip


@pytest.fixture(scope="session")
def words() -> Any:
    """A tokenizer of the words of both SegEarth-R1 prompts and some more, without ``[SEG]``."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    from rsground_segtoken.segearth.packing import prompt_text

    said = [word for kind in ("Referring", "Reasoning") for text in prompt_text(kind) for word in text.split()]
    known = sorted({"the", "storage", "tank", "beside", "road", "left", "right", "it", "is", "square", "<unk>", *said})
    table = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: place for place, word in enumerate(known)}, unk_token="<unk>")
    )
    table.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=table, unk_token="<unk>")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, paper: dict[str, Any], words: Any) -> Path:
    """A folder in the published layout of SegEarth-R1, every part tiny and random, with a tokenizer of its own."""
    torch = pytest.importorskip("torch")
    from copy import deepcopy

    from rsground.models.state import save_state
    from rsground_segtoken.segearth import SegEarthR1Head, names
    from rsground_segtoken.segearth.model import SegEarthR1, phi_config

    folder = tmp_path_factory.mktemp("published")
    tokenizer = deepcopy(words)
    tokenizer.add_tokens("[SEG]", special_tokens=True)
    tokenizer.save_pretrained(folder)
    config = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"model_type": "llava_phi", **config}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        shape = SegEarthR1Head(hidden_size=32, **paper).config
        model = SegEarthR1(phi_config(**config), shape.tower, shape.branch, shape.size)
        for parameter in model.parameters():
            if parameter.ndim > 1:  # norms stay as they are
                torch.nn.init.normal_(parameter, std=0.1)
    save_state(names.to_published(model.state_dict(), 4), folder)
    return folder
