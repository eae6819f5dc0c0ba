"""Horizontal boxes as integers of a fixed range: VRSBench, Qwen, InternVL, DeepSeek-VL2, Florence-2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsground.codecs.boxes import box_fields
from rsground.codecs.codec import box_of
from rsground.codecs.dialects.wording import BoxDialect, Wording
from rsground.codecs.fields import Field
from rsground.codecs.mend import box_in_pixels, clip, ordered
from rsground.codecs.quantise import Rounding, dequantise_box, quantise_box
from rsground.codecs.scan import Notes, Span
from rsground.types import Region, Size


@dataclass(frozen=True, slots=True)
class ScaledBoxes(BoxDialect):
    """Base: x1, y1, x2, y2 in steps of the image sides.

    Attributes:
        resolution: steps per side; ``top`` the largest legal one.
        rounding: how pixels become steps.
        keep_area: widen a side that would collapse to one step; the upstream writers do not, and lose the object.
    """

    carries: ClassVar[str] = "hbb"

    resolution: int = 1000
    top: int = 1000
    rounding: Rounding = "round"
    keep_area: bool = True

    def fields(self, size: Size) -> tuple[Field, ...]:
        """x1, y1, x2, y2."""
        del size
        return box_fields(self.top, gap=int(self.keep_area))

    def values(self, region: Region, size: Size) -> tuple[int, ...]:
        """The box, quantised."""
        box = box_of(region, self.name)
        return quantise_box(box, size, self.resolution, self.rounding, self.top, self.keep_area)

    def region(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> Region:
        """The box, in pixels."""
        return Region(hbb=box_in_pixels(values, size, self.resolution, notes, span, self.top))


@dataclass(frozen=True, slots=True)
class VRSBench(ScaledBoxes):
    """``{<x1><y1><x2><y2>}``, hundredths, truncated: VRSBench (Li et al. 2024), as its data and code have it."""

    name: ClassVar[str] = "vrsbench"
    wording: ClassVar[Wording] = Wording(("{<", "><", "><", "><", ">}"))

    resolution: int = 100
    top: int = 100
    rounding: Rounding = "floor"


@dataclass(frozen=True, slots=True)
class QwenVL(ScaledBoxes):
    """``<ref>phrase</ref><box>(x1,y1),(x2,y2)</box>``, 0..999 truncated, read back by /999: the ms-swift rule."""

    name: ClassVar[str] = "qwen-vl"
    wording: ClassVar[Wording] = Wording(("<box>(", ",", "),(", ",", ")</box>"), joiner="", phrase=("<ref>", "</ref>"))

    resolution: int = 999
    top: int = 999
    rounding: Rounding = "floor"


@dataclass(frozen=True, slots=True)
class Qwen2VL(ScaledBoxes):
    """Qwen2-VL: ``<|object_ref_start|>phrase<|object_ref_end|><|box_start|>(x1,y1),(x2,y2)<|box_end|>``, 0..1000."""

    name: ClassVar[str] = "qwen2-vl"
    wording: ClassVar[Wording] = Wording(
        ("<|box_start|>(", ",", "),(", ",", ")<|box_end|>"),
        joiner="",
        phrase=("<|object_ref_start|>", "<|object_ref_end|>"),
    )


@dataclass(frozen=True, slots=True)
class InternVL(ScaledBoxes):
    """``<ref>phrase</ref><box>[[x1, y1, x2, y2]]</box>``, 0..1000, a blank after each comma."""

    name: ClassVar[str] = "internvl"
    wording: ClassVar[Wording] = Wording(
        ("[", ", ", ", ", ", ", "]"), "<box>[", "]</box>", ", ", phrase=("<ref>", "</ref>"), nothing="<box>[]</box>"
    )


@dataclass(frozen=True, slots=True)
class DeepSeekVL2(ScaledBoxes):
    """``<|ref|>phrase<|/ref|><|det|>[[x1, y1, x2, y2]]<|/det|>``, 0..999."""

    name: ClassVar[str] = "deepseek-vl2"
    wording: ClassVar[Wording] = Wording(
        ("[", ", ", ", ", ", ", "]"),
        "<|det|>[",
        "]<|/det|>",
        ", ",
        phrase=("<|ref|>", "<|/ref|>"),
        nothing="<|det|>[]<|/det|>",
    )

    resolution: int = 999
    top: int = 999


@dataclass(frozen=True, slots=True)
class Florence2(ScaledBoxes):
    """``phrase<loc_x1><loc_y1><loc_x2><loc_y2>``: 1000 bins a side, floor, read back at the middle of the bin."""

    name: ClassVar[str] = "florence-2"
    wording: ClassVar[Wording] = Wording(
        ("<loc_", "><loc_", "><loc_", "><loc_", ">"), joiner="", phrase=("", ""), between=""
    )

    top: int = 999
    rounding: Rounding = "floor"

    def region(self, values: Sequence[float], size: Size, notes: Notes, span: Span) -> Region:
        """The box through the middles of its bins (``(bin + 0.5) * side / 1000``)."""
        steps = ordered(clip(values, 0, self.top, notes, span), notes, span)
        return Region(hbb=dequantise_box([step + 0.5 for step in steps], size, self.resolution))
