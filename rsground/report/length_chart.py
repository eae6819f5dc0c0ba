"""Score against the length of an answer, and which systems nothing beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rsground.report import svg
from rsground.report.charts import Frame, described, tick_text
from rsground.report.model import Score
from rsground.report.text import is_share, middle, significant


@dataclass(frozen=True, slots=True)
class Dot:
    """A system in the cost plane.

    Attributes:
        label, family: of the system.
        x: mean characters (or tokens) of an answer, > 0.
        score: its primary score.
    """

    label: str
    family: str
    x: float
    score: Score


def pareto(dots: Sequence[Dot], higher_is_better: bool = True) -> list[Dot]:
    """The dots that no other one beats in both length and score, by increasing length.

    Of dots with equal length and score the first one stands for all.
    """
    sign = 1.0 if higher_is_better else -1.0
    front: list[Dot] = []
    for dot in sorted(dots, key=lambda dot: (dot.x, -sign * dot.score.value)):
        if not front or sign * dot.score.value > sign * front[-1].score.value:
            front.append(dot)
    return front


def length_chart(
    dots: Sequence[Dot], families: Mapping[str, int], score: str, unit: str, higher_is_better: bool = True
) -> Markup:
    """Score against the length of an answer (log scale), with the Pareto front drawn and its systems named."""
    usable = [dot for dot in dots if dot.x > 0 and math.isfinite(dot.x) and math.isfinite(dot.score.value)]
    if len(usable) < 2:
        return Markup("")
    share = is_share(score)
    width, height = 980.0, 470.0
    values = [dot.score.value for dot in usable]
    low, high = _y_range(values, share)
    xs = [dot.x for dot in usable]
    frame = Frame(58, 14, width - 24, height - 50, min(xs) / 1.15, max(xs) * 1.3, low, high, log_x=True)
    front = pareto(usable, higher_is_better)
    parts = _plane(frame, share, f"mean length of an answer, {unit} (log scale)", score)
    parts.append(_front_line(frame, front))
    on_front = {dot.label for dot in front}
    for dot in sorted(usable, key=lambda dot: dot.label in on_front):
        label = f"{described(dot.label, dot.score, share)}; {significant(dot.x, 3)} {unit}"
        state = "" if dot.label in on_front else "faint"
        parts.append(svg.marker(frame.x(dot.x), frame.y(dot.score.value), families.get(dot.family, 0), label, state))
    parts += _names(frame, front)
    title = f"{score} against answer length; best at each length: {', '.join(dot.label for dot in front)}"
    return svg.canvas(width, height, title, parts, "chart wide")


def _y_range(values: Sequence[float], share: bool) -> tuple[float, float]:
    """Range that shows all values with some air; a share stays within [0, 1] but for the room of a marker at 1."""
    spread = max(values) - min(values) or 0.1
    low, high = min(values) - 0.08 * spread, max(values) + 0.1 * spread
    if not share:
        return low, high
    return max(0.0, low), min(high, 1.0 + 0.02 * spread)


def _plane(frame: Frame, share: bool, x_title: str, y_title: str) -> list[Markup]:
    parts: list[Markup] = []
    for tick in svg.ticks(frame.y_low, frame.y_high, 6):
        y = frame.y(tick)
        parts.append(svg.line(frame.left, y, frame.right, y, "grid"))
        parts.append(svg.text(frame.left - 8, y + 4, tick_text(tick, share), "tick", "end"))
    for tick in svg.log_ticks(frame.x_low, frame.x_high):
        x = frame.x(tick)
        parts.append(svg.line(x, frame.top, x, frame.bottom, "grid"))
        parts.append(svg.text(x, frame.bottom + 17, significant(tick, 3), "tick", "middle"))
    parts.append(svg.text((frame.left + frame.right) / 2, frame.bottom + 40, x_title, "axis", "middle"))
    middle_y = (frame.top + frame.bottom) / 2
    rotated = svg.element(
        "text",
        y_title,
        x=0,
        y=0,
        class_="axis",
        text_anchor="middle",
        transform=f"translate(15 {middle_y:.1f}) rotate(-90)",
    )
    return [*parts, rotated]


def _front_line(frame: Frame, front: Sequence[Dot]) -> Markup:
    """A staircase: at every length, the best score that can be had so far."""
    path = f"M{frame.x(front[0].x)} {frame.y(front[0].score.value)}"
    for dot in front[1:]:
        path += f"H{frame.x(dot.x)}V{frame.y(dot.score.value)}"
    return svg.element("path", d=f"{path}H{frame.right}", class_="front")


_PLACES = ((9, 15, "start"), (-9, -8, "end"), (9, -8, "start"), (9, 29, "start"), (-9, 17, "end"), (9, 43, "start"))
"""Where a name may stand beside its dot: (right, down, anchor), the best place first."""


def _names(frame: Frame, front: Sequence[Dot]) -> list[Markup]:
    """Labels of the front, each where it covers no other label; one that fits nowhere is left to its tooltip."""
    taken: list[tuple[float, float, float, float]] = [
        (frame.x(dot.x) - 6, frame.y(dot.score.value) - 6, frame.x(dot.x) + 6, frame.y(dot.score.value) + 6)
        for dot in front
    ]
    parts: list[Markup] = []
    for dot in sorted(front, key=lambda dot: -dot.score.value):
        name = middle(dot.label, 30)
        wide = 6.4 * len(name)
        x, y = frame.x(dot.x), frame.y(dot.score.value)
        for dx, dy, anchor in _PLACES:
            left = x + dx - (wide if anchor == "end" else 0)
            box = (left, y + dy - 11, left + wide, y + dy + 3)
            inside = box[0] >= frame.left and box[2] <= frame.right + 20 and box[1] >= 0 and box[3] <= frame.bottom
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                parts.append(svg.text(x + dx, y + dy, name, "name", anchor))
                break
    return parts


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
