"""BERT (or any encoder that transformers can load) from a folder, as the paper has it, instead of our small encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from rsground.errors import DataError, MissingExtraError
from rsground_magcrop.choices import Pooling


class BertEncoder:
    """A frozen transformer encoder.

    Args:
        folder: in hub layout, safetensors weights; nothing is downloaded and no pickle is opened.
        pooling: ``cls`` (default; the paper says only *the 768-dimensional query representation*), ``mean`` over
            tokens, or the model's own ``pooler``.
        batch: texts at once.

    Raises:
        DataError: no such folder, or transformers cannot load it.
        MissingExtraError: torch or transformers is not installed.
    """

    def __init__(self, folder: str | Path, pooling: str = "cls", batch: int = 64) -> None:
        if pooling not in get_args(Pooling):
            raise DataError(f"pooling is one of {', '.join(get_args(Pooling))}, got {pooling!r}", folder)
        if not Path(folder).is_dir():
            raise DataError("no such folder of a text encoder (BERT in hub layout)", folder)
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError:
            raise MissingExtraError("a BERT encoder", "models", "transformers") from None
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model: Any = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"cannot be loaded as a text encoder: {error}", folder) from error
        self.folder, self.pooling, self.batch = Path(folder), pooling, batch

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(N, D)`` float32; D is the encoder's width (768 for BERT-base)."""
        import torch

        found = []
        with torch.inference_mode():
            for start in range(0, len(texts), self.batch):
                fed = self.tokenizer(
                    list(texts[start : start + self.batch]), padding=True, truncation=True, return_tensors="pt"
                )
                answer = self.model(**fed)
                found.append(self._pooled(answer, fed["attention_mask"]).float().cpu().numpy())
        width = int(self.model.config.hidden_size)
        return np.concatenate(found) if found else np.zeros((0, width), np.float32)

    def _pooled(self, answer: Any, mask: Any) -> Any:
        states = answer.last_hidden_state
        if self.pooling == "pooler":
            return answer.pooler_output
        if self.pooling == "cls":
            return states[:, 0]
        weight = mask[..., None].to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1).clamp(min=1)

    def config(self, folder: Path) -> dict[str, Any]:
        """Where it is; its weights stay there.

        Within the classifier's own folder the path is relative to that, so that the two can be moved together; else it
        is absolute, so that it does not hang on the folder somebody works in.
        """
        place, home = self.folder.resolve(), folder.resolve()
        path = place.relative_to(home) if place.is_relative_to(home) else place
        return {"kind": "transformers", "path": path.as_posix(), "pooling": self.pooling}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """None: the encoder is frozen and stays in its folder."""
        return {}
