"""Box formats of other models: one record says how a format is worded, one class writes, reads and constrains it."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import ClassVar, NamedTuple

from rsground.codecs.boxes import MAX_REGIONS
from rsground.codecs.codec import Codec, Reading
from rsground.codecs.fields import Field, template
from rsground.codecs.grammar import CharSet, RuleGrammar
from rsground.codecs.mend import nothing_found, number_lists
from rsground.codecs.rules import Phrase, Repeat, chain, either
from rsground.codecs.scan import Notes, Span, cut
from rsground.types import Region, Size

MAX_LABEL = 80
"""Characters of a written phrase; longer ones are cut."""
_NUMBER = r"\s{0,8}([+-]?[0-9]{1,9}(?:\.[0-9]{0,9})?)\s{0,8}"


CONTROLS = "".join(map(chr, range(32))) + "\x7f"


class Wording(NamedTuple):
    """How a format is put in words.

    Attributes:
        pieces: what stands before, between and after the numbers of one box; one more than there are numbers.
        opening, closing: around the boxes of one phrase.
        joiner: between boxes of one phrase.
        phrase: what stands before and after a phrase that precedes its boxes; None where the format has no phrases.
        between: between phrases.
        nothing: how it is said that nothing is there (ours, where the format has no way).
        forbidden: characters that a phrase cannot hold.
    """

    pieces: tuple[str, ...]
    opening: str = ""
    closing: str = ""
    joiner: str = " "
    phrase: tuple[str, str] | None = None
    between: str = "\n"
    nothing: str = "none"
    forbidden: str = "<>{}[]|" + CONTROLS


class BoxDialect(Codec):
    """Base of the dialects. Subclasses say how a region becomes numbers and numbers a region."""

    __slots__ = ()
    wording: ClassVar[Wording]

    @abstractmethod
    def fields(self, size: Size) -> tuple[Field, ...]:
        """The number slots of one box."""

    @abstractmethod
    def values(self, region: Region, size: Size) -> tuple[int, ...]:
        """The numbers of one region, each within its slot."""

    @abstractmethod
    def region(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> Region:
        """The region that numbers (as written, so with their decimals) mean."""

    def write(self, regions: Sequence[Region], size: Size) -> str:
        """All regions, in the order given; neighbours of one label share its phrase, where the format has phrases."""
        wording = self.wording
        if not regions:
            return wording.nothing
        labels = [clean_label(region.label, wording) for region in regions]
        groups = groupby(zip(labels, regions, strict=True), key=lambda pair: pair[0])
        fields = self.fields(size)
        return wording.between.join(
            self._group(label, [self._box(region, fields, size) for _, region in pairs]) for label, pairs in groups
        )

    def read(self, text: str, size: Size) -> Reading:
        """Boxes worded as the format has them, wherever they stand; failing that, numbers in any brackets."""
        notes = Notes()
        text = cut(text, notes)
        regions: list[Region] = []
        for values, label, span in self.found(text):
            if notes.is_full(len(regions)):
                break
            region = self.region([float(value) for value in values], size, notes, span)
            regions.append(_labelled(region, label, span))
        if regions:
            return Reading(tuple(regions), notes.done(), dialect=self.name)
        if text.strip() == self.wording.nothing:
            return Reading((), dialect=self.name)
        loose = [
            _labelled(self.region(values, size, notes, span), None, span)
            for values, span in number_lists(text, (0, len(text)), len(self.wording.pieces) - 1, notes)
        ]
        if loose:
            notes.add("missing-tag", f"not worded as {self.name} has it")
            return Reading(tuple(loose), notes.done(), dialect=self.name)
        found, parsed = nothing_found(text, notes)
        return Reading(found, notes.done(), parsed, self.name)

    def grammar(self, size: Size) -> RuleGrammar:
        """Boxes with or without a phrase; numbers in their ranges."""
        wording = self.wording
        parts: list[str | Field] = [wording.pieces[0]]
        for field, piece in zip(self.fields(size), wording.pieces[1:], strict=True):
            parts.extend((field, piece))
        boxes = chain(wording.opening, Repeat(template(*parts), 1, MAX_REGIONS, wording.joiner), wording.closing)
        group = boxes
        if wording.phrase is not None:
            before, after = wording.phrase
            phrase = Phrase(CharSet(frozenset(wording.forbidden), negated=True), 1, MAX_LABEL)
            group = either(boxes, chain(before, phrase, after, boxes))
        return RuleGrammar(either(wording.nothing, Repeat(group, 1, MAX_REGIONS, wording.between)))

    def found(self, text: str) -> Iterator[tuple[tuple[str, ...], str | None, Span]]:
        """Boxes worded exactly (up to blanks) as the format has them: numbers as text, phrase, span."""
        label: str | None = None
        for match in _pattern(self.wording).finditer(text):
            if match.lastgroup == "phrase":
                label = match.group("phrase").strip() or None
            else:
                yield tuple(value for value in match.groups()[1:] if value is not None), label, match.span()

    def holds(self, text: str) -> bool:
        """Whether a box of this format stands somewhere in the text, worded exactly, its tags included."""
        tag = self.wording.opening.rstrip("[")
        return tag in text and next(self.found(text), None) is not None

    def _box(self, region: Region, fields: tuple[Field, ...], size: Size) -> str:
        pieces = self.wording.pieces
        numbers = (field.write(value) for field, value in zip(fields, self.values(region, size), strict=True))
        return pieces[0] + "".join(number + piece for number, piece in zip(numbers, pieces[1:], strict=True))

    def _group(self, label: str | None, boxes: list[str]) -> str:
        wording = self.wording
        head = "" if label is None or wording.phrase is None else f"{wording.phrase[0]}{label}{wording.phrase[1]}"
        return f"{head}{wording.opening}{wording.joiner.join(boxes)}{wording.closing}"


def clean_label(label: str | None, wording: Wording) -> str | None:
    """A label as a phrase of the format: forbidden characters become blanks; None where nothing is left."""
    if label is None or wording.phrase is None:
        return None
    sound = label.encode("utf-8", "ignore").decode("utf-8")  # lone surrogates cannot be written anywhere
    kept = "".join(" " if char in wording.forbidden else char for char in sound)
    return " ".join(kept.split())[:MAX_LABEL].strip() or None


def _labelled(region: Region, label: str | None, span: Span) -> Region:
    return Region(hbb=region.hbb, quad=region.quad, label=label, span=span)


@lru_cache(maxsize=64)
def _pattern(wording: Wording) -> re.Pattern[str]:
    """One phrase or one box; linear, since no repetition is nested and all are bounded or end at a marker."""
    pieces = [r"\s{0,8}".join(re.escape(char) for char in piece.replace(" ", "")) for piece in wording.pieces]
    box = _NUMBER.join(pieces)
    if wording.phrase is None:
        return re.compile(f"(?P<phrase>(?!))|(?:{box})")
    before, after = (re.escape(part.strip()) for part in wording.phrase)
    forbidden = re.escape(wording.forbidden)
    phrase = f"{before}(?P<phrase>[^{forbidden}]{{1,400}}){after}" if before else f"(?P<phrase>[^{forbidden}]{{1,400}})"
    return re.compile(f"{phrase}|(?:{box})")
