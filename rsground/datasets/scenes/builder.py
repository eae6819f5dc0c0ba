"""The drawing board of an archetype: metres in, things in pixels out.

Archetypes work in their own frame: metres from the middle of the image, u to the right and v down, turned by the
scene's angle. Everything random comes from one generator; what cannot be seen is not even drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from rsground.datasets.scenes import designs_aircraft, designs_sport, designs_vehicles  # noqa: F401 (they register)
from rsground.datasets.scenes.frames import Frame
from rsground.datasets.scenes.materials import MATERIALS, RGB
from rsground.datasets.scenes.paints import Ground, Paint, SpritePaint
from rsground.datasets.scenes.palette import KINDS, Weighted, rgb_of
from rsground.datasets.scenes.plan import Layer, Thing
from rsground.datasets.scenes.shapes import Blob, Disc, Ribbon, Shape, Stadium
from rsground.datasets.scenes.sprites import Sprite, atlas


@dataclass(frozen=True, slots=True)
class Area:
    """The rectangle an archetype fills: centre and half sides in metres, in the scene's frame."""

    u: float
    v: float
    half_u: float
    half_v: float


class Builder:
    """Collects the things of one scene.

    Args:
        rng: everything random.
        size: side of the image, pixels.
        gsd: metres per pixel.
        angle: by which the archetype's frame is turned clockwise, radians.
    """

    def __init__(self, rng: np.random.Generator, size: int, gsd: float, angle: float) -> None:
        self.rng, self.size, self.gsd, self.angle = rng, size, gsd, angle
        self.scale = 1 / gsd
        self.things: list[Thing] = []
        self._page = Frame.of(size / 2, size / 2, angle)
        self._groups = 0
        self.roll: Callable[[], float] = chain.from_iterable(self._blocks()).__next__
        """The next uniform number in [0, 1)."""
        self._taken: list[tuple[float, float, float]] = []

    # ---- randomness -------------------------------------------------------------------------------------------
    def _blocks(self) -> Iterator[Iterator[float]]:
        """Uniform numbers, drawn in blocks when they are needed."""
        while True:
            yield reversed(self.rng.random(256).tolist())

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.roll()

    def whole(self, low: int, high: int) -> int:
        """A whole number, low to high inclusive."""
        return low + int(self.roll() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.roll() < probability

    def pick(self, options: Sequence[str]) -> str:
        """One of the options, all equally likely."""
        return options[int(self.roll() * len(options))]

    def pick_sign(self) -> int:
        """-1 or 1."""
        return 1 if self.roll() < 0.5 else -1

    def pick_turn(self, angle: float) -> float:
        """The angle, or the opposite direction."""
        return angle if self.roll() < 0.5 else angle + math.pi

    def weighted(self, options: Weighted) -> str:
        """One of the options, by weight."""
        mark = self.roll() * sum(options.values())
        for name, weight in options.items():
            mark -= weight
            if mark < 0:
                return name
        return name

    def tint(self, rgb: RGB, spread: float = 0.05) -> RGB:
        """The colour, a little lighter or darker."""
        factor = 1 + self.between(-spread, spread)
        return (rgb[0] * factor, rgb[1] * factor, rgb[2] * factor)

    def shade(self, spread: float = 0.1) -> RGB:
        """A gain for a material: brightness and a little warmth."""
        light, warm = 1 + self.between(-spread, spread), self.between(-spread, spread) * 0.3
        return (light * (1 + warm), light, light * (1 - warm))

    def group(self) -> int:
        """A fresh id for a row or cluster."""
        self._groups += 1
        return self._groups

    # ---- frames -----------------------------------------------------------------------------------------------
    def frame(self, u: float, v: float, angle: float = 0.0) -> Frame:
        """The pixel frame at (u, v) metres whose axis is turned by ``angle`` in the scene's frame."""
        x, y = self._page.locate(u * self.scale, v * self.scale)
        return Frame.of(x, y, self.angle + angle)

    def claim(self, u: float, v: float, reach: float) -> bool:
        """Whether nothing that was claimed before is within ``reach`` metres of (u, v); if so, claim it."""
        free = self.is_free(u, v, reach)
        if free:
            self._taken.append((u, v, reach))
        return free

    def is_free(self, u: float, v: float, reach: float) -> bool:
        """Whether nothing that was claimed is within ``reach`` metres of (u, v)."""
        return all(math.hypot(u - at_u, v - at_v) >= reach + far for at_u, at_v, far in self._taken)

    def unplace(self, x: float, y: float) -> tuple[float, float]:
        """(u, v) metres of a pixel position."""
        dx, dy, page = (x - self._page.x) * self.gsd, (y - self._page.y) * self.gsd, self._page
        return (dx * page.cos + dy * page.sin, dy * page.cos - dx * page.sin)

    def sees(self, u: float, v: float, reach: float) -> bool:
        """Whether anything within ``reach`` metres of (u, v) can fall into the picture."""
        x, y = self._page.locate(u * self.scale, v * self.scale)
        far = reach * self.scale + 2
        return -far < x < self.size + far and -far < y < self.size + far

    def seen_stretch(self, u: float, v: float, angle: float, length: float, reach: float) -> tuple[float, float]:
        """(start, stop) metres along a line from (u, v) between which something within ``reach`` of it can be seen.

        Empty (start >= stop) where nothing can.
        """
        x, y = self._page.locate(u * self.scale, v * self.scale)
        turn = self.angle + angle
        start, stop, far = 0.0, length, reach * self.scale + 2
        for at, step in ((x, math.cos(turn) * self.scale), (y, math.sin(turn) * self.scale)):
            if abs(step) < 1e-9:
                if not -far < at < self.size + far:
                    return (0.0, 0.0)
                continue
            one, two = (-far - at) / step, (self.size + far - at) / step
            start, stop = max(start, min(one, two)), min(stop, max(one, two))
        return (start, stop)

    # ---- things -----------------------------------------------------------------------------------------------
    def add(self, shape: Shape, paint: Paint, layer: Layer, **facts: Any) -> None:
        """Keep a thing if it can be seen."""
        win = shape.window(self.size)
        if win is not None:
            self.things.append(Thing(shape, win, paint, layer, **facts))

    def ground(self, shape: Shape, material: str, layer: Layer = Layer.GROUND, **options: Any) -> None:
        """A piece of ground; ``noun``, ``open``, ``trees`` ... go to the thing, further options to its paint."""
        win = shape.window(self.size)
        if win is None:
            return
        about, take = MATERIALS[material], options.pop
        noun, bare, trees = take("noun", about.noun), take("open", about.open), take("trees", about.trees)
        labelled, height = take("labelled", True), take("height", 0.0)
        paint = Ground(material, **options)
        self.things.append(Thing(shape, win, paint, layer, None, height, labelled, noun, bare, trees))

    def box(self, u: float, v: float, half_u: float, half_v: float, angle: float = 0.0) -> Shape:
        """A box, metres."""
        return Shape(self.frame(u, v, angle), half_u * self.scale, half_v * self.scale)

    def disc(self, u: float, v: float, radius: float, inner: float = 0.0) -> Disc:
        """A disc or ring, metres."""
        return Disc(self.frame(u, v), radius * self.scale, radius * self.scale, inner * self.scale)

    def stadium(self, u: float, v: float, half_u: float, half_v: float, angle: float = 0.0) -> Stadium:
        """A box with round ends, metres."""
        return Stadium(self.frame(u, v, angle), half_u * self.scale, half_v * self.scale)

    def blob(self, u: float, v: float, half_u: float, half_v: float, angle: float = 0.0, fray: float = 0.25) -> Blob:
        """A frayed ellipse, metres; ``fray`` is relative to its smaller half axis."""
        ragged = fray * min(half_u, half_v) * self.scale
        seed = self.whole(0, 1 << 17)
        return Blob(self.frame(u, v, angle), half_u * self.scale + ragged, half_v * self.scale + ragged, ragged, seed)

    def ribbon(
        self, area: Area, v: float, half_width: float, wander: float, wavelength: float, uneven: float = 0.15
    ) -> Ribbon:
        """A wandering band along u across the whole area: a river, a bent road.

        Args:
            area: gives the length.
            v: mean position, metres.
            half_width: metres.
            wander: amplitude of the bends, metres.
            wavelength: metres between bends.
            uneven: relative change of the width.
        """
        n = max(8, min(4096, math.ceil(2 * area.half_u * self.scale / 2)))
        step = 2 * area.half_u * self.scale / n
        course = self._smooth(n, wavelength * self.scale / step) * wander * self.scale
        widths = (1 + self._smooth(n, wavelength * 0.4 * self.scale / step) * uneven) * half_width * self.scale
        frame = self.frame(area.u, v)
        half_v = (half_width * (1 + uneven) + wander) * self.scale + 1
        return Ribbon(
            frame, area.half_u * self.scale, half_v, course.astype(np.float32), widths.astype(np.float32), step
        )

    def coast(self, area: Area, v: float, wander: float, wavelength: float) -> Ribbon:
        """Everything beyond v (towards +v) behind a wandering line: the sea of a coast."""
        edge = self.ribbon(area, 0.0, 1.0, wander, wavelength, 0.0)
        depth = 2 * (area.half_u + area.half_v) * self.scale
        frame = self.frame(area.u, v)
        return Ribbon(
            frame, edge.half_u, depth + wander * self.scale, edge.course + np.float32(depth / 2),
            np.full_like(edge.widths, depth / 2), edge.step,
        )  # fmt: skip

    def _smooth(self, n: int, period: float) -> Any:
        """``(n,)`` smooth noise in [-1, 1] with bends about ``period`` samples apart."""
        knots = self.rng.random(max(2, math.ceil(n / max(period / 2, 2))) + 3) * 2 - 1
        place = np.linspace(0.001, len(knots) - 2.001, n)
        low = place.astype(np.int64)
        part = place - low
        part = part * part * (3 - 2 * part)
        return knots[low] * (1 - part) + knots[low + 1] * part

    def sprite(
        self,
        name: str,
        u: float,
        v: float,
        angle: float,
        layer: Layer = Layer.LOW,
        *,
        scale: float = 1.0,
        colour: str | None = None,
        facts: Mapping[str, Any] | None = None,
        steady: bool = False,
    ) -> None:
        """An annotated object from a design, its front towards ``angle``.

        Args:
            name: the design.
            u, v: centre, metres.
            angle: radians in the scene's frame.
            layer: when it is painted.
            scale: factor on its size.
            colour: a colour word; drawn from the design's usual ones if None.
            facts: further attributes (``on``, ``group``).
            steady: see :class:`rsground.datasets.scenes.plan.Thing`.
        """
        kind, drawn = KINDS[name], atlas(name)
        x, y = self._page.locate(u * self.scale, v * self.scale)
        far = math.hypot(drawn.half_u, drawn.half_v) * scale * self.scale + 2
        if not (-far < x < self.size + far and -far < y < self.size + far):
            return
        word = colour or self.weighted(kind.colours)
        rgb = self.tint(rgb_of(word, kind.family))
        per_metre = round(self.scale * scale, 6)
        frame = Frame.of(round(x), round(y), self.angle + angle)  # whole pixels: equal poses are sampled once
        shape = Sprite(frame, drawn.half_u * per_metre, drawn.half_v * per_metre, name, per_metre)
        attributes: dict[str, Any] = {} if word == "turf" else {"colour": word}
        if kind.directed:
            attributes["heading"] = round(math.degrees(frame.angle) + 90, 1) % 360
        attributes.update(facts or {})
        height = kind.height * scale
        about = {"category": kind.category, "height": height, "attributes": attributes, "steady": steady}
        self.add(shape, SpritePaint(rgb), layer, **about)
