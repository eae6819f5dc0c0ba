"""How fine a question is: image, region or pixel, read from its words (GeoMag's task granularity classifier)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rsground.errors import DataError
from rsground.types import Task

Floats = NDArray[np.float32]
CONFIG, WEIGHTS, ENCODER = "config.json", "model.safetensors", "encoder"
HIDDEN = (256, 128)
"""Neurons of the two hidden layers (paper); the output has one per granularity."""


class Granularity(StrEnum):
    """What level of detail an answer needs."""

    IMAGE = "image"
    REGION = "region"
    PIXEL = "pixel"


OF_TASK: Mapping[Task, Granularity] = {
    Task.CAPTION: Granularity.IMAGE,
    Task.SCENE: Granularity.IMAGE,
    Task.HBB: Granularity.REGION,
    Task.OBB: Granularity.REGION,
    Task.REGION_CAPTION: Granularity.REGION,
    Task.VQA: Granularity.REGION,
    Task.MASK: Granularity.PIXEL,
    Task.GCG: Granularity.PIXEL,
    Task.CHANGE: Granularity.PIXEL,
}
"""As the paper sorts its tasks (sections 1 and 4.1)."""


class TextEncoder(Protocol):
    """Texts to vectors."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """``(N, D)`` float32."""
        ...

    def config(self, folder: Path) -> dict[str, Any]:
        """What :func:`load_classifier` rebuilds it from, out of the ``folder`` that the classifier is stored in."""
        ...

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Weights that are stored beside the layers; none for an encoder that lives elsewhere."""
        ...


class GranularityClassifier:
    """A text encoder and three fully connected layers (256, 128, 3) with ReLU between them.

    Args:
        encoder: our own (:class:`.words.WordEncoder`) or BERT from a folder (:class:`.bert.BertEncoder`).
        layers: (weight ``(out, in)``, bias ``(out,)``) each.
    """

    def __init__(self, encoder: TextEncoder, layers: Sequence[tuple[Floats, Floats]]) -> None:
        self.encoder = encoder
        self.layers = tuple(layers)

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """``(N, 3)``, columns in the order of :class:`Granularity`."""
        state = self.encoder.encode(texts)
        for place, (weight, bias) in enumerate(self.layers):
            state = state @ weight.T + bias
            if place < len(self.layers) - 1:
                state = np.maximum(state, 0.0)
        state = np.exp(state - state.max(axis=1, keepdims=True))
        found: Floats = state / state.sum(axis=1, keepdims=True)
        return found

    def classify(self, text: str) -> Granularity:
        """The likeliest granularity of one question."""
        return list(Granularity)[int(self.probabilities([text])[0].argmax())]

    def save(self, folder: str | Path, **facts: Any) -> None:
        """``config.json`` (with ``facts`` about its training) and ``model.safetensors``, half precision."""
        from safetensors.numpy import save_file

        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        config = {
            "format": 1,
            "labels": [str(label) for label in Granularity],
            "hidden": [int(bias.shape[0]) for _, bias in self.layers[:-1]],
            "encoder": self.encoder.config(target),
            **facts,
        }
        (target / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        tensors = dict(self.encoder.tensors())
        for place, (weight, bias) in enumerate(self.layers):
            tensors |= {f"layers.{place}.weight": weight, f"layers.{place}.bias": bias}
        half = {name: np.ascontiguousarray(value, np.float16) for name, value in tensors.items()}
        save_file(half, str(target / WEIGHTS))


def load_classifier(folder: str | Path | None = None) -> GranularityClassifier:
    """A classifier from its folder; None for the small one that this plugin brings.

    Raises:
        DataError: no classifier there, or one whose parts do not fit.
    """
    with _home(folder) as home:
        return _read(home)


def copy_classifier(folder: str | Path | None, target: Path) -> None:
    """Write a classifier (None: our own) into another folder, and the text encoder that it reads with beside it.

    Raises:
        DataError: as :func:`load_classifier`.
    """
    with _home(folder) as home:
        _read(home)
        config = json.loads((home / CONFIG).read_text(encoding="utf-8"))
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(home / WEIGHTS, target / WEIGHTS)
        if "path" in config["encoder"]:
            shutil.copytree(home / config["encoder"]["path"], target / ENCODER)
            config["encoder"]["path"] = ENCODER
    (target / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _home(folder: str | Path | None) -> AbstractContextManager[Path]:
    return as_file(files("rsground_magcrop") / "classifier") if folder is None else nullcontext(Path(folder))


def _read(folder: Path) -> GranularityClassifier:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        stored = load_file(str(folder / WEIGHTS))
    except FileNotFoundError as error:
        raise DataError(
            f"a granularity classifier is a folder with {CONFIG} and {WEIGHTS}; {Path(str(error.filename)).name!r} "
            "is missing. 'python -m rsground_magcrop.train_classifier --out FOLDER' makes one",
            folder,
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError, OSError) as error:
        raise DataError(f"cannot be read as a granularity classifier: {error}", folder) from error
    try:
        if config["labels"] != [str(label) for label in Granularity]:
            raise ValueError(f"labels must be image, region, pixel, got {config['labels']}")
        tensors = {name: np.asarray(value, np.float32) for name, value in stored.items()}
        layers = [
            (tensors[f"layers.{place}.weight"], tensors[f"layers.{place}.bias"])
            for place in range(len(config["hidden"]) + 1)
        ]
        found = GranularityClassifier(_encoder(config["encoder"], tensors, folder), layers)
        found.probabilities(["Where is it?"])
    except DataError:
        raise  # its text encoder says itself what is wrong
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(f"the parts of this granularity classifier do not fit: {error!r}", folder) from error
    return found


def _encoder(config: Mapping[str, Any], tensors: Mapping[str, Floats], folder: Path) -> TextEncoder:
    if config["kind"] == "words":
        from rsground_magcrop.words import WordEncoder

        return WordEncoder(tensors["encoder.table"], tensors["encoder.salience"])
    if config["kind"] == "transformers":
        from rsground_magcrop.bert import BertEncoder

        path = folder / config["path"]  # an absolute path stands for itself
        if not path.is_dir():
            raise DataError(
                f"its text encoder is to lie in {str(path)!r}, and there is no such folder; put it there, or say in "
                f'{CONFIG}, "encoder", "path", where it is (relative to this folder, or absolute)',
                folder,
            )
        return BertEncoder(path, config["pooling"])
    raise ValueError(f"encoder kind must be 'words' or 'transformers', got {config['kind']!r}")
