"""Answers as GeoJSON: in map coordinates where the image says where it lies, else in pixels.

Map coordinates stay in the image's own reference system, named by the member ``crs`` that QGIS and GDAL read (RFC 7946
knows WGS 84 alone). Outer rings run counter-clockwise in the coordinates written, holes clockwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsground.cli.predict_answers import Answer, Scene
from rsground.geometry import Affine, map_points, mask_to_polygons, polygons_to_mask, rle_to_mask
from rsground.regions import area_of, hbb_of
from rsground.types import Region, Ring, Size


class Placement(NamedTuple):
    """Where pixels lie.

    Attributes:
        affine: (a, b, c, d, e, f) from pixels of the file to coordinates.
        crs: name of the reference system; None where coordinates are pixels, or nobody names it.
        note: why coordinates are pixels where one might expect more.
    """

    affine: Affine
    crs: str | None = None
    note: str = ""


PIXELS = Placement((1.0, 0.0, 0.0, 0.0, 1.0, 0.0))


def placement_of(path: str) -> Placement:
    """Where a file lies; pixels where it does not say, or rasterio is not installed."""
    try:
        import rasterio
    except ImportError:
        return PIXELS._replace(note="pixels: reading where an image lies needs rasterio: pip install 'rsground[geo]'")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                transform, crs = dataset.transform, dataset.crs
    except rasterio.errors.RasterioError:
        return PIXELS
    if transform.is_identity:
        return PIXELS
    affine = (transform.a, transform.b, transform.c, transform.d, transform.e, transform.f)
    return Placement(affine, _crs_name(crs) if crs else None)


def _crs_name(crs: Any) -> str:
    authority = crs.to_authority()
    return f"urn:ogc:def:crs:{authority[0]}::{authority[1]}" if authority else str(crs.to_wkt())


def to_geojson(system: str, scene: Scene, answers: Sequence[Answer]) -> dict[str, Any]:
    """A FeatureCollection: a feature per region, and under ``answers`` what was asked and became of it."""
    place = placement_of(scene.paths[-1])
    features = [feature for number, answer in enumerate(answers) for feature in _features(number, answer, scene, place)]
    found: dict[str, Any] = {"type": "FeatureCollection", "system": system, "image": scene.paths[-1]}
    found["coordinates"] = "pixels" if place.affine == PIXELS.affine else "map"
    if place.crs is not None:
        found["crs"] = {"type": "name", "properties": {"name": place.crs}}
    if place.note:
        found["note"] = place.note
    found["answers"] = [
        {"expression": answer.expression, "regions": len(answer.found.regions), "error": answer.found.error}
        for answer in answers
    ]
    return {**found, "features": features}


def _features(number: int, answer: Answer, scene: Scene, place: Placement) -> list[dict[str, Any]]:
    return [
        {
            "type": "Feature",
            "geometry": geometry_of(region, scene, place),
            "properties": {
                "answer": number,
                "id": answer.id,
                "expression": answer.expression,
                "task": answer.task.value,
                "label": answer.phrase(region),
                "score": region.score,
                "area_pixels": area_of(region),
                "hbb_pixels": _in_file(hbb_of(region), scene),
            },
        }
        for region in answer.found.regions
    ]


def _in_file(box: Sequence[float] | None, scene: Scene) -> list[float] | None:
    if box is None:
        return None
    (x, y), (x1, y1, x2, y2) = scene.offset, box
    return [x1 + x, y1 + y, x2 + x, y2 + y]


def geometry_of(region: Region, scene: Scene, place: Placement) -> dict[str, Any] | None:
    """The richest form of a region as a GeoJSON geometry; None where it is nowhere."""
    import shapely

    shape = shape_of(region, scene.size)
    if shape is None or shape.is_empty:
        return None
    offset = np.array(scene.offset, np.float64)

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(map_points(points + offset, place.affine), np.float64)

    mapped = shapely.transform(shape, moved)
    found: dict[str, Any] = shapely.geometry.mapping(_turned(mapped))
    return found


def shape_of(region: Region, size: Size) -> Any:
    """The richest form of a region as a shapely geometry in pixels; None where it has none."""
    import shapely

    if region.rle is not None:
        return shape_of_mask(rle_to_mask(region.rle))
    if region.polygons is not None:
        return shapely.union_all([_polygon(ring) for ring in region.polygons if len(ring) >= 3])
    if region.quad is not None:
        return _polygon(region.quad)
    if region.hbb is not None:
        return shapely.box(*region.hbb)
    return shapely.MultiPoint(region.points) if region.points else None


def shape_of_mask(mask: NDArray[np.bool_]) -> Any:
    """The outline of a mask along pixel edges, with its holes and the islands in them."""
    import shapely

    shape: Any = shapely.MultiPolygon()
    rest, size = mask, (mask.shape[0], mask.shape[1])
    while rest.any():
        rings = mask_to_polygons(rest, connectivity=4)
        layer = shapely.union_all([shapely.Polygon(ring) for ring in rings])
        shape = shape.symmetric_difference(layer)  # a layer lies inside the one before: holes, then islands, ...
        rest = rest ^ polygons_to_mask(rings, size)
    return shape


def _polygon(ring: Ring) -> Any:
    import shapely

    return shapely.make_valid(shapely.Polygon(ring))


def _turned(shape: Any) -> Any:
    """Polygons with outer rings counter-clockwise."""
    import shapely
    from shapely.geometry.polygon import orient

    if shape.geom_type == "Polygon":
        return orient(shape)
    if shape.geom_type == "MultiPolygon":
        return shapely.MultiPolygon([orient(part) for part in shape.geoms])
    return shape
