"""Asking the backbone where it looks, and making a box of the answer."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.contracts import Backbone, Prompt
from rsground.errors import ContractError
from rsground.types import View
from rsground_magcrop.candidates import Candidate, best_box
from rsground_magcrop.compose import Box
from rsground_magcrop.frames import within
from rsground_magcrop.heat import map_shape, paint, relevance, token_boxes
from rsground_magcrop.options import Options

Floats = NDArray[np.float64]


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

    def look(self, view: View, words: str, backbone: Backbone | None, frame: Box | None = None) -> Glance | None:
        """Ask about ``view`` and box the answer; None where the map is flat or there is no smaller box.

        Args:
            view: what is asked about.
            words: the query.
            backbone: one that :meth:`cannot` let pass.
            frame: the part of the first view, in its pixels, that ``view`` shows at whatever scale; None for the first
                view itself.
        """
        asked = within(view, self.options.query_side, self.options.resample)
        attended = self._attend(backbone, Prompt(text=words, view=asked))
        values = relevance(attended, self.options.sign)
        boxes = token_boxes(attended, len(values))
        heat = paint(boxes, values, asked.size, map_shape(view.size, self.options.map_side))
        height, width = view.size
        return self._boxed(heat, (0, 0, width, height) if frame is None else frame)

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
        most = self.options.query_tokens
        if most is None:
            answers = list(backbone.attend([prompt]))
        elif "visual_tokens" in inspect.signature(backbone.attend).parameters:
            answers = list(backbone.attend([prompt], visual_tokens=most))
        else:
            raise ContractError(
                f"option query_tokens={most} needs a backbone with attend(prompts, visual_tokens=...); "
                f"that of {type(backbone).__name__} takes no visual_tokens. Set query_tokens to None (null) to look at "
                "all of them"
            )
        if len(answers) != 1:
            raise ContractError(
                f"attend must answer one record per prompt: 1 prompt, {len(answers)} answers "
                f"(backbone {type(backbone).__name__})"
            )
        return answers[0]

    def _boxed(self, heat: Floats, frame: Box) -> Glance | None:
        found = best_box(heat, self.options.search)
        if found is None:
            return None
        box = self._in_pixels(found.box, heat, frame)
        return None if box == frame else Glance(box, heat, found, frame)

    def _in_pixels(self, cells: Box, heat: Floats, frame: Box) -> Box:
        return in_pixels(cells, heat.shape, frame, self.options.margin, self.options.min_side)


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
