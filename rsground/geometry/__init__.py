"""Boxes, oriented boxes, polygons and masks as plain arrays: batched, float64, pixels, y down.

Arrays in, arrays out; nothing here knows a :class:`rsground.types.Region` (see :mod:`rsground.regions` for that).
"""

from rsground.geometry.affine import (
    IDENTITY,
    Affine,
    compose_affine,
    determinant,
    invert_affine,
    map_points,
    warp_mask,
)
from rsground.geometry.hbb import clip_hbb, hbb_area, hbb_to_quad, iou_hbb, iou_hbb_matrix, quad_to_hbb
from rsground.geometry.hull import convex_hull, min_area_rect
from rsground.geometry.masks import iou_mask, iou_mask_matrix, mask_to_hbb, mask_to_obb
from rsground.geometry.obb import (
    CONVENTIONS,
    Convention,
    canonical_quad,
    convert_obb,
    obb_to_hbb,
    obb_to_quad,
    quad_to_obb,
)
from rsground.geometry.parts import largest_part
from rsground.geometry.quad_iou import iou_quad, iou_quad_matrix, quad_area
from rsground.geometry.raster import polygons_to_mask
from rsground.geometry.rle import (
    mask_to_rle,
    polygons_to_rle,
    rle_area,
    rle_from_coco,
    rle_from_counts,
    rle_iou_matrix,
    rle_to_counts,
    rle_to_hbb,
    rle_to_mask,
    rle_union,
)
from rsground.geometry.rotated_iou import iou_obb, iou_obb_matrix
from rsground.geometry.trace import mask_to_polygons

__all__ = [
    "CONVENTIONS",
    "IDENTITY",
    "Affine",
    "Convention",
    "canonical_quad",
    "clip_hbb",
    "compose_affine",
    "convert_obb",
    "convex_hull",
    "determinant",
    "hbb_area",
    "hbb_to_quad",
    "invert_affine",
    "iou_hbb",
    "iou_hbb_matrix",
    "iou_mask",
    "iou_mask_matrix",
    "iou_obb",
    "iou_obb_matrix",
    "iou_quad",
    "iou_quad_matrix",
    "largest_part",
    "map_points",
    "mask_to_hbb",
    "mask_to_obb",
    "mask_to_polygons",
    "mask_to_rle",
    "min_area_rect",
    "obb_to_hbb",
    "obb_to_quad",
    "polygons_to_mask",
    "polygons_to_rle",
    "quad_area",
    "quad_to_hbb",
    "quad_to_obb",
    "rle_area",
    "rle_from_coco",
    "rle_from_counts",
    "rle_iou_matrix",
    "rle_to_counts",
    "rle_to_hbb",
    "rle_to_mask",
    "rle_union",
    "warp_mask",
]
