"""The floor: one fixed answer. What it scores is what a system gets for free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rsground.contracts import Backbone, Prompt
from rsground.types import Generation


class Blind(Backbone):
    """Writes ``text`` whatever is asked and shown.

    Args:
        text: the answer, in the head's own form: ``"<box>[[250,250,750,750]]</box>"`` always points at the middle.
    """

    needs_pixels: ClassVar[bool] = False

    def __init__(self, text: str = "") -> None:
        self.text = text

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        forced = [prompt.answer is not None for prompt in prompts]
        return [
            Generation(text=prompt.answer or "", finish="forced") if given else Generation(text=self.text)
            for prompt, given in zip(prompts, forced, strict=True)
        ]
