"""Head: a paradigm. What to ask, what the right answer looks like, and how to read a generation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from rsground.contracts.backbone import Prompt
from rsground.contracts.segmenter import Segmenter
from rsground.errors import ContractError
from rsground.types import Generation, Prediction, Region, Sample, Task, View

if TYPE_CHECKING:
    import numpy as np

    from rsground.codecs import Grammar


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """One supervised pair that a head makes from a sample.

    Attributes:
        prompt: the user's turn.
        answer: what the model should write.
        use_image: false for text-only pairs (geometry-guided learning).
        kind: where the pair comes from: ``"base"``, ``"pal"``, ``"ggl"``, ``"cyclic"`` ...
        regions: the regions a token head's mask loss is taken on, in view pixels.
    """

    prompt: str
    answer: str
    use_image: bool = True
    kind: str = "base"
    regions: tuple[Region, ...] = ()


class Head(ABC):
    """A way of grounding language in an image; the unit that rsground compares.

    Attributes:
        tasks: the tasks it can answer.
        capture: internals of the backbone that :meth:`read` needs (``"hidden"``, ``"attentions"``).
    """

    tasks: ClassVar[frozenset[Task]]
    capture: ClassVar[frozenset[str]] = frozenset()

    segmenter: Segmenter | None = None
    """Set by whoever assembles the system, for heads that turn boxes and points into masks."""

    def prompt(self, sample: Sample, view: View) -> Prompt:
        """What to ask the backbone about this sample, with the grammar of a valid answer.

        Raises:
            ContractError: the head does not serve the sample's task.
        """
        if sample.task not in self.tasks:
            raise ContractError(
                f"head {type(self).__name__} serves {', '.join(sorted(self.tasks))}, not {sample.task.value!r} "
                f"(sample {sample.id!r})"
            )
        return Prompt(
            text=self._ask(sample), view=view, capture=self.capture, grammar=self.grammar(sample, view), sample=sample
        )

    @abstractmethod
    def _ask(self, sample: Sample) -> str:
        """The user's turn, as the paradigm words it."""

    @abstractmethod
    def target(self, sample: Sample, view: View) -> str:
        """The right answer in this paradigm's form, coordinates in ``view`` pixels; needs ``sample.targets``."""

    def grammar(self, sample: Sample, view: View) -> Grammar | None:
        """What a valid answer looks like, for constrained decoding; None where any text is valid."""
        del sample, view
        return None

    def training_pairs(self, sample: Sample, view: View, rng: np.random.Generator) -> Iterable[Training]:
        """The supervised pairs one sample gives; by default the plain question and answer."""
        del rng
        yield Training(prompt=self.prompt(sample, view).text, answer=self.target(sample, view))

    def read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        """The answer, with regions in the ORIGINAL image's pixels. Never raises on model output.

        ``sample`` is given for its task and expression; looking at its targets is cheating, and the conformance kit
        checks that the answer does not change without them.
        """
        from rsground.regions import map_region

        blind = replace(sample, targets=None, answer=None)
        found = self._read(generation, blind, view)
        if not isinstance(found, Prediction):
            raise ContractError(f"head {type(self).__name__} must answer a Prediction, got {type(found).__name__}")
        regions = tuple(map_region(region, view) for region in found.regions)
        return replace(found, regions=regions, text=found.text or generation.text, usage=generation.usage)

    @abstractmethod
    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        """Read a generation; regions in ``view`` pixels."""


class TextHead(Head):
    """Reads what the model *wrote*. Needs no torch."""


class TokenHead(Head):
    """Reads what the model *meant*: hidden states at its special tokens. Subclasses are also ``torch.nn.Module``.

    Attributes:
        special_tokens: tokens added to the backbone's vocabulary (``("[SEG]",)``).
    """

    capture = frozenset({"hidden"})
    special_tokens: ClassVar[tuple[str, ...]] = ()

    def reply(self, sample: Sample) -> str | None:
        """What the model should learn to write after an answer that this head forces; None where that is nothing.

        In training it comes with the prompt as ``options["reply"]``, and the text loss is taken on it alone. Only a
        backbone that can learn it should be given one.
        """
        del sample
        return None

    @abstractmethod
    def loss(self, hidden: Sequence[Any], samples: Sequence[Sample], views: Sequence[View]) -> Mapping[str, Any]:
        """Named scalar losses (torch tensors, unweighted sum is minimised).

        Args:
            hidden: per sample ``(K, D)`` states at its special tokens, K as in :meth:`Head.target`'s answer.
            samples: with their targets.
            views: what the model saw.
        """
