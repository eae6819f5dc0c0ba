"""Every point that the paper fixes or leaves open, as a named option with its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from rsground.errors import ShapeError, UnknownNameError
from rsground.types import Task
from rsground_magcrop.candidates import Search
from rsground_magcrop.choices import (
    Composition,
    Contrast,
    Fallback,
    Heads,
    Levels,
    Reads,
    Resample,
    Rounding,
    Second,
    Sign,
    Ties,
    Twice,
)
from rsground_magcrop.compose import Compression


@dataclass(frozen=True, slots=True)
class Options:
    """How MagCrop works. The defaults are the paper where it says something; *open* marks what it does not say.

    Attributes:
        granularity: ``classifier`` (paper: from the words of the query), ``task`` (from the sample's task), or one of
            ``image``, ``region``, ``pixel`` for every sample.
        skip: tasks whose view is left as it is (paper: grounded conversations did not use MagCrop).
        image_side: side of the square that image granularity is shown at (paper: 100). Smaller images are not enlarged.
        keep_aspect: keep the image's aspect ratio there, ``image_side`` being the longer side (paper: 100 x 100).
        factor: what Eq. 3 divides height and width by (paper: 4).
        twice: D(D(I)) of Eq. 2. ``literal``: Eq. 3 twice at the same size, which hardly changes the image again;
            ``compound``: one compression by ``factor`` squared, which the text's *compressing* suggests.
        resample: the filter of Resize (open): ``bilinear``, ``box``, ``bicubic`` or ``nearest``.
        rounding: H/4 and W/4 of sides that 4 does not divide (open): to the ``nearest`` whole number, ``down`` or
            ``up``.
        seam: pixels, inside a crop's edge, over which it fades into what surrounds it (open; 0: cut hard).
        composition: ``stitch`` (paper: the parts go back to their places, so the view keeps its frame); ``crop`` (ours:
            only the first crop is shown, so that backbones of one input size magnify it); ``both`` (ours: the whole
            image reduced to ``global_side``, then the crop; answers are read in the crop's frame).
        global_side: longer side of the whole image in ``both``.
        second: where pixel granularity's second crop comes from. ``query`` (paper: the model is asked again, about the
            first crop); ``map`` (ours: the first map, inside the first crop, which saves a forward pass).
        query_side: longer side of the image that the model is asked where to look on; None shows the view (paper).
        query_tokens: most visual tokens that the model is asked where to look on: more are averaged with their
            neighbours before its language model; None for all (paper). For backbones whose number of tokens is fixed,
            where a smaller image saves nothing; their ``attend`` must take ``visual_tokens``.
        stitch_side: longer side that ``stitch`` composes at, and looks at, where the image is larger: for backbones
            that would reduce what is composed anyway; None for the image's own (paper).
        least_side: images whose longer side is at most this are left as they are (ours; 0 for none).
        reads: whose loss it is, and with it whose row of attention (open; of the last layer a token's loss reaches its
            own row alone). ``next``: of the first token of the answer, the row of the prompt's last token; ``query``:
            of all that stands behind the image, each word about the one that follows; ``answer``: of the answer, which
            the model then writes first, each of its tokens about the one that follows.
        sign: gradients that count. ``answer``: those that raise the logit of the token that is asked about (the
            likeliest, for there is no label); ``loss``: those that raise its cross-entropy, which is what the paper's
            Eq. 4 says when its sign is taken at its word.
        heads: how those of the last layer are combined (open): their ``mean`` or ``max``.
        map_side: cells along the longer side of the heat map (open).
        sizes: sides of candidate boxes, shares of the geometric mean of the map's sides (open).
        ratios: height / width of candidate boxes (open).
        stride: step between candidates, share of their width and height (open).
        surround: width of the neighbourhood, share of the candidate's width and height on each side; 1 makes it the
            eight boxes of the same size around it (open).
        contrast: what is compared with the neighbourhood: the ``total`` attention in the box (paper), or the ``mean``
            of its cells, which does not grow with the box.
        ties: which of equal contrasts: the ``smallest`` box or the ``largest`` (open).
        crops: most places that are cropped (paper: one box; open for several targets). Further ones are apart from
            those before, stand out on the same map, and are shown by ``stitch`` alone.
        margin: enlarges the winning box on each side, share of its width and height (open; none).
        min_side: the winning box is at least this many pixels wide and high (open).
        fallback: what becomes of a backbone that cannot say where it looks: ``error``, or ``plain``, which leaves the
            view as it is and counts it in ``view.meta``.
        question: the words of the query where no head told them (see :meth:`MagCrop.listen`); ``{expression}`` and, for
            the task's plain instruction, ``{instruction}`` are filled in.
    """

    granularity: Levels = "classifier"
    skip: tuple[str, ...] = ("gcg",)
    image_side: int = 100
    keep_aspect: bool = False
    factor: int = 4
    twice: Twice = "literal"
    resample: Resample = "bilinear"
    rounding: Rounding = "nearest"
    seam: int = 0
    composition: Composition = "stitch"
    global_side: int = 336
    second: Second = "query"
    query_side: int | None = None
    query_tokens: int | None = None
    stitch_side: int | None = None
    least_side: int = 0
    reads: Reads = "next"
    sign: Sign = "answer"
    heads: Heads = "mean"
    map_side: int = 96
    sizes: tuple[float, ...] = (0.125, 0.1875, 0.25, 0.375, 0.5)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    stride: float = 0.25
    surround: float = 1.0
    contrast: Contrast = "total"
    ties: Ties = "smallest"
    crops: int = 1
    margin: float = 0.0
    min_side: int = 28
    fallback: Fallback = "error"
    question: str = "{instruction}"

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            if getattr(self, name) not in get_args(kind):
                raise UnknownNameError(f"value of option {name!r}", str(getattr(self, name)), get_args(kind))
        for task in self.skip:
            if task not in list(Task):
                raise UnknownNameError("task in option 'skip'", str(task), list(Task))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= least) and not (name in _MAY_BE_NONE and value is None):
                raise ShapeError(f"option {name!r} must be a whole number >= {least}, got {value!r}")
        if self.margin < 0:
            raise ShapeError(f"option 'margin' must be >= 0 (share of the box's sides), got {self.margin}")
        if self.crops > 1 and self.composition != "stitch":
            raise ShapeError(
                f"option 'crops' = {self.crops} needs composition = 'stitch', got {self.composition!r}: a crop that is "
                "shown alone is one place, and no single way back is right for two"
            )
        if not any(part in self.question for part in ("{expression}", "{instruction}")):
            raise ShapeError(f"option 'question' must hold {{expression}} or {{instruction}}, got {self.question!r}")

    @property
    def search(self) -> Search:
        """What candidate boxes are made of."""
        return Search(self.sizes, self.ratios, self.stride, self.surround, self.contrast, self.ties)

    @property
    def compression(self) -> Compression:
        """How the rest is compressed, and crops are put back on it."""
        return Compression(self.factor, self.twice, self.resample, self.rounding, self.seam)


_CHOICES: Mapping[str, Any] = {
    "granularity": Levels,
    "twice": Twice,
    "resample": Resample,
    "rounding": Rounding,
    "composition": Composition,
    "second": Second,
    "reads": Reads,
    "sign": Sign,
    "heads": Heads,
    "contrast": Contrast,
    "ties": Ties,
    "fallback": Fallback,
}
_LEAST: Mapping[str, int] = {
    "image_side": 1,
    "factor": 1,
    "seam": 0,
    "global_side": 1,
    "query_side": 1,
    "query_tokens": 1,
    "stitch_side": 1,
    "least_side": 0,
    "map_side": 2,
    "crops": 1,
    "min_side": 1,
}

_MAY_BE_NONE = ("query_side", "query_tokens", "stitch_side")

_FAST: Mapping[str, Any] = {
    "second": "map",
    "query_side": 336,
    "query_tokens": 144,
    "stitch_side": 1344,
    "least_side": 336,
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "geomag": {},
    "paper": {},
    "fast": _FAST,
    "fast-336": {**_FAST, "query_tokens": 64, "stitch_side": 672},
    "magnify": {"composition": "crop", "second": "map", "margin": 0.25},
}
"""``geomag``, also called ``paper``: the paper, as are the defaults. ``fast``: one small look, and none at images that
the look itself shows whole. ``fast-336``: the same for models that see everything at 336 pixels, with a coarser look
and a smaller canvas. ``magnify``: shows the crop alone."""


def options(preset: str | None, given: Mapping[str, Any]) -> Options:
    """A preset's options overridden by the given ones; lists, as a suite file has them, become tuples.

    Raises:
        UnknownNameError: no such preset, option or choice.
        ShapeError: a value is out of range.
    """
    if preset is not None and preset not in PRESETS:
        raise UnknownNameError("preset of magcrop", preset, PRESETS)
    known = [field.name for field in fields(Options)]
    for name in given:
        if name not in known:
            raise UnknownNameError("option of magcrop", name, [*known, "preset", "classifier", "checkpoint"])
    values: dict[str, Any] = {**PRESETS[preset or "geomag"], **given}
    plain: dict[str, Any] = {name: tuple(kept) if isinstance(kept, list) else kept for name, kept in values.items()}
    found = Options(**plain)
    found.search.check()
    return found
