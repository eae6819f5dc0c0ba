"""Sizes of GeoPixel, and where they are read from. Defaults are those of the published 7B model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rsground.errors import CheckpointError

MODEL_TYPE = "internlm2"
"""``model_type`` of a published ``config.json``."""
_SAM_LARGE = "configs/sam2/sam2_hiera_l.yaml"


@dataclass(frozen=True, slots=True)
class LanguageConfig:
    """InternLM2; field names as in ``config.json``."""

    vocab_size: int = 92547
    hidden_size: int = 4096
    intermediate_size: int = 14336
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int = 8
    rms_norm_eps: float = 1e-5
    rope_theta: float = 1e6
    rope_scaling: Mapping[str, Any] | None = None
    max_position_embeddings: int = 32768
    max_length: int = 16384
    bos_token_id: int = 1
    eos_token_id: int = 2
    plora_rank: int = 256

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def groups(self) -> int:
        """Query heads that share one key-value head."""
        return self.num_attention_heads // self.num_key_value_heads


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """CLIP's image tower; field names as in transformers. A published ``config.json`` does not hold them."""

    hidden_size: int = 1024
    intermediate_size: int = 4096
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    image_size: int = 560
    patch_size: int = 14
    hidden_act: str = "quick_gelu"

    @property
    def cells(self) -> int:
        """Cells along a tile's side after 2 x 2 patches became one."""
        return self.image_size // self.patch_size // 2

    @property
    def merged(self) -> int:
        """Width of a cell: four patches."""
        return 4 * self.hidden_size


@dataclass(frozen=True, slots=True)
class GeoPixelConfig:
    """The whole model.

    Attributes:
        language, vision: its two towers.
        out_dim: width of SAM 2's prompts.
        sam_config: configuration file inside the ``sam2`` package.
        sam_overrides: hydra overrides of it, for models of another size.
    """

    language: LanguageConfig = field(default_factory=LanguageConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    out_dim: int = 256
    sam_config: str = _SAM_LARGE
    sam_overrides: tuple[str, ...] = ()


def read_config(folder: str | Path) -> GeoPixelConfig:
    """The configuration beside a checkpoint's weights.

    Beyond what is published, ``vision_config``, ``sam_config`` and ``sam_overrides`` may say other sizes.

    Raises:
        CheckpointError: there is no ``config.json``, it is no JSON object, or of another kind of model.
    """
    path = Path(folder) / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError("a GeoPixel folder holds config.json, tokenizer.model and safetensors", path) from None
    except ValueError as error:
        raise CheckpointError(f"no JSON: {error}", path) from error
    if not isinstance(found, dict) or found.get("model_type") != MODEL_TYPE:
        kind = found.get("model_type") if isinstance(found, dict) else type(found).__name__
        raise CheckpointError(f'"model_type" of GeoPixel is {MODEL_TYPE!r}, got {kind!r}: it is another model', path)
    return GeoPixelConfig(
        language=LanguageConfig(**_known(LanguageConfig, found)),
        vision=VisionConfig(**_known(VisionConfig, found.get("vision_config", {}))),
        out_dim=int(found.get("out_dim", 256)),
        sam_config=str(found.get("sam_config", _SAM_LARGE)),
        sam_overrides=tuple(found.get("sam_overrides", ())),
    )


def _known(record: type[Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that the record has, leaving out those that say nothing."""
    names = {each.name for each in fields(record)}
    return {name: value for name, value in found.items() if name in names and (value is not None)}
