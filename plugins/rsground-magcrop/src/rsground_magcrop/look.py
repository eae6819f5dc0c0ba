"""Asking the backbone where it looks, and making a box of the answer."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.contracts import Backbone, Prompt
from rsground.errors import ContractError
from rsground.types import View
from rsground_magcrop.candidates import Candidate, best_box, standing_out
from rsground_magcrop.compose import Box
from rsground_magcrop.frames import within
from rsground_magcrop.heat import map_shape, paint, relevance, token_boxes
from rsground_magcrop.options import Options

Floats = NDArray[np.float64]

_LONGEST = 64
"""Tokens of an answer that is written to be looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """One box that the backbone looked at.

    Attributes:
        box: pixels of the first view.
        heat: ``(rows, columns)`` map it was found on.
        candidate: the winner, in cells of that map.
        frame: the part of the first view that the map shows, in its pixels.
    """

    box: Box
    heat: Floats
    candidate: Candidate
    frame: Box


class Looker:
    """Finds crops on behalf of :class:`.magcrop.MagCrop`."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def cannot(self, backbone: Backbone | None) -> str | None:
        """Why this backbone cannot be asked, None where it can.

        Raises:
            ContractError: it cannot, and the option ``fallback`` says that this is an error.
        """
        if backbone is None:
            return "no-backbone"
        if callable(getattr(backbone, "attend", None)):
            return None
        if self.options.fallback == "plain":
            return "no-attend"
        raise ContractError(
            f"magcrop asks the backbone where it looks, so the backbone must have attend(prompts); "
            f"{type(backbone).__name__} has none. Use a backbone that does (transformers), or fallback='plain' to "
            "leave the view as it is"
        )

    def look(
        self, view: View, words: str, backbone: Backbone | None, frame: Box | None = None, most: int = 1
    ) -> list[Glance]:
        """Ask about ``view`` and box the answer; none where the map is flat or there is no smaller box.

        Args:
            view: what is asked about.
            words: the query.
            backbone: one that :meth:`cannot` let pass.
            frame: the part of the first view, in its pixels, that ``view`` shows at whatever scale; None for the first
                view itself.
            most: boxes to answer at most, apart from each other, that which stands out most first.
        """
        asked = within(view, self.options.query_side, self.options.resample)
        attended = self._attend(backbone, Prompt(text=words, view=asked))
        values = relevance(attended, self.options.heads)
        boxes = token_boxes(attended, len(values))
        heat = paint(boxes, values, asked.size, map_shape(view.size, self.options.map_side))
        height, width = view.size
        return list(islice(self._boxed(heat, (0, 0, width, height) if frame is None else frame), most))

    def within(self, first: Glance) -> Glance | None:
        """A second box from the first map alone, inside the first box; None where that part is flat."""
        left, top, right, bottom = first.candidate.box
        found = best_box(np.ascontiguousarray(first.heat[top:bottom, left:right]), self.options.search)
        if found is None:
            return None
        x1, y1, x2, y2 = found.box
        cells = (x1 + left, y1 + top, x2 + left, y2 + top)
        around = self._in_pixels(cells, first.heat, first.frame)
        low, high = np.maximum(around[:2], first.box[:2]), np.minimum(around[2:], first.box[2:])
        box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        return None if box == first.box else Glance(box, first.heat, found._replace(box=cells), first.frame)

    def _attend(self, backbone: Any, prompt: Prompt) -> Any:
        wishes = self._wishes(backbone)
        if self.options.reads == "answer":
            (said,) = backbone.generate([replace(prompt, max_new_tokens=_LONGEST)])
            prompt = replace(prompt, answer=said.text)
        answers = list(backbone.attend([prompt], **wishes))
        if len(answers) != 1:
            raise ContractError(
                f"attend must answer one record per prompt: 1 prompt, {len(answers)} answers "
                f"(backbone {type(backbone).__name__})"
            )
        return answers[0]

    def _wishes(self, backbone: Any) -> dict[str, Any]:
        """What this backbone's ``attend`` is asked for beyond the prompts.

        Raises:
            ContractError: it has no parameter for an option that is set.
        """
        options, wishes = self.options, dict[str, Any]()
        known = inspect.signature(backbone.attend).parameters

        def wish(option: str, name: str, value: Any, way_out: str) -> None:
            if name not in known:
                raise ContractError(
                    f"option {option}={getattr(options, option)!r} needs a backbone with attend(prompts, {name}=...); "
                    f"that of {type(backbone).__name__} takes no {name}. Set {option} to {way_out}"
                )
            wishes[name] = value

        if options.query_tokens is not None:
            wish("query_tokens", "visual_tokens", options.query_tokens, "None (null) to look at all of them")
        if options.sign == "loss":
            wish("sign", "of", "loss", "'answer' to follow the likeliest token's logit")
        if options.reads == "query":
            wish("reads", "query", True, "'next' to read the row of the prompt's last token")
        return wishes

    def _boxed(self, heat: Floats, frame: Box) -> Iterator[Glance]:
        """What stands out, in pixels; what a margin or the least side would make overlap is left out."""
        taken: list[Box] = []
        for found in standing_out(heat, self.options.search):
            box = self._in_pixels(found.box, heat, frame)
            if box == frame:
                return
            if all(_apart(box, other) for other in taken):
                taken.append(box)
                yield Glance(box, heat, found, frame)

    def _in_pixels(self, cells: Box, heat: Floats, frame: Box) -> Box:
        return in_pixels(cells, heat.shape, frame, self.options.margin, self.options.min_side)


def _apart(box: Box, other: Box) -> bool:
    return box[0] >= other[2] or box[2] <= other[0] or box[1] >= other[3] or box[3] <= other[1]


def in_pixels(cells: Box, shape: tuple[int, ...], frame: Box, margin: float = 0.0, min_side: int = 1) -> Box:
    """Cells of a map of ``shape`` (rows, columns) over ``frame`` as whole pixels, rounded outwards.

    Enlarged by ``margin`` of its sides, then to ``min_side`` pixels about its centre, then moved and cut to stay within
    the frame.
    """
    low = np.asarray(frame[:2], np.float64)
    span = np.asarray(frame[2:], np.float64) - low
    unit = span / np.asarray([shape[1], shape[0]], np.float64)
    first, last = np.asarray(cells[:2]) * unit, np.asarray(cells[2:]) * unit
    grow = margin * (last - first)
    first, last = first - grow, last + grow
    short = np.maximum(min_side - (last - first), 0.0) / 2
    first, last = first - short, last + short
    shift = np.maximum(-first, 0.0) - np.maximum(last - span, 0.0)
    first, last = np.maximum(first + shift, 0.0), np.minimum(last + shift, span)
    x1, y1 = (int(edge) for edge in np.floor(first + 1e-6) + low)
    x2, y2 = (int(edge) for edge in np.minimum(np.ceil(last - 1e-6), span) + low)
    return (x1, y1, max(x2, x1 + 1), max(y2, y1 + 1))
