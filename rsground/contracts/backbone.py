"""Backbone: a vision-language model that answers prompts about views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rsground.errors import ContractError
from rsground.types import Generation, Sample, View


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """One question to a backbone.

    Attributes:
        text: the user's turn without image placeholders; the backbone adds those and its chat template.
        view: what is shown; None for a question that shows no image (GGL samples).
        answer: teacher forcing: score or run this text instead of generating; None to generate.
        grammar: what the answer may look like, as :class:`rsground.codecs.Grammar`; None for free text.
        capture: names of internals to return in the generation: ``"hidden"``, ``"attentions"``.
        max_new_tokens: where generation is cut.
        sample: the sample behind the question. Only the ``oracle`` family of backbones may look at it; a model that
            does is cheating, and the conformance kit checks that answers do not change without it.
    """

    text: str
    view: View | None = None
    answer: str | None = None
    grammar: Any = None
    capture: frozenset[str] = frozenset()
    max_new_tokens: int = 1024
    sample: Sample | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Backbone(ABC):
    """Says prompt + view → :class:`Generation`. Batched answers equal one-by-one answers, to the model's precision.

    Attributes:
        needs_pixels: false for a backbone that never looks; its views may then be black images of the right size.
        needs_answer: true for a backbone that repeats the right answer: prompts come with it in ``answer``.
    """

    needs_pixels: ClassVar[bool] = True
    needs_answer: ClassVar[bool] = False

    def generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        """One generation per prompt, in order.

        Raises:
            ContractError: the backbone answered another number of generations.
        """
        answers = list(self._generate(prompts))
        if len(answers) != len(prompts):
            raise ContractError(
                f"backbone {type(self).__name__} must answer one generation per prompt: "
                f"{len(prompts)} prompts, {len(answers)} generations"
            )
        return answers

    @abstractmethod
    def _generate(self, prompts: Sequence[Prompt]) -> Sequence[Generation]:
        """Answer all prompts; views may differ in size."""

    def count_tokens(self, text: str) -> int | None:
        """Length of ``text`` in this backbone's tokens, None where it has no tokenizer."""
        del text
        return None

    def close(self) -> None:  # noqa: B027 - most backbones hold nothing
        """Free what the backbone holds; called once, when a run ends."""
