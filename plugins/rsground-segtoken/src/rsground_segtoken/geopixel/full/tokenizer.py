"""InternLM2's sentencepiece vocabulary and the tokens that GeoPixel added, read as data: no remote code."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsground.errors import CheckpointError, MissingExtraError
from rsground_segtoken.geopixel.wording import CLOSE, OPEN, SEG

START, END = "[UNUSED_TOKEN_146]", "[UNUSED_TOKEN_145]"
"""Begin and end of a turn."""


class PieceTokenizer:
    """Text to ids and back; marks stay visible.

    Args:
        folder: holds ``tokenizer.model``, and ``added_tokens.json`` or ``tokenizer_config.json``.

    Raises:
        CheckpointError: files are missing, or a special token is unknown.
        MissingExtraError: sentencepiece is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from sentencepiece import SentencePieceProcessor
        except ImportError as error:
            raise MissingExtraError("GeoPixel's tokenizer", "tokens", "sentencepiece") from error
        place = Path(folder) / "tokenizer.model"
        if not place.is_file():
            raise CheckpointError("GeoPixel's vocabulary is a sentencepiece model; there is no such file", place)
        self._pieces: Any = SentencePieceProcessor(model_file=str(place))
        self._added = _added_tokens(Path(folder))
        self._texts = {number: token for token, number in self._added.items()}
        self.unk_token_id = int(self._pieces.unk_id())
        self.bos_token_id, self.eos_token_id = int(self._pieces.bos_id()), int(self._pieces.eos_id())
        absent = [token for token in (START, END, SEG, OPEN, CLOSE) if self.convert_tokens_to_ids(token) is None]
        if absent:
            raise CheckpointError(
                f"the vocabulary lacks {', '.join(absent)}: this is a base model, or its added_tokens.json is missing",
                folder,
            )
        self.end_of_turn = self._pieces_or_added(END)
        for token in (START, END):
            if token not in self._added:
                self._texts[self._pieces_or_added(token)] = token
        apart = [token for token in (START, END) if self._pieces_or_added(token) not in self._pieces.encode(token)]
        marks = sorted([*self._added, *apart], key=len, reverse=True)
        self._marks = re.compile("|".join(map(re.escape, marks)))

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """The id of one token; None for text that is none."""
        if token in self._added:
            return self._added[token]
        number = int(self._pieces.piece_to_id(token))
        return None if number == self.unk_token_id else number

    def encode(self, text: str) -> list[int]:
        """Ids of a text that may hold marks; nothing is put before or after it.

        Around GeoPixel's own marks blanks belong to no token, as in the slow tokenizers it was trained with; they come
        back in :meth:`decode`.
        """
        ids: list[int] = []
        end = 0
        own = False
        for mark in self._marks.finditer(text):
            inner = mark[0] not in (START, END)
            ids += self._plain(text[end : mark.start()], strip_left=own, strip_right=inner)
            ids.append(self._pieces_or_added(mark[0]))
            end, own = mark.end(), inner
        return ids + self._plain(text[end:], strip_left=own, strip_right=False)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, marks included and set off by blanks; begin and end of text left out."""
        parts: list[str] = []
        run: list[int] = []
        for number in ids:
            if number in (self.bos_token_id, self.eos_token_id):
                continue
            if number in self._texts:
                parts += [*self._said(run), self._texts[number]]
                run = []
            else:
                run.append(int(number))
        return " ".join([*parts, *self._said(run)])

    def _said(self, run: list[int]) -> list[str]:
        return [str(self._pieces.decode(run)).strip()] if run else []

    def _plain(self, text: str, *, strip_left: bool, strip_right: bool) -> list[int]:
        text = text.lstrip() if strip_left else text
        text = text.rstrip() if strip_right else text
        return [int(number) for number in self._pieces.encode(text)] if text else []

    def _pieces_or_added(self, token: str) -> int:
        found = self.convert_tokens_to_ids(token)
        assert found is not None
        return found


def _added_tokens(folder: Path) -> dict[str, int]:
    """Token → id, from either file; empty where there is none."""
    file = folder / "added_tokens.json"
    try:
        if file.is_file():
            return {str(token): int(number) for token, number in json.loads(file.read_text(encoding="utf-8")).items()}
        file = folder / "tokenizer_config.json"
        if file.is_file():
            held = json.loads(file.read_text(encoding="utf-8")).get("added_tokens_decoder", {})
            return {str(entry["content"]): int(number) for number, entry in held.items()}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"added tokens cannot be read: {error}", file) from error
    return {}
