"""The charts of a report: interval bars, and a dot plot per breakdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from rsground.report import svg
from rsground.report.model import Breakdown, Score
from rsground.report.text import interval, is_share, middle, number, significant

BINS = 9
"""Bins a chart shows; tables show all."""
_BAR_WIDTH, _BAR_HEIGHT = 132, 18


def interval_bar(score: Score, top: float) -> Markup:
    """A bar from 0 to the value with whiskers at its interval; ``top`` is the right end of the scale.

    Negative values show an empty bar: shares and counts are never negative, differences are not drawn this way.
    """
    if math.isnan(score.value) or top <= 0:
        return Markup("")

    def place(value: float) -> float:
        return round(max(0.0, min(1.0, value / top)) * (_BAR_WIDTH - 2) + 1, 2)

    middle_y = _BAR_HEIGHT / 2
    parts = [
        svg.element("rect", x=1, y=3, width=_BAR_WIDTH - 2, height=_BAR_HEIGHT - 6, class_="bar-back"),
        svg.element(
            "rect", x=1, y=3, width=max(0.0, place(score.value) - 1), height=_BAR_HEIGHT - 6, class_="bar-fill"
        ),
    ]
    if score.low is not None and score.high is not None:
        low, high = place(score.low), place(score.high)
        parts.append(svg.line(low, middle_y, high, middle_y, "whisker"))
        parts += [svg.line(end, middle_y - 4, end, middle_y + 4, "whisker") for end in (low, high)]
    box = f"0 0 {_BAR_WIDTH} {_BAR_HEIGHT}"
    return svg.element(
        "svg", *parts, viewBox=box, width=_BAR_WIDTH, height=_BAR_HEIGHT, class_="bar", aria_hidden="true"
    )


def described(label: str, score: Score, share: bool) -> str:
    """A point in words, for tooltips and screen readers."""
    bounds = interval(score.low, score.high, share)
    return f"{label}: {number(score.value, share)}{' ' + bounds if bounds else ''}, n = {score.n:,}"


@dataclass(frozen=True, slots=True)
class Frame:
    """The plot area in SVG units and the data range it shows."""

    left: float
    top: float
    right: float
    bottom: float
    x_low: float
    x_high: float
    y_low: float = 0.0
    y_high: float = 1.0
    log_x: bool = False

    def x(self, value: float) -> float:
        low, high = self.x_low, self.x_high
        if self.log_x:
            value, low, high = math.log10(value), math.log10(low), math.log10(high)
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.left + max(0.0, min(1.0, share)) * (self.right - self.left), 2)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / (self.y_high - self.y_low) if self.y_high > self.y_low else 0.5
        return round(self.bottom - max(0.0, min(1.0, share)) * (self.bottom - self.top), 2)


def breakdown_chart(breakdown: Breakdown, systems: Sequence[str], width: float = 560) -> Markup:
    """A dot plot: one band per bin (the most frequent ones of many), in it one row per system with its interval."""
    share = is_share(breakdown.score)
    breakdown = most_frequent(breakdown)
    shown = [label for label in systems if label in breakdown.values]
    values = [score for label in shown for score in breakdown.values[label] if score and not math.isnan(score.value)]
    if not values:
        return Markup("")
    row, gap, top = 11.0, 12.0, 8.0
    band = row * len(shown) + gap
    left = 18 + 7.4 * min(22, max(len(name) for name in breakdown.bins))
    height = top + band * len(breakdown.bins) + 34
    high = 1.0 if share else max(max(score.high or score.value, score.value) for score in values) * 1.05
    frame = Frame(left, top, width - 62, height - 34, min(0.0, *(score.value for score in values)), high)
    parts = _x_axis(frame, share)
    for place, name in enumerate(breakdown.bins):
        base = top + band * place
        if place % 2 == 0:
            parts.append(svg.element("rect", x=0, y=base, width=width, height=band, class_="band"))
        parts.append(svg.text(left - 8, base + band / 2 + 4, middle(name, 22), "label", "end"))
        parts.append(svg.text(width - 4, base + band / 2 + 4, f"n={_short(breakdown.counts[place])}", "minor", "end"))
        for series, label in enumerate(shown):
            score = breakdown.values[label][place]
            if score is not None and not math.isnan(score.value):
                y = base + gap / 2 + row * (series + 0.5)
                parts += _point(frame, y, score, series, described(f"{label}, {name}", score, share))
    title = f"{breakdown.score} by {breakdown.title}; the same figures stand in the table below the chart"
    return svg.canvas(width, height, title, parts)


def most_frequent(breakdown: Breakdown, bins: int = BINS) -> Breakdown:
    """The breakdown with at most ``bins`` bins: those with most samples, in their own order."""
    if len(breakdown.bins) <= bins:
        return breakdown
    places = sorted(range(len(breakdown.bins)), key=lambda place: (-breakdown.counts[place], place))[:bins]
    keep = sorted(places)
    return replace(
        breakdown,
        bins=tuple(breakdown.bins[place] for place in keep),
        counts=tuple(breakdown.counts[place] for place in keep),
        values={label: tuple(scores[place] for place in keep) for label, scores in breakdown.values.items()},
    )


def _point(frame: Frame, y: float, score: Score, series: int, label: str) -> list[Markup]:
    parts = []
    if score.low is not None and score.high is not None:
        parts.append(svg.line(frame.x(score.low), y, frame.x(score.high), y, f"interval s{series % svg.SERIES}"))
    parts.append(svg.marker(frame.x(score.value), y, series, label))
    return parts


def _x_axis(frame: Frame, share: bool) -> list[Markup]:
    parts: list[Markup] = []
    for tick in svg.ticks(frame.x_low, frame.x_high):
        x = frame.x(tick)
        parts.append(svg.line(x, frame.top, x, frame.bottom, "grid"))
        parts.append(svg.text(x, frame.bottom + 16, tick_text(tick, share), "tick", "middle"))
    return parts


def tick_text(value: float, share: bool) -> str:
    return f"{100 * value:g}" if share else significant(value, 3)


def _short(count: int) -> str:
    return f"{count:,}" if count < 100_000 else f"{count / 1000:,.0f}k"
