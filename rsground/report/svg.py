"""Drawing in SVG: elements whose text and attributes are escaped, and axes with round numbers.

Charts are drawn on the server side so that a report needs no script to be read. Colours are named by CSS classes
only; the page's style sheet gives them a light and a dark form.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from markupsafe import Markup, escape

from rsground.report.text import visible

SERIES = 8
"""Colours (and marker shapes) that can be told apart in one chart; see ``.s0`` ... ``.s7`` in the style sheet."""


def element(name: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """One SVG element.

    ``class_`` and ``for_``-like names lose the trailing underscore, other underscores become hyphens; attributes that
    are None are left out. Children that are plain ``str`` are escaped.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        shown = _number(value) if isinstance(value, (int, float)) else visible(str(value))
        words.append(f'{key.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    inner = "".join(str(child) if isinstance(child, Markup) else str(escape(visible(child))) for child in children)
    return Markup(f"<{' '.join(words)}>{inner}</{name}>") if inner else Markup(f"<{' '.join(words)}/>")


def canvas(width: float, height: float, title: str, children: Iterable[Markup], class_: str = "chart") -> Markup:
    """An ``<svg>`` that scales with its column and says its title to a screen reader."""
    return element(
        "svg",
        element("title", title),
        *children,
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        width=width,
        height=height,
        role="img",
        class_=class_,
    )


def text(x: float, y: float, content: str, class_: str = "", anchor: str | None = None) -> Markup:
    """A line of text with its baseline at ``y``; anchor ``"middle"`` or ``"end"``."""
    return element("text", content, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


_SHAPES = {
    0: "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z",
    1: "M-3.6 -3.6H3.6V3.6H-3.6Z",
    2: "M0 -4.8L4.6 3.4H-4.6Z",
    3: "M0 -5L5 0L0 5L-5 0Z",
    4: "M0 4.8L4.6 -3.4H-4.6Z",
    5: "M-1.4 -4.6H1.4V-1.4H4.6V1.4H1.4V4.6H-1.4V1.4H-4.6V-1.4H-1.4Z",
    6: "M-4.8 0L3.4 -4.6V4.6Z",
    7: "M4.8 0L-3.4 -4.6V4.6Z",
}


def marker(x: float, y: float, series: int, label: str, class_: str = "") -> Markup:
    """A data point: colour and shape tell the series, hovering tells ``label``."""
    shape = element("path", d=_SHAPES[series % SERIES], class_=f"mark s{series % SERIES} {class_}".strip())
    return element("g", element("title", label), shape, transform=f"translate({_number(x)} {_number(y)})")


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers inside [low, high], about ``wanted`` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    step = _round_step((high - low) / max(1, wanted))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 × powers of ten inside [low, high]; only powers where there would be more than
    eight, plain round numbers where there would be fewer than three."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    fine = [lead * 10.0**power for power in range(first, last + 1) for lead in (1, 2, 5)]
    inside = [value for value in fine if low * 0.999 <= value <= high * 1.001]
    if len(inside) < 3:
        return ticks(low, high)
    if len(inside) <= 8:
        return inside
    return [value for value in inside if math.log10(value) % 1 < 1e-9]


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(lead * power for lead in (1, 2, 2.5, 5, 10) if lead * power >= raw * 0.999)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
