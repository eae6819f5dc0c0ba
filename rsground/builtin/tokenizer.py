"""Length of an answer in tokens of a common tokenizer, for backbones that have none of their own.

The vocabulary is Mistral-7B's first one (SentencePiece, 32,000 pieces, every digit a piece of its own, byte fallback):
of the LLaMA kind that LLaVA-1.5, GeoGround and GeoMag build on, and the one such vocabulary that a package ships.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE, FILE = "mistral_common", "data/tokenizer.model.v1"


def count_tokens(text: str) -> int | None:
    """Number of tokens of ``text`` without begin and end marks; None without the extra ``tokens``."""
    processor = _processor()
    return None if processor is None else len(processor.encode(text.encode("utf-8", "replace").decode()))


@cache
def _processor() -> Any:
    """The SentencePiece processor, or None where a package is missing; nothing of ``mistral_common`` is imported."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None or find_spec("sentencepiece") is None:
        return None
    model = Path(found.origin).parent / FILE
    if not model.is_file():
        return None
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_file=str(model))
