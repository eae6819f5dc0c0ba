"""Our own text encoder: hashed words and pairs of words, averaged by what training found telling.

A question's granularity stands in a few words ("segment", "bounding box", "describe"), wherever they are and whatever
the expression beside them says. So: one vector and one salience per bucket, a softmax over saliences, no order beyond
pairs. Small enough to ship, and needs no torch to run.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_WORD = re.compile(r"[^\W\d_]+|\d+|\[\w+\]|<\w+>")
_STEM = 5
"""Letters that *segment*, *segmentation* and *segmented* share, and *locate* and *location*."""
_LONGEST = 200
"""Words read of a text; questions that carry a mask as text go on for thousands."""


class WordEncoder:
    """Hashed words to one vector.

    Args:
        table: ``(buckets, D)``.
        salience: ``(buckets,)``; a bucket's weight is its exponential.
    """

    def __init__(self, table: Floats, salience: Floats) -> None:
        if table.ndim != 2 or salience.shape != table.shape[:1]:
            raise ValueError(f"table (buckets, D), salience (buckets,) must fit, got {table.shape} {salience.shape}")
        self.table, self.salience = table, salience

    def encode(self, texts: Sequence[str]) -> Floats:
        """``(N, D)``; a text without any word is the zero vector."""
        found = np.zeros((len(texts), self.table.shape[1]), np.float32)
        for row, text in enumerate(texts):
            ids = buckets(text, len(self.table))
            if ids:
                weight = np.exp(self.salience[ids] - self.salience[ids].max())
                found[row] = (weight[:, None] * self.table[ids]).sum(axis=0) / weight.sum()
        return found

    def config(self, folder: Path) -> dict[str, Any]:
        """Its kind and size; its weights are stored with the layers, wherever that is."""
        del folder
        return {"kind": "words", "buckets": int(self.table.shape[0]), "width": int(self.table.shape[1])}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Table and saliences."""
        return {"encoder.table": self.table, "encoder.salience": self.salience}


def buckets(text: str, count: int) -> list[int]:
    """Bucket of each word, each stem, and each pair of neighbouring words (the text's start and end count as words)."""
    words = [_plain(word) for word in _WORD.findall(text.lower())[:_LONGEST]]
    pairs = zip(["<s>", *words], [*words, "</s>"], strict=True)
    stems = [f"{word[:_STEM]}-" for word in words if len(word) > _STEM]
    parts = [*words, *stems, *(f"{one} {other}" for one, other in pairs)] if words else []
    return [zlib.crc32(part.encode()) % count for part in parts]


def _plain(word: str) -> str:
    """Numbers are alike, and so are a noun and its plural."""
    if word.isdecimal():
        return "0"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
