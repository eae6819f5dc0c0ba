"""One MMRotate detector: a config and a checkpoint, images in, oriented boxes out. Needs MMRotate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsground.assembly import locate
from rsground.errors import CheckpointError, ContractError, DeviceError, MissingExtraError
from rsground.geometry import canonical_quad, obb_to_quad
from rsground_mmrotate.detections import Detection
from rsground_mmrotate.weights import CONFIG, WEIGHTS, load_into, read_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Detector:
    """A built detector in evaluation mode.

    Args:
        checkpoint: ``*.pth`` or ``*.safetensors`` file, or a folder with ``config.py`` and ``model.safetensors``;
            ``package:path`` is looked up inside an installed package.
        config: MMRotate config; None for the folder's own. A config is a program: use only one that you trust.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...
        classes: the categories, where neither weights nor config tell them.

    Attributes:
        classes: names of the categories, in the order of the model's outputs.

    Raises:
        MissingExtraError: MMRotate is not installed here.
        CheckpointError: config or weights cannot be used.
        DeviceError: the device is not there.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        config: str | Path | None = None,
        *,
        device: str = "auto",
        classes: Sequence[str] | None = None,
    ) -> None:
        try:
            from mmdet.utils import register_all_modules as register_mmdet
            from mmrotate.registry import MODELS
            from mmrotate.utils import register_all_modules
        except ImportError as error:
            raise MissingExtraError("an MMRotate detector", "mm", "mmrotate-dev") from error
        file, weights = _places(locate(checkpoint), None if config is None else Path(config))
        register_mmdet(init_default_scope=False)
        register_all_modules(init_default_scope=True)
        self._config = _read_config(file)
        state, told = read_weights(weights)
        self.classes = tuple(classes or told or _classes(self._config, file))
        model = MODELS.build(self._config.model)
        load_into(model, state, weights)
        self.device = _device(device)
        self._model = model.to(self.device).eval()
        self._pipeline = _pipeline(self._config, file)

    def detect(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """What is in each ``(H, W, 3)`` uint8 RGB image, best first; one forward pass for all of them.

        Detections with a score below the config's ``score_thr`` are not among them.

        Raises:
            ContractError: the model answers boxes of an unknown kind or categories that have no name.
        """
        import torch

        packed = [self._pipeline({"img": np.ascontiguousarray(image[..., ::-1]), "img_id": 0}) for image in images]
        batch = {name: [each[name] for each in packed] for name in ("inputs", "data_samples")}
        with torch.inference_mode():
            found = self._model.test_step(batch)
        return [self._read(each.pred_instances) for each in found]

    def _read(self, instances: Any) -> list[Detection]:
        boxes = instances.bboxes
        rows = np.asarray(getattr(boxes, "tensor", boxes).detach().cpu().numpy(), np.float64)
        scores = instances.scores.detach().cpu().numpy()
        labels = instances.labels.detach().cpu().numpy()
        if len(labels) and int(labels.max()) >= len(self.classes):
            raise ContractError(
                f"the detector answers category {int(labels.max())}, but {len(self.classes)} names are known: "
                "give all of them in option classes"
            )
        found = [
            Detection(((ax, ay), (bx, by), (cx, cy), (dx, dy)), self.classes[int(label)], float(score))
            for ((ax, ay), (bx, by), (cx, cy), (dx, dy)), label, score in zip(
                corners_of(rows).tolist(), labels, scores, strict=True
            )
        ]
        return sorted(found, key=lambda each: -each.score)


def corners_of(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners ``(N, 4, 2)``, clockwise on screen, of MMDetection's boxes.

    Args:
        rows: ``(N, 5)`` cx, cy, w, h, angle in radians towards +y; ``(N, 8)`` corners; ``(N, 4)`` x1, y1, x2, y2.

    Raises:
        ContractError: rows of another length.
    """
    if rows.shape[-1] == 5:
        return obb_to_quad(rows)
    if rows.shape[-1] == 8:
        return canonical_quad(rows.reshape(-1, 4, 2))
    if rows.shape[-1] == 4:
        x1, y1, x2, y2 = rows.T
        return np.stack([x1, y1, x2, y1, x2, y2, x1, y2], axis=-1).reshape(-1, 4, 2)
    raise ContractError(f"a detector must answer boxes of 4, 5 or 8 numbers, got {rows.shape[-1]}")


def _places(checkpoint: Path, config: Path | None) -> tuple[Path, Path]:
    """The config's file and the weights' file."""
    if checkpoint.is_dir():
        config = config or checkpoint / CONFIG
        checkpoint = checkpoint / WEIGHTS
    if config is None:
        raise CheckpointError("weights alone do not say what model they are of: give option config", checkpoint)
    if not config.is_file():
        raise CheckpointError("there is no such config", config)
    return config, checkpoint


def _read_config(file: Path) -> Any:
    from mmengine import Config

    try:
        config = Config.fromfile(str(file))
    except Exception as error:  # a config is a program and may fail in any way
        raise CheckpointError(f"the config does not run: {type(error).__name__}: {error}", file) from error
    if "model" not in config:
        raise CheckpointError("the config describes no model", file)
    return config


def _classes(config: Any, file: Path) -> Sequence[str]:
    """The categories of the config's test data: named there, or by its kind of data set."""
    from mmrotate.registry import DATASETS

    data = (config.get("test_dataloader") or {}).get("dataset", {})
    for place in (config.get("metainfo"), data.get("metainfo")):
        if place and place.get("classes"):
            return tuple(place["classes"])
    kind = DATASETS.get(data["type"]) if "type" in data else None
    known = getattr(kind, "METAINFO", {}).get("classes")
    if not known:
        raise CheckpointError("neither the weights nor the config name the categories: give option classes", file)
    return tuple(known)


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"device {name!r} was asked for, but torch sees no CUDA here")
    return name


def _pipeline(config: Any, file: Path) -> Any:
    """The config's test pipeline, from an array instead of a file and without annotations."""
    from mmcv.transforms import Compose

    data = (config.get("test_dataloader") or {}).get("dataset", {})
    steps = config.get("test_pipeline") or data.get("pipeline")
    if not steps:
        raise CheckpointError("the config has no test pipeline", file)
    kept = [step for step in steps if not any(word in step["type"] for word in ("LoadImage", "Annotations", "BoxType"))]
    return Compose([{"type": "mmdet.LoadImageFromNDArray"}, *kept])
