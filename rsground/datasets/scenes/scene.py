"""One procedural scene: its plan at once, its graph and pixels when they are asked for."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from rsground.datasets.refer.objects import SceneGraph
from rsground.datasets.scenes.graph import make_graph
from rsground.datasets.scenes.layout import make_plan
from rsground.datasets.scenes.plan import Plan
from rsground.datasets.scenes.render import Drawing, draw, expose
from rsground.errors import ShapeError
from rsground.types import ImageRef

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_SIZE, MAX_SIZE = 64, 8192


class Scene:
    """A square overhead image of a place that does not exist, and everything that stands in it.

    Equal (seed, index, size) give equal scenes on every machine, in any order and in any process.

    Args:
        seed: of the collection, non-negative.
        index: of the scene in it, non-negative.
        size: side in pixels, 64 to 8192.

    Raises:
        ShapeError: one of them is out of range.
    """

    def __init__(self, seed: int, index: int, size: int = 256) -> None:
        if seed < 0 or index < 0:
            raise ShapeError(f"a scene's seed and index must not be negative, got seed {seed}, index {index}")
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise ShapeError(f"a scene's size must be {MIN_SIZE} to {MAX_SIZE} pixels, got {size}")
        self.seed, self.index, self.size = seed, index, size

    @cached_property
    def plan(self) -> Plan:
        """What lies where."""
        return make_plan(self.seed, self.index, self.size)

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """``(H, W)`` index into ``plan.things`` of what each pixel shows; their number for trees."""
        return draw(self.plan, pixels=False).labels

    @cached_property
    def graph(self) -> SceneGraph:
        """Every object with its exact visible mask and boxes; draws no pixels."""
        return make_graph(self.plan, self.labels)

    def render(self) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 RGB."""
        drawing = self.drawing()
        self.__dict__.setdefault("labels", drawing.labels)
        assert drawing.planes is not None
        return expose(drawing.planes, self.plan.look)

    def drawing(self) -> Drawing:
        """Labels and unlit colours from one pass."""
        return draw(self.plan, pixels=True)

    def image(self, split: str = "val") -> ImageRef:
        """The scene as an image that is drawn when it is read."""
        uri = f"scenes:{split}/{self.seed}/{self.size}/{self.index}"
        return ImageRef(uri, self.size, self.size, partial(render_scene, self.seed, self.index, self.size))


def render_scene(seed: int, index: int, size: int) -> NDArray[np.uint8]:
    """``(size, size, 3)`` uint8 RGB of a scene; what image references call."""
    return Scene(seed, index, size).render()
