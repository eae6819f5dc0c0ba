"""The perfect model: it writes what the head says is right. A run with it measures the head's form alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from rsground.builtin.tokenizer import count_tokens
from rsground.contracts import Backbone, Prompt
from rsground.errors import ShapeError
from rsground.types import Generation

_DIGITS = "0123456789"


class Oracle(Backbone):
    """Answers the right answer that the prompt brings, and nothing where it brings none.

    Args:
        slips: probability in [0, 1] that a digit of the answer becomes another digit. Tells how brittle a form is:
            one wrong character of a box moves an edge, one of a run-length row shifts a row. Slips depend on the
            prompt's seed, the sample and the answer only.
    """

    needs_pixels: ClassVar[bool] = False
    needs_answer: ClassVar[bool] = True

    def __init__(self, slips: float = 0.0) -> None:
        if not 0.0 <= slips <= 1.0:
            raise ShapeError(f"option 'slips' must be a probability in [0, 1], got {slips}")
        self.slips = slips

    def count_tokens(self, text: str) -> int | None:
        """Length of ``text`` in tokens of a common tokenizer; None without the extra ``tokens``."""
        return count_tokens(text)

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        return [Generation(text=self._text(prompt), finish="forced" if prompt.answer else "stop") for prompt in prompts]

    def _text(self, prompt: Prompt) -> str:
        answer = prompt.answer or ""
        if not self.slips:
            return answer
        who = prompt.sample.id if prompt.sample is not None else prompt.text
        name = f"{prompt.options.get('seed', 0)}\0{who}\0{answer}".encode("utf-8", "surrogatepass")
        rng = np.random.default_rng(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big"))
        return "".join(self._slip(letter, rng) if letter in _DIGITS else letter for letter in answer)

    def _slip(self, digit: str, rng: np.random.Generator) -> str:
        if rng.random() >= self.slips:
            return digit
        return _DIGITS[(int(digit) + int(rng.integers(1, 10))) % 10]
