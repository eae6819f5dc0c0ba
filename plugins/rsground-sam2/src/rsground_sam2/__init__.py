"""SAM 2 as a promptable segmenter: boxes, points, coarse masks or embeddings in, masks out."""

from rsground import SegmenterSpec, hookimpl


@hookimpl
def rsground_segmenters() -> list[SegmenterSpec]:
    """The segmenter ``sam2``."""
    return [
        SegmenterSpec(
            name="sam2",
            target="rsground_sam2.segmenter:Sam2Segmenter",
            summary="SAM 2 / 2.1 image model: box, point, coarse mask and embedding prompts, image encoded once",
            requires=("torch", "sam2"),
        )
    ]
