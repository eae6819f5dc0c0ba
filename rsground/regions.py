"""The one place where a region's missing forms derive from those it has.

A form that is given is answered as it is. A missing one derives from the first of these that the region has:

========== ======================================== =====================================================
wanted     derived from, in this order              how
========== ======================================== =====================================================
hbb        rle, polygons, quad, points              bounding box (of a mask: on pixel edges)
quad       rle, polygons, hbb, points               least-area rectangle (of a mask: of its pixels' corners)
polygons   rle, quad, hbb                           outline along pixel edges; the corners
rle, mask  polygons, quad, hbb, points              pixels whose centre is inside; the pixels that hold the points
area       rle, polygons, quad, hbb, points         pixels of a mask, else exact; 0 for points
========== ======================================== =====================================================

The order is from the form that says most to the one that says least. Points invent no area.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rsground import geometry as geo
from rsground.errors import ShapeError
from rsground.types import HBB, RLE, Point, Quad, Region, Ring, Size, View

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def hbb_of(region: Region) -> HBB | None:
    """The horizontal box, given or derived; None where the region is nowhere (no form, or an empty mask)."""
    if region.hbb is not None:
        return region.hbb
    if region.rle is not None:
        box = geo.rle_to_hbb(region.rle)
        return None if np.isnan(box[0]) else _hbb(box)
    corners = _vertices(region)
    return None if corners is None else _hbb(np.concatenate([corners.min(axis=0), corners.max(axis=0)]))


def quad_of(region: Region) -> Quad | None:
    """The oriented box as four corners, given or derived; None where the region is nowhere.

    A derived quad begins at its best begin point (:func:`rsground.geometry.canonical_quad`); a given one stays as it
    is.
    """
    if region.quad is not None:
        return region.quad
    if region.rle is not None:
        box = geo.mask_to_obb(geo.rle_to_mask(region.rle))
        return None if np.isnan(box[0]) else _quad(geo.canonical_quad(geo.obb_to_quad(box)))
    if region.polygons is None and region.hbb is not None:
        return _quad(geo.hbb_to_quad(region.hbb))
    corners = _vertices(region)
    if corners is None:
        return None
    return _quad(geo.canonical_quad(geo.obb_to_quad(geo.min_area_rect(corners, convention="le90"))))


def polygons_of(region: Region) -> tuple[Ring, ...] | None:
    """The rings, given or derived; None where the region has no extent (points, or no form at all).

    Holes of a mask are filled: rings unite.
    """
    if region.polygons is not None:
        return region.polygons
    if region.rle is not None:
        return tuple(_ring(ring) for ring in geo.mask_to_polygons(geo.rle_to_mask(region.rle)))
    quad = quad_of(replace(region, points=None))
    return None if quad is None else (quad,)


def mask_of(region: Region, size: Size) -> NDArray[np.bool_]:
    """The mask ``(H, W)``, given or derived; all False where the region is nowhere.

    Args:
        region: in pixels of the image.
        size: (H, W) of the image.

    Raises:
        ShapeError: the region's RLE is of another size, or cannot be read.
    """
    if region.rle is not None:
        _check_size(region.rle, size)
        return geo.rle_to_mask(region.rle)
    if region.polygons is not None or region.quad is not None or region.hbb is not None:
        return geo.polygons_to_mask(polygons_of(region) or (), size)
    mask = np.zeros(size, bool)
    cells = np.floor(np.array(region.points or (), float).reshape(-1, 2))
    inside = ((cells >= 0) & (cells < (size[1], size[0]))).all(axis=1)
    columns, rows = cells[inside].astype(int).T
    mask[rows, columns] = True
    return mask


def rle_of(region: Region, size: Size) -> RLE:
    """As :func:`mask_of`, encoded; a given RLE is answered as it is.

    Raises:
        ShapeError: the region's RLE is of another size.
    """
    if region.rle is not None:
        _check_size(region.rle, size)
        return region.rle
    return geo.mask_to_rle(mask_of(region, size))


def area_of(region: Region) -> float:
    """Area in square pixels of the richest form; 0 for points and where the region is nowhere."""
    if region.rle is not None:
        return float(geo.rle_area(region.rle))
    if region.polygons is not None:
        return _polygon_area(region.polygons)
    if region.quad is not None:
        return float(geo.quad_area(region.quad))
    return 0.0 if region.hbb is None else float(geo.hbb_area(region.hbb))


def union_mask(regions: Iterable[Region], size: Size) -> NDArray[np.bool_]:
    """The union ``(H, W)`` of the regions' masks; all False for none.

    Raises:
        ShapeError: a region's RLE is of another size.
    """
    union = np.zeros(size, bool)
    for region in regions:
        union |= mask_of(region, size)
    return union


def region_from_mask(
    mask: ArrayLike,
    *,
    score: float | None = None,
    label: str | None = None,
    span: tuple[int, int] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Region:
    """A region of a mask ``(H, W)`` with its RLE and box; an empty mask gives a region without a box.

    Raises:
        ShapeError: no bool mask.
    """
    box = geo.mask_to_hbb(mask)
    return Region(
        hbb=None if np.isnan(box[0]) else _hbb(box),
        rle=geo.mask_to_rle(mask),
        score=score,
        label=label,
        span=span,
        attributes=attributes or {},
    )


def map_region(region: Region, view: View) -> Region:
    """The region moved from ``view`` pixels to pixels of the original image, in every form it has.

    Corners, rings and points are mapped exactly; a box becomes the bounding box of its four mapped corners (larger
    than the object where the map turns); a mask is re-sampled, nearest neighbour. Nothing is clipped. A view that
    was not moved answers ``region`` itself.

    Raises:
        ShapeError: the view's map cannot be inverted, or the region's RLE is of another size than the view.
    """
    if tuple(view.to_original) == geo.IDENTITY and (region.rle is None or region.rle.size == view.original_size):
        return region
    if region.rle is not None:
        _check_size(region.rle, view.size)
    return _moved(region, view.to_original, view.original_size)


def unmap_region(region: Region, view: View) -> Region:
    """The region moved from pixels of the original image to ``view`` pixels: what :func:`map_region` undoes.

    Raises:
        ShapeError: the view's map cannot be inverted, or the region's RLE is of another size than the original.
    """
    if tuple(view.to_original) == geo.IDENTITY and (region.rle is None or region.rle.size == view.size):
        return region
    if region.rle is not None:
        _check_size(region.rle, view.original_size)
    return _moved(region, geo.invert_affine(view.to_original), view.size)


def _moved(region: Region, affine: geo.Affine, size: Size) -> Region:
    """All forms under one map; a mirroring one reverses rings, so that clockwise stays clockwise."""
    step = -1 if geo.determinant(affine) < 0 else 1
    hbb, quad, rle = region.hbb, region.quad, region.rle
    polygons, points = region.polygons, region.points
    if hbb is not None:
        hbb = _hbb(geo.quad_to_hbb(geo.map_points(geo.hbb_to_quad(hbb), affine)))
    if quad is not None:
        quad = _quad(geo.map_points(quad, affine)[::step])
    if polygons is not None:
        polygons = tuple(_ring(geo.map_points(ring, affine)[::step]) if ring else ring for ring in polygons)
    if points is not None:
        points = _ring(geo.map_points(points, affine)) if points else points
    if rle is not None:
        rle = geo.mask_to_rle(geo.warp_mask(geo.rle_to_mask(rle), affine, size))
    return replace(region, hbb=hbb, quad=quad, polygons=polygons, points=points, rle=rle)


def _check_size(rle: RLE, size: Size) -> None:
    if tuple(rle.size) != tuple(size):
        raise ShapeError(f"a region's RLE must be of the image's size (H, W) {tuple(size)}, got {tuple(rle.size)}")


def _vertices(region: Region) -> NDArray[np.float64] | None:
    """The points of the richest vector form, ``(N, 2)``."""
    if region.polygons is not None:
        points: list[Point] = [point for ring in region.polygons for point in ring]
    else:
        points = list(region.quad or region.points or ())
    return np.array(points, float).reshape(-1, 2) if points else None


def _polygon_area(rings: tuple[Ring, ...]) -> float:
    """Area of the union; a ring that crosses itself counts by the even-odd rule."""
    import shapely

    shapes = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings if len(ring) >= 3]
    return float(shapely.union_all(shapes).area)


def _hbb(box: NDArray[np.float64]) -> HBB:
    x1, y1, x2, y2 = box.tolist()
    return (x1, y1, x2, y2)


def _ring(points: NDArray[np.float64]) -> Ring:
    return tuple((x, y) for x, y in points.tolist())


def _quad(corners: NDArray[np.float64]) -> Quad:
    first, second, third, fourth = _ring(corners)
    return (first, second, third, fourth)
