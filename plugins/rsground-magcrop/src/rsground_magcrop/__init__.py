"""MagCrop: shows the model less of the image and more of what the question is about, before any head (GeoMag)."""

from rsground import HeadSpec, PreprocessorSpec, SegmenterSpec, SuiteSpec, hookimpl


@hookimpl
def rsground_preprocessors() -> list[PreprocessorSpec]:
    """The one preprocessor; its presets are options."""
    return [
        PreprocessorSpec(
            name="magcrop",
            target="rsground_magcrop.magcrop:MagCrop",
            summary="keeps full resolution where the question looks, by gradient-weighted attention (GeoMag)",
        )
    ]


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    """The head of GeoMag's Eq. 1."""
    return [
        HeadSpec(
            name="geomag",
            target="rsground_magcrop.geomag:geomag_head",
            summary="head geopixel with several weighted [SEG] per mask (GeoMag)",
            tasks=("hbb", "obb", "mask", "gcg"),
            requires=("torch", "rsground_segtoken"),
        )
    ]


@hookimpl
def rsground_segmenters() -> list[SegmenterSpec]:
    """The scales of GeoMag's Eq. 1."""
    return [
        SegmenterSpec(
            name="weighted-scales",
            target="rsground_magcrop.scales:WeightedScales",
            summary="another segmenter at several scales of the image, logits weighted (GeoMag)",
            requires=("torch",),
        )
    ]


@hookimpl
def rsground_suites() -> list[SuiteSpec]:
    """GeoMag's preset beside its base."""
    return [
        SuiteSpec(
            name="geomag",
            summary="tiny/geopixel with and without MagCrop as published, part by part",
            resource="rsground_magcrop:suites/geomag.toml",
        )
    ]
