"""Set-of-points paradigm: four corners, key points inside a box, and closed polygons, all written as text."""

from rsground import HeadSpec, PreprocessorSpec, hookimpl


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


@hookimpl
def rsground_preprocessors() -> list[PreprocessorSpec]:
    """The paper's dynamic high resolution, and its condition parser as a step that asks the backbone first."""
    return [
        PreprocessorSpec(
            name="anyres",
            target="rsground_pointset.anyres:AnyRes",
            summary="a canvas of square tiles that suits the image, and a global view (LLaVA-NeXT, GeoRSMLLM)",
        ),
        PreprocessorSpec(
            name="condition-chain",
            target="rsground_pointset.condition_chain:ConditionChain",
            summary="splits an instruction with several conditions, asks all steps but the last (GeoRSMLLM)",
        ),
    ]
