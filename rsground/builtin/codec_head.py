"""The head that is nothing but a codec: what its form can carry is what it can score."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

from rsground.codecs import Codec, Grammar
from rsground.contracts import TextHead
from rsground.errors import ShapeError, UnknownNameError
from rsground.regions import unmap_region
from rsground.registry import construct, registry, target_of
from rsground.types import Generation, Prediction, Sample, Task, View

_FORMS = {"hbb": "bounding box", "obb": "oriented bounding box", "mask": "mask", "points": "key points"}


class CodecHead(TextHead):
    """Asks for the expression, writes and reads regions through one codec.

    Serves every task whose answer is a set of regions: forms that the codec does not carry are derived, which is
    what shows how much a form loses (a box read as a mask, a grid read as an oriented box).

    Args:
        codec: a registered codec.
        question: the user's turn; ``{expression}`` and ``{form}`` are filled in.
        options: of the codec.

    Raises:
        UnknownNameError: no such codec, or it has no such option.
        ShapeError: ``question`` has no ``{expression}``, or the codec refuses an option's value.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.OBB, Task.MASK, Task.CHANGE})

    def __init__(self, codec: str = "text-hbb", question: str = "Give the {form} of: {expression}", **options: Any):
        spec = registry().find("codec", codec)
        kind = target_of(spec)
        if is_dataclass(kind):
            known = [field.name for field in fields(kind) if field.init]
            for name in options:
                if name not in known:
                    raise UnknownNameError(f"option of codec {codec!r}", name, known)
        if "{expression}" not in question:
            raise ShapeError(f"option 'question' must hold {{expression}}, got {question!r}")
        self.codec: Codec = construct(spec, **options)
        self.question = question

    def _ask(self, sample: Sample) -> str:
        form = _FORMS.get(self.codec.carries, "place")
        return self.question.replace("{form}", form).replace("{expression}", sample.expression)

    def target(self, sample: Sample, view: View) -> str:
        """The annotated regions as the codec writes them, in view pixels."""
        return self.codec.write([unmap_region(region, view) for region in sample.targets or ()], view.size)

    def grammar(self, sample: Sample, view: View) -> Grammar:
        """The codec's grammar."""
        del sample
        return self.codec.grammar(view.size)

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        del sample
        reading = self.codec.read(generation.text, view.size)
        return Prediction(regions=reading.regions, parsed=reading.parsed, issues=reading.issues)
