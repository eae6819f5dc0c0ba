"""Do the box, the oriented box and the mask of one answer agree? The BBox consistency score of GeoGround."""

from __future__ import annotations

import numpy as np

from rsground.geometry import iou_hbb
from rsground.metrics.forms import UNUSABLE, box_in
from rsground.types import Region


def box_consistency(region: Region) -> float:
    """BCS of one region, in [0, 1] (GeoGround, arXiv 2411.11904, equation 6).

    BCS = (IoU(h, H(o)) + IoU(h, H(m)) + IoU(H(o), H(m))) / 3, where h is the region's horizontal box, o its oriented
    box, m its mask and H(.) the enclosing horizontal box on pixel edges. The three must be *given*: nothing is
    derived from another form, for that would agree with itself. An IoU that involves a missing, degenerate or
    non-finite form is 0.
    """
    forms = (Region(hbb=region.hbb), Region(quad=region.quad), Region(rle=region.rle))
    boxes = [_enclosing(form) for form in forms]
    pairs = ((0, 1), (0, 2), (1, 2))
    return float(iou_hbb(np.array([boxes[a] for a, _ in pairs]), np.array([boxes[b] for _, b in pairs])).mean())


def _enclosing(region: Region) -> tuple[float, float, float, float]:
    """The box around the only form a region has; a point far away where it has none."""
    if not region.is_located:
        return (0.0, 0.0, 0.0, 0.0)
    try:
        return box_in(region) or (0.0, 0.0, 0.0, 0.0)
    except UNUSABLE:
        return (0.0, 0.0, 0.0, 0.0)
