"""The codec contract: regions to text and back, with a reader that never raises on model output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsground.codecs.grammar import Grammar
from rsground.types import Issue, Region, Size


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a reader made of an answer.

    Attributes:
        regions: what could be read, in pixels of the size given.
        issues: what could not, or was mended on the way; empty for a valid answer.
        parsed: whether the answer says anything in this form: regions, or a valid "nothing there".
        dialect: name of the form that matched.
    """

    regions: tuple[Region, ...]
    issues: tuple[Issue, ...] = ()
    parsed: bool = True
    dialect: str = ""


class Codec(ABC):
    """One way to write regions as text.

    A codec is a small frozen dataclass: its options are its fields, and equal options mean equal behaviour. It
    writes regions in pixels of an image of ``size`` (H, W) and reads them back into the same frame.
    """

    name: ClassVar[str]
    carries: ClassVar[str]
    """The richest form that survives: ``"hbb"``, ``"obb"``, ``"mask"`` or ``"points"``."""

    @abstractmethod
    def write(self, regions: Sequence[Region], size: Size) -> str:
        """The answer naming all ``regions`` (none: the codec's own way to say that nothing is there).

        Raises:
            ShapeError: a region has no form this codec can write.
        """

    @abstractmethod
    def read(self, text: str, size: Size) -> Reading:
        """Read any text. Never raises, never hangs: time and memory are linear in ``len(text)`` and the image."""

    @abstractmethod
    def grammar(self, size: Size) -> Grammar:
        """All valid answers for an image of ``size``; :meth:`write` stays inside it."""
