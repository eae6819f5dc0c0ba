"""Text-mask paradigm: boxes, oriented boxes and run-length-coded mask grids, all written as plain text."""

from rsground import HeadSpec, MetricSpec, hookimpl


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    """GeoGround as published, and our grid inside a box."""
    return [
        HeadSpec(
            name="geoground",
            target="rsground_textmask.geoground:GeoGroundHead",
            summary="Text-HBB, Text-OBB or Text-Mask by task, trained with PAL and GGL (GeoGround)",
            tasks=("hbb", "obb", "mask"),
        ),
        HeadSpec(
            name="box-mask",
            target="rsground_textmask.box_mask:BoxMaskHead",
            summary="the box first, then a grid of what is inside it (ours)",
            tasks=("hbb", "mask"),
        ),
    ]


@hookimpl
def rsground_metrics() -> list[MetricSpec]:
    """Agreement of the three signals."""
    return [
        MetricSpec(
            name="bcs",
            target="rsground_textmask.consistency:BoxConsistency",
            summary="BBox consistency score of box, oriented box and mask of one answer (GeoGround)",
            tasks=("mask",),
        )
    ]
