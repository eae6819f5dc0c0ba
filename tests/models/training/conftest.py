"""Nothing is collected here without the training extra; tiny models of the folder above can be imported."""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
os.environ.setdefault("HF_HUB_OFFLINE", "1")

if any(find_spec(name) is None for name in ("torch", "transformers", "mmengine")):
    collect_ignore_glob = ["*"]


@pytest.fixture(scope="session")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaVA of random weights in hub layout."""
    from tiny import build

    return build("llava", tmp_path_factory.mktemp("llava"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Six pictures with a square each, in our own form; two of the records are for validation."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rows = []
    for number in range(6):
        pixels = np.zeros((40, 40, 3), np.uint8)
        pixels[5 : 15 + number, 4 : 20 + number] = 200
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append(
            {
                "id": f"n{number}",
                "image": f"{number}.png",
                "width": 40,
                "height": 40,
                "expression": f"square {number}",
                "task": "hbb",
                "targets": [{"hbb": [4, 5, 20 + number, 15 + number]}],
                "split": "val" if number > 3 else "train",
            }
        )
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder
