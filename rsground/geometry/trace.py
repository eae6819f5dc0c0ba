"""Masks to polygons along pixel edges: :func:`rsground.geometry.polygons_to_mask` gives the mask back exactly.

How: a grid corner is a corner of the outline when an odd number of its four pixels is set, or two that face each
other across it (then twice). Along each grid line these corners pair up, first with second, third with fourth:
those pairs are the outline's edges, across and down, and following them in turn closes the rings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsground.errors import ShapeError
from rsground.geometry.checks import Bools, Floats, as_mask

Holes = Literal["fill", "bridge"]
_Path = list[tuple[int, int]]


def mask_to_polygons(mask: ArrayLike, *, holes: Holes = "fill", connectivity: Literal[4, 8] = 8) -> list[Floats]:
    """The outer rings of a mask, clockwise on screen, in the order of their topmost, then leftmost, corner.

    A region of rsground is the *union* of filled rings, so a ring of its own cannot cut a hole:

    - ``holes="fill"`` answers the outer rings only: holes, and islands inside holes, are filled.
    - ``holes="bridge"`` joins each hole to the ring around it by a cut of no width: still one ring an object, and
      the mask comes back exactly.

    Args:
        mask: ``(H, W)`` bool.
        holes: what to do about holes.
        connectivity: 8 takes pixels that touch at a corner as one object (as OpenCV does; such a ring touches
            itself there), 4 as two.

    Returns:
        Rings ``(K, 2)`` float64 (x, y) on whole pixel edges, corners only.

    Raises:
        ShapeError: no mask, or an unknown option.
    """
    if holes not in ("fill", "bridge") or connectivity not in (4, 8):
        raise ShapeError(f"holes is 'fill' or 'bridge' and connectivity 4 or 8, got {holes!r} and {connectivity!r}")
    pixels = as_mask(mask)
    outline = _Outline.of(pixels, connectivity)
    inner = [k for k, ring in enumerate(outline.rings) if not pixels[outline.place(ring[0])]]
    if inner and holes == "fill":
        return mask_to_polygons(outline.filled(inner, pixels), connectivity=connectivity)
    paths = _bridged(outline, inner, pixels) if inner else [outline.path(k) for k in range(len(outline.rings))]
    return [np.array(path, np.float64) for path in paths]


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    """The corners of a mask's outline, and the rings they form.

    Attributes:
        y, x: the corners, row by row; 2k and 2k+1 are joined by an edge to the right.
        below: the corner that each one is joined to up or down.
        rings: corners of each ring, clockwise around object pixels, from its topmost-leftmost one rightwards.
        owner: the ring of each corner.
    """

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    below: NDArray[np.intp]
    rings: list[list[int]]
    owner: NDArray[np.intp]

    @classmethod
    def of(cls, pixels: Bools, connectivity: int) -> _Outline:
        y, x, goes_down = _corners(pixels, connectivity)
        order = np.lexsort((goes_down, y, x))
        below = np.empty(len(order), np.intp)
        below[order[0::2]], below[order[1::2]] = order[1::2], order[0::2]
        rings, owner = _follow(below.tolist())
        return cls(y, x, below, rings, owner)

    def place(self, corner: int) -> tuple[int, int]:
        """(row, column) of the pixel below and right of a corner."""
        return int(self.y[corner]), int(self.x[corner])

    def path(self, ring: int) -> _Path:
        """(x, y) points of a ring."""
        corners = self.rings[ring]
        return list(zip(self.x[corners].tolist(), self.y[corners].tolist(), strict=True))

    def filled(self, holes: list[int], pixels: Bools) -> Bools:
        """The mask inside all rings but ``holes``; those run clockwise, so inside any the winding is above 0."""
        upper = np.flatnonzero((self.y[self.below] > self.y) & ~np.isin(self.owner, holes))
        top, x = self.y[upper], self.x[upper]
        length = self.y[self.below[upper]] - top
        row = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length - top, length)
        enters = np.pad(pixels, ((0, 0), (0, 1)))[top, x]
        turns = np.zeros((pixels.shape[0], pixels.shape[1] + 1), np.int32)
        np.add.at(turns, (row, np.repeat(x, length)), np.repeat(np.where(enters, 1, -1), length))
        return np.asarray(np.cumsum(turns, axis=1)[:, :-1] > 0)


def _corners(pixels: Bools, connectivity: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Bools]:
    """(y, x, does its vertical edge go down) of all corners, row by row; two entries where pixels meet diagonally.

    Of two entries in one place the first ends the edge from the left, the second begins the one to the right.
    """
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0, bool)
    top, left = int(rows[0]), int(columns[0])
    padded = np.pad(pixels[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    upright = padded[:, 1:] ^ padded[:, :-1]  # the outline's vertical edges, by row of pixels and grid line
    above, below, west = upright[:-1], upright[1:], padded[:, :-1]
    diagonal = above & below & (west[:-1] ^ west[1:])
    place = np.flatnonzero((above ^ below) | diagonal)
    y, x = np.divmod(place, upright.shape[1])
    twice = diagonal[y, x]
    falling = west[y, x]  # at a diagonal: the object's pixels are the upper left and the lower right one
    first_down = np.where(twice, falling == (connectivity == 8), below[y, x])
    repeat = np.where(twice, 2, 1)
    goes_down = np.repeat(first_down, repeat)
    second = np.cumsum(repeat)[twice] - 1
    goes_down[second] = ~goes_down[second]
    return np.repeat(y, repeat) + top, np.repeat(x, repeat) + left, goes_down


def _follow(below: list[int]) -> tuple[list[list[int]], NDArray[np.intp]]:
    """Rings of corner numbers, given each corner's partner up or down; its partner across is its number xor 1."""
    owner = [-1] * len(below)
    rings: list[list[int]] = []
    for start in range(len(below)):
        if owner[start] >= 0:
            continue
        ring: list[int] = []
        corner = start
        while owner[corner] < 0:
            across = corner ^ 1
            owner[corner] = owner[across] = len(rings)
            ring += (corner, across)
            corner = below[across]
        rings.append(ring)
    return rings, np.array(owner, np.intp)


def _bridged(outline: _Outline, inner: list[int], pixels: Bools) -> list[_Path]:
    """Outer rings with every hole joined to the ring straight above its first corner by a cut of no width.

    That ring starts higher up, so the holes are joined from the last to the first: when one is joined, everything
    that hangs on it already does.
    """
    width = pixels.shape[1] + 1
    key = outline.y * width + outline.x
    joints: dict[int, dict[int, list[tuple[int, _Path]]]] = {}
    for hole in reversed(inner):
        y, x = outline.place(outline.rings[hole][0])
        above = pixels[:y, x][::-1]
        run = int(above.argmin())
        meets = y - run if not above[run] else 0
        edge = (int(np.searchsorted(key, meets * width + x, side="right")) - 1) & ~1
        path = _with_joints(outline, hole, joints.pop(hole, {}))
        cut = [(x, meets), *path, path[0], (x, meets)]
        host = int(outline.owner[edge])
        joints.setdefault(host, {}).setdefault(edge, []).append((x, cut))
    holes = set(inner)
    return [_with_joints(outline, k, joints.get(k, {})) for k in range(len(outline.rings)) if k not in holes]


def _with_joints(outline: _Outline, ring: int, joints: dict[int, list[tuple[int, _Path]]]) -> _Path:
    """The ring's path with the cuts that leave its horizontal edges; an edge is named by its left corner."""
    path: _Path = []
    corners = outline.rings[ring]
    for place, (corner, point) in enumerate(zip(corners, outline.path(ring), strict=True)):
        path.append(point)
        cuts = joints.get(corner & ~1)
        if cuts and place % 2 == 0:  # even places start the horizontal edges
            for _, cut in sorted(cuts, key=lambda item: item[0], reverse=bool(corner & 1)):
                path += cut
    return path
