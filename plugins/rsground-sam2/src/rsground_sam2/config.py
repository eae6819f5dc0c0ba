"""What an image model is made of, and where that is read from: SAM 2's released YAML files or our ``config.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from rsground.errors import CheckpointError, UnknownNameError

SIZES = {"t": "tiny", "s": "small", "b+": "base_plus", "l": "large"}
"""Letter in the names of SAM 2's configuration files → the size in the names of its checkpoint files."""
RELEASES = ("sam2", "sam2.1")
KIND = "sam2_image"
"""``model_type`` in our ``config.json``."""

_TRUNK = frozenset(
    {
        "embed_dim",
        "num_heads",
        "drop_path_rate",
        "q_pool",
        "stages",
        "dim_mul",
        "head_mul",
        "window_pos_embed_bkg_spatial_size",
        "window_spec",
        "global_att_blocks",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageModelConfig:
    """An image encoder (Hiera and feature pyramid), a prompt encoder and a mask decoder.

    The defaults are those of the released models; the trunk is always given.

    Attributes:
        trunk: keyword arguments of Hiera.
        width: channels of the pyramid, of the decoder and of prompt embeddings.
        image_size: side of the square that images are resized to.
        stride: of the level that the decoder attends to; masks come at a quarter of it.
        scalp: lowest levels of the pyramid that are left out of it after the top-down pass.
        top_down: levels (0 is the finest) that take over from the level below them.
        interpolation: how the pyramid goes up, ``nearest`` or ``bilinear``.
        depth, heads, mlp_dim: of the decoder's two-way transformer.
        iou_hidden: width of the head that predicts a mask's quality.
        mask_channels: of the encoder of coarse masks.
        high_res: whether the decoder takes the two finer levels too.
        iou_sigmoid: whether predicted qualities pass a sigmoid.
        object_scores, object_scores_mlp: whether the decoder scores that there is an object at all, and by an MLP.
        no_memory: whether the "no memory" embedding is added to the features of a single image.
        stability: in evaluation, give the best of the three alternatives where the single mask is not stable.
    """

    trunk: Mapping[str, Any]
    width: int = 256
    image_size: int = 1024
    stride: int = 16
    scalp: int = 1
    top_down: tuple[int, ...] = (2, 3)
    interpolation: str = "nearest"
    depth: int = 2
    heads: int = 8
    mlp_dim: int = 2048
    iou_hidden: int = 256
    mask_channels: int = 16
    high_res: bool = True
    iou_sigmoid: bool = True
    object_scores: bool = True
    object_scores_mlp: bool = True
    no_memory: bool = True
    stability: bool = True

    def __post_init__(self) -> None:
        unknown = sorted(set(self.trunk) - _TRUNK)
        if unknown or "embed_dim" not in self.trunk:
            raise CheckpointError(f"a trunk needs embed_dim and knows {', '.join(sorted(_TRUNK))}; got {unknown}")
        stages = self.trunk.get("stages", ())
        starts = [sum(stages[:end]) for end in range(1, len(stages))]
        amiss = sorted(set(starts) & set(self.trunk.get("global_att_blocks") or ()))
        if amiss:
            raise CheckpointError(f"a stage's first block pools its windows and cannot attend globally, got {amiss}")
        if self.width % 16 or self.image_size % self.stride:
            raise CheckpointError(
                f"width must be a multiple of 16 and image_size one of stride, got width {self.width}, "
                f"image_size {self.image_size}, stride {self.stride}"
            )

    @property
    def grid(self) -> int:
        """Cells of the attended level along one side."""
        return self.image_size // self.stride


def released_names() -> tuple[str, ...]:
    """Names of the released models, as their checkpoint files are called."""
    return tuple(f"{release}_hiera_{size}" for release in RELEASES for size in SIZES.values())


def released(name: str) -> ImageModelConfig:
    """The configuration of a released model, read from the YAML files of the ``sam2`` package.

    Args:
        name: as the checkpoint file (``sam2.1_hiera_large``) or the YAML file (``sam2.1_hiera_l``) is called.

    Raises:
        UnknownNameError: there is no such release.
    """
    for release in RELEASES:
        for letter, size in SIZES.items():
            if name in (f"{release}_hiera_{size}", f"{release}_hiera_{letter}"):
                file = resources.files("sam2") / "configs" / release / f"{release}_hiera_{letter}.yaml"
                return from_yaml(file.read_text(encoding="utf-8"))
    raise UnknownNameError("SAM 2 configuration", name, released_names())


def from_yaml(text: str) -> ImageModelConfig:
    """The image part of a SAM 2 YAML file; nothing that the file names is imported or run."""
    model = yaml.safe_load(text)["model"]
    encoder = model["image_encoder"]
    neck = encoder["neck"]
    trunk = {key: value for key, value in encoder["trunk"].items() if key != "_target_"}
    return ImageModelConfig(
        trunk=trunk,
        width=neck["d_model"],
        image_size=model["image_size"],
        stride=model.get("backbone_stride", 16),
        scalp=encoder.get("scalp", 0),
        top_down=tuple(neck["fpn_top_down_levels"]),
        interpolation=neck["fpn_interp_model"],
        high_res=model.get("use_high_res_features_in_sam", False),
        iou_sigmoid=model.get("iou_prediction_use_sigmoid", False),
        object_scores=model.get("pred_obj_scores", False),
        object_scores_mlp=model.get("pred_obj_scores_mlp", False),
        no_memory=model.get("directly_add_no_mem_embed", False),
    )


def read_config(file: Path) -> ImageModelConfig:
    """Our ``config.json``.

    Raises:
        CheckpointError: it is no such file, or says something this version does not know.
    """
    try:
        found = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"no readable JSON object ({error})", file) from error
    kind = found.pop("model_type", None)
    if kind != KIND:
        raise CheckpointError(f'the segmenter sam2 reads "model_type": "{KIND}", this file says {kind!r}', file)
    known = {each.name for each in fields(ImageModelConfig)}
    if set(found) - known or "trunk" not in found:
        raise CheckpointError(f"needs trunk and may hold {', '.join(sorted(known))}; it holds {sorted(found)}", file)
    found["top_down"] = tuple(found.get("top_down", ImageModelConfig.__dataclass_fields__["top_down"].default))
    try:
        return ImageModelConfig(**found)
    except TypeError as error:
        raise CheckpointError(f"cannot be used: {error}", file) from error


def write_config(config: ImageModelConfig, file: Path) -> None:
    """Write ``config.json``."""
    entries = {"model_type": KIND, **asdict(config)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
