"""The records that flow through rsground, from a sample to its prediction.

All are frozen. Frame everywhere: pixels, x to the right, y down, origin at the top-left corner of the image; boxes
are half-open ``[x1, y1, x2, y2)`` floats on pixel *edges*; a mask is ``(H, W)``, row 0 at the top. Arrays appear in
annotations only, so that describing data imports no numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from rsground.errors import ShapeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Size = tuple[int, int]
"""(height, width) in pixels."""
Point = tuple[float, float]
"""(x, y) in pixels."""
HBB = tuple[float, float, float, float]
"""Horizontal bounding box (x1, y1, x2, y2), half-open, in pixels."""
Quad = tuple[Point, Point, Point, Point]
"""Four corners of an oriented box, clockwise on screen: the exchange form of an OBB."""
Ring = tuple[Point, ...]
"""A closed polygon ring; the first point is not repeated at the end."""


class Task(StrEnum):
    """What is asked of a model, and so which metric applies."""

    HBB = "hbb"  # referring expression comprehension, horizontal boxes
    OBB = "obb"  # the same with oriented boxes
    MASK = "mask"  # referring expression segmentation
    GCG = "gcg"  # grounded conversation generation: text with interleaved regions
    CHANGE = "change"  # two images; the mask of what changed
    CAPTION = "caption"  # text about the image
    REGION_CAPTION = "region-caption"  # a region is given, text is asked ("cyclic referring")
    VQA = "vqa"  # a short answer
    SCENE = "scene"  # the class of the whole image


class RLE(NamedTuple):
    """A mask in COCO's compressed run-length form (column-major runs, LEB-like text)."""

    size: Size
    counts: bytes


@dataclass(frozen=True, slots=True)
class Region:
    """One instance in the image. Carries any of the forms below; :mod:`rsground.regions` derives the missing ones.

    Attributes:
        hbb: horizontal box (x1, y1, x2, y2) in pixels, half-open.
        quad: oriented box as four (x, y) corners, clockwise on screen.
        polygons: rings of (x, y) points; the region is the union of the filled rings.
        rle: mask as COCO RLE; ``rle.size`` is the image's (H, W).
        points: key points (x, y) inside the region.
        score: confidence in [0, 1], None where the source has none.
        label: category name.
        span: (start, end) characters of the answer text that name this region.
        attributes: further facts about an annotated instance (colour, heading, difficult ...), JSON-able.
    """

    hbb: HBB | None = None
    quad: Quad | None = None
    polygons: tuple[Ring, ...] | None = None
    rle: RLE | None = None
    points: tuple[Point, ...] | None = None
    score: float | None = None
    label: str | None = None
    span: tuple[int, int] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_located(self) -> bool:
        """Whether any form says where the region is."""
        return any(form is not None for form in (self.hbb, self.quad, self.polygons, self.rle, self.points))


@dataclass(frozen=True, slots=True, eq=False)
class ImageRef:
    """An image by reference: nothing is read until :func:`rsground.images.read_image` is called.

    Attributes:
        uri: file path, or a name such as ``scenes:val/7/12`` for a rendered image; samples with one ``uri`` show one
            image, and intervals are clustered by it.
        height, width: in pixels, as the annotations count them (EXIF orientation not applied).
        render: draws the pixels where there is no file: () -> ``(H, W, 3)`` uint8 RGB. Must survive pickling.
    """

    uri: str
    height: int
    width: int
    render: Callable[[], NDArray[np.uint8]] | None = None

    @property
    def size(self) -> Size:
        """(height, width)."""
        return (self.height, self.width)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One question about one image (two for change), with its answer where it is known.

    Attributes:
        id: unique within its data set split.
        images: one image, or (before, after) for change. Regions live in the frame of the last one.
        expression: referring expression, instruction or question, as the data set gives it.
        task: what is asked.
        targets: the annotated regions; ``()`` says *no target is present*, None says *not annotated*.
        answer: reference text for captions, questions and grounded descriptions; a grounded description marks
            phrases as ``<p>phrase</p> [SEG]``, the k-th ``[SEG]`` being ``targets`` whose ``span`` covers it.
        meta: free JSON-able facts: ``category``, ``is_unique``, ``gsd`` (metres per pixel), ``axes`` (difficulty
            axes the sample exercises), ``references`` (several reference texts) ...
    """

    id: str
    images: tuple[ImageRef, ...]
    expression: str
    task: Task
    targets: tuple[Region, ...] | None = None
    answer: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.images) not in (1, 2):
            raise ShapeError(f"sample {self.id!r} must have one image, or two for change, got {len(self.images)}")

    @property
    def image(self) -> ImageRef:
        """The image that targets and predictions are drawn on (the later one of two)."""
        return self.images[-1]

    @property
    def size(self) -> Size:
        """(height, width) of :attr:`image`."""
        return self.image.size


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the model sees, and the way back to the original image.

    Attributes:
        images: each ``(h, w, 3)`` uint8 RGB; as many as the sample has.
        to_original: affine map (a, b, c, d, e, f), x' = a*x + b*y + c and y' = d*x + e*y + f, from pixels of the last
            view image to pixels of the original; identity unless a preprocessor moved something.
        original_size: (H, W) of the original image, the frame predictions must leave in.
        meta: what preprocessors want to hand on (tiles, crop boxes, kept token counts); who divides a view into tiles
            keeps it as ``"source"``.
    """

    images: tuple[NDArray[np.uint8], ...]
    original_size: Size
    to_original: tuple[float, float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> Size:
        """(h, w) of the last view image."""
        height, width = self.images[-1].shape[:2]
        return (int(height), int(width))

    @property
    def source(self) -> View:
        """The view whose last image a segmenter looks at: the one that tiles were cut from, where there are tiles."""
        kept = self.meta.get("source")
        return kept.source if isinstance(kept, View) else self


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer cost.

    Attributes:
        latency_s: wall-clock seconds from view to prediction; None where it was not measured alone.
        visual_tokens, prompt_tokens, output_tokens: token counts of the backbone's own tokenizer.
        peak_memory_bytes: highest memory of the device (of the process, on CPU) while answering.
        flops: floating point operations, where the backbone can tell.
        time_s: wall-clock seconds from view to prediction, a batch's divided by its samples; the latency where a sample
            was asked alone.
    """

    latency_s: float | None = None
    visual_tokens: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    peak_memory_bytes: int | None = None
    flops: float | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """What a backbone produced for one prompt and view.

    Attributes:
        text: the answer with special tokens kept.
        finish: ``"stop"`` (the model ended it), ``"length"`` (cut) or ``"forced"`` (teacher forcing).
        token_ids: ids of ``text`` in the backbone's tokenizer, None for backbones without one.
        hidden: ``(T, D)`` last hidden states of the answer tokens (torch tensor), when asked for.
        attentions: last layer ``(heads, T, L)`` (torch tensor), when asked for.
        usage: token counts and, when measured, time.
    """

    text: str
    finish: str = "stop"
    token_ids: tuple[int, ...] | None = None
    hidden: Any = None
    attentions: Any = None
    usage: Usage = Usage()


class Issue(NamedTuple):
    """One thing that a reader could not use, as data: never an exception, never silent.

    Attributes:
        code: short stable name, one of :data:`ISSUE_CODES`.
        detail: what was found, for people; at most a line.
        span: (start, end) characters in the answer, where it can be pointed at.
    """

    code: str
    detail: str
    span: tuple[int, int] | None = None


ISSUE_CODES: Mapping[str, str] = MappingProxyType(
    {
        "empty": "the answer holds no text",
        "missing-tag": "the opening tag of the format is not there",
        "truncated": "the answer ends inside a region",
        "too-few-numbers": "a region has fewer numbers than its form needs",
        "too-many-numbers": "a region has more numbers than its form needs; the first ones were used",
        "bad-number": "a number cannot be read, is not finite, or is absurdly large",
        "out-of-range": "a coordinate lies outside the format's range and was clipped",
        "swapped-corners": "x2 < x1 or y2 < y1; the corners were swapped",
        "degenerate": "the region has no area",
        "row-width": "a grid row has the wrong number of cells and was padded or cut",
        "row-count": "the grid has the wrong number of rows and was padded or cut",
        "bad-run": "a run of the grid cannot be read",
        "unknown-label": "a run's label is neither background nor object",
        "too-long": "the answer is longer than any valid one; the rest was not read",
        "other-format": "the answer is in another known format than the one asked for",
        "no-answer": "the system failed before it answered",
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The answer to one sample, in the original image's pixels.

    Attributes:
        regions: what was found; ``()`` with ``parsed`` true says *the model answered that nothing is there*.
        parsed: whether the answer could be read at all; an unparsable answer counts as wrong and is shown.
        issues: what the reader could not use.
        text: the raw answer.
        error: why the system failed (crash, timeout, out of memory), None when it answered.
        usage: cost of this answer.
    """

    regions: tuple[Region, ...] = ()
    parsed: bool = True
    issues: tuple[Issue, ...] = ()
    text: str = ""
    error: str | None = None
    usage: Usage = Usage()

    @classmethod
    def failure(cls, error: str, text: str = "") -> Prediction:
        """The prediction of a system that did not answer: counted as wrong, with its reason."""
        return cls(parsed=False, issues=(Issue("no-answer", error),), text=text, error=error)
