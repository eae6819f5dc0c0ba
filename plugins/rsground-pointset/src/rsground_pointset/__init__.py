"""Set-of-points paradigm: four corners, key points inside a box, and closed polygons, all written as text."""

from rsground import HeadSpec, hookimpl


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    """GeoRSMLLM's text side."""
    return [
        HeadSpec(
            name="georsmllm",
            target="rsground_pointset.georsmllm:GeoRsmllmHead",
            summary="four corners, box + key points, or polygons, by task (GeoRSMLLM)",
            tasks=("hbb", "obb", "mask", "change", "region-caption"),
        )
    ]
