"""The codec contract: regions to text and back, with a reader that never raises on model output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rsground.codecs.grammar import Grammar
from rsground.errors import ShapeError
from rsground.types import HBB, Issue, Quad, Region, Size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a reader made of an answer.

    Attributes:
        regions: what could be read, in pixels of the size given.
        issues: what could not, or was mended on the way; empty for a valid answer.
        parsed: whether the answer says anything in this form: regions, or a valid "nothing there".
        dialect: name of the form that matched.
    """

    regions: tuple[Region, ...]
    issues: tuple[Issue, ...] = ()
    parsed: bool = True
    dialect: str = ""

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the issues, in order."""
        return tuple(issue.code for issue in self.issues)


class Codec(ABC):
    """One way to write regions as text.

    A codec is a small frozen dataclass: its options are its fields, and equal options mean equal behaviour. It
    writes regions in pixels of an image of ``size`` (H, W) and reads them back into the same frame.
    """

    name: ClassVar[str]
    carries: ClassVar[str]
    """The richest form that survives: ``"hbb"``, ``"obb"``, ``"mask"`` or ``"points"``."""

    @abstractmethod
    def write(self, regions: Sequence[Region], size: Size) -> str:
        """The answer naming all ``regions`` (none: the codec's own way to say that nothing is there).

        Raises:
            ShapeError: a region has no form this codec can write.
        """

    @abstractmethod
    def read(self, text: str, size: Size) -> Reading:
        """Read any text. Never raises, never hangs: time and memory are linear in ``len(text)`` and the image."""

    @abstractmethod
    def grammar(self, size: Size) -> Grammar:
        """All valid answers for an image of ``size``; :meth:`write` stays inside it."""

    def encode(self, what: Region | Sequence[Region] | NDArray[Any], size: Size | None = None) -> str:
        """:meth:`write`, for one region, several, or arrays.

        Args:
            what: a region; regions; or an array: ``(H, W)`` bool mask, ``(4,)`` or ``(N, 4)`` boxes x1, y1, x2, y2,
                ``(4, 2)`` or ``(N, 4, 2)`` corners; all in pixels.
            size: (H, W) of the image; may be left out for a mask, which has it.

        Raises:
            ShapeError: the array is none of these, or the size is missing.
        """
        regions, known = as_regions(what)
        size = known if size is None else size
        if size is None:
            raise ShapeError(f"{type(self).__name__}.encode needs size=(H, W) unless it is given a mask")
        return self.write(regions, size)

    def decode(self, text: str, size: Size) -> tuple[Region, ...] | NDArray[np.bool_]:
        """The regions (or, for grid codecs, the mask) of :meth:`read`, without its issues."""
        return self.read(text, size).regions


def box_of(region: Region, codec: str) -> HBB:
    """The region's horizontal box, given or derived.

    Raises:
        ShapeError: it has no form, or an empty mask.
    """
    from rsground.regions import hbb_of

    box = hbb_of(region)
    if box is None:
        raise ShapeError(f"codec {codec!r} cannot write a region that is nowhere: no form, or an empty mask")
    return box


def quad_in(region: Region, codec: str) -> Quad:
    """The region's four corners, given or derived.

    Raises:
        ShapeError: it has no form, or an empty mask.
    """
    from rsground.regions import quad_of

    quad = quad_of(region)
    if quad is None:
        raise ShapeError(f"codec {codec!r} cannot write a region that is nowhere: no form, or an empty mask")
    return quad


def as_regions(what: Region | Sequence[Region] | NDArray[Any]) -> tuple[tuple[Region, ...], Size | None]:
    """The regions that an array (see :meth:`Codec.encode`) or a sequence holds, and the image size if it tells.

    Raises:
        ShapeError: the array has another shape.
    """
    if isinstance(what, Region):
        return (what,), (None if what.rle is None else what.rle.size)
    import numpy as np

    if isinstance(what, np.ndarray):
        return _array_regions(what)
    regions = tuple(what)
    return regions, next((region.rle.size for region in regions if region.rle is not None), None)


def _array_regions(array: NDArray[Any]) -> tuple[tuple[Region, ...], Size | None]:
    if array.ndim == 2 and array.dtype.name == "bool":
        from rsground.geometry import mask_to_rle

        rle = mask_to_rle(array)
        return ((Region(rle=rle),) if array.any() else ()), rle.size
    if array.ndim in (1, 2) and array.shape[-1] == 4:
        return tuple(Region(hbb=(x1, y1, x2, y2)) for x1, y1, x2, y2 in array.reshape(-1, 4).tolist()), None
    if array.ndim in (2, 3) and array.shape[-2:] == (4, 2):
        quads = array.reshape(-1, 4, 2).tolist()
        return tuple(Region(quad=((a, b), (c, d), (e, f), (g, h))) for (a, b), (c, d), (e, f), (g, h) in quads), None
    raise ShapeError(
        f"encode takes regions, a bool mask (H, W), boxes (N, 4) or corners (N, 4, 2), got {array.dtype} {array.shape}"
    )
