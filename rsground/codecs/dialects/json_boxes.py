"""Qwen2.5-VL and Qwen3-VL: boxes as a JSON list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsground.codecs.boxes import MAX_REGIONS, box_fields
from rsground.codecs.codec import Codec, Reading, box_of
from rsground.codecs.dialects.wording import CONTROLS, MAX_LABEL, Wording, clean_label
from rsground.codecs.fields import Field, template
from rsground.codecs.grammar import CharSet, RuleGrammar
from rsground.codecs.mend import clip, nothing_found, number_lists, ordered
from rsground.codecs.quantise import quantise, quantise_box
from rsground.codecs.rules import Phrase, Repeat, chain, either
from rsground.codecs.scan import Notes, Span, cut
from rsground.types import HBB, Region, Size

_KEY, _LABEL = '"bbox_2d"', '"label"'
_WORDING = Wording(("",), phrase=("", ""), forbidden='"\\{}[]' + CONTROLS)


@dataclass(frozen=True, slots=True)
class Qwen25VL(Codec):
    """``[{"bbox_2d": [x1, y1, x2, y2], "label": "ship"}]`` in whole pixels of the model's input; ``[]`` for none.

    Attributes:
        input_size: (H, W) that the image was resized to before the model saw it; None where it was not.
    """

    name: ClassVar[str] = "qwen2.5-vl"
    carries: ClassVar[str] = "hbb"

    input_size: Size | None = None

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """All regions, with their labels where they have one."""
        return f"[{', '.join(self._item(region, size) for region in regions)}]"

    def read(self, text: str, size: Size) -> Reading:
        """Every ``"bbox_2d"`` with the label of its object; code fences, missing brackets and prose do not matter."""
        notes = Notes()
        text = cut(text, notes)
        regions: list[Region] = []
        for start, end in _objects(text):
            if notes.is_full(len(regions)):
                break
            for values, span in list(number_lists(text, (start, _list_end(text, start, end)), 4, notes))[:1]:
                label = _label(text, start, end)
                regions.append(Region(hbb=self._box(values, size, notes, span), label=label, span=span))
        if regions:
            return Reading(tuple(regions), notes.done(), dialect=self.name)
        if text.strip().removeprefix("```json").strip("`\n ").replace(" ", "") == "[]":
            return Reading((), notes.done(), dialect=self.name)
        for values, span in number_lists(text, (0, len(text)), 4, notes):
            regions.append(Region(hbb=self._box(values, size, notes, span), span=span))
        if regions:
            notes.add("missing-tag", 'no "bbox_2d"')
            return Reading(tuple(regions), notes.done(), dialect=self.name)
        found, parsed = nothing_found(text, notes)
        return Reading(found, notes.done(), parsed, self.name)

    def grammar(self, size: Size) -> RuleGrammar:
        """Objects with a box of positive area and, if they like, a label."""
        x1, y1, x2, y2 = self._fields(size)
        letters = CharSet(frozenset(_WORDING.forbidden), negated=True)
        label = chain(f", {_LABEL}: " + '"', Phrase(letters, 1, MAX_LABEL), '"}')
        box = template("{" + _KEY + ": [", x1, ", ", y1, ", ", x2, ", ", y2, "]")
        return RuleGrammar(chain("[", Repeat(chain(box, either("}", label)), 0, MAX_REGIONS, ", "), "]"))

    def _frame(self, size: Size) -> Size:
        return self.input_size or size

    def _fields(self, size: Size) -> tuple[Field, ...]:
        height, width = self._frame(size)
        low_x, low_y = Field(0, width - 1), Field(0, height - 1)
        return low_x, low_y, Field(0, width, above=0), Field(0, height, above=1)

    def _steps(self, box: HBB, size: Size) -> tuple[int, ...]:
        """The box in the numbers of the format."""
        height, width = self._frame(size)
        scale_x, scale_y = width / size[1], height / size[0]
        x1, x2 = (quantise(value * scale_x, width, width) for value in (box[0], box[2]))
        y1, y2 = (quantise(value * scale_y, height, height) for value in (box[1], box[3]))
        x1, y1 = min(x1, width - 1), min(y1, height - 1)
        return x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)

    def _box(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> HBB:
        """The numbers of the format as a box in pixels."""
        height, width = self._frame(size)
        x1, x2 = clip((values[0], values[2]), 0, width, notes, span)
        y1, y2 = clip((values[1], values[3]), 0, height, notes, span)
        x1, y1, x2, y2 = ordered((x1, y1, x2, y2), notes, span)
        scale_x, scale_y = size[1] / width, size[0] / height
        return x1 * scale_x, y1 * scale_y, x2 * scale_x, y2 * scale_y

    def _item(self, region: Region, size: Size) -> str:
        box = ", ".join(map(str, self._steps(box_of(region, self.name), size)))
        label = clean_label(region.label, _WORDING)
        tail = f", {_LABEL}: {json.dumps(label, ensure_ascii=False)}" if label else ""
        return f"{{{_KEY}: [{box}]{tail}}}"


@dataclass(frozen=True, slots=True)
class Qwen3VL(Qwen25VL):
    """The same JSON with coordinates 0..1000 of the image sides."""

    name: ClassVar[str] = "qwen3-vl"

    def _fields(self, size: Size) -> tuple[Field, ...]:
        return box_fields(1000)

    def _steps(self, box: HBB, size: Size) -> tuple[int, ...]:
        return quantise_box(box, size, 1000)

    def _box(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> HBB:
        x1, y1, x2, y2 = ordered(clip(values, 0, 1000, notes, span), notes, span)
        height, width = size
        return x1 * width / 1000, y1 * height / 1000, x2 * width / 1000, y2 * height / 1000


def _objects(text: str) -> list[Span]:
    """Each from its box key to the next one's."""
    found = []
    at = text.find(_KEY)
    while at >= 0:
        after = text.find(_KEY, at + len(_KEY))
        found.append((at + len(_KEY), len(text) if after < 0 else after))
        at = after
    return found


def _list_end(text: str, start: int, end: int) -> int:
    """One past the bracket that closes the box, or ``end``."""
    close = text.find("]", start, end)
    return end if close < 0 else close + 1


def _label(text: str, start: int, end: int) -> str | None:
    """The label inside the same object, if it has a readable one."""
    brace = text.find("}", start, end)
    at = text.find(_LABEL, start, end if brace < 0 else brace)
    opening = text.find('"', at + len(_LABEL), end) if at >= 0 else -1
    closing = text.find('"', opening + 1, end) if opening >= 0 else -1
    return text[opening + 1 : closing].strip() or None if closing >= 0 else None
