"""MagCrop: shows the model less of the image and more of what the question is about, before any head (GeoMag)."""

from rsground import HeadSpec, PreprocessorSpec, SegmenterSpec, SuiteSpec, SystemSpec, hookimpl

_ZOO = "rsground_zoo_tiny"


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
def rsground_checkpoints() -> list[SystemSpec]:
    """GeoMag as a whole, on the weights of ``tiny/geopixel``: each part names its own, and none was trained for it."""
    backbone = f"{_ZOO}:backbones/tiny-text-framed"
    return [
        SystemSpec(
            name="geomag",
            summary="GeoMag: magcrop, weighted [SEG] and scales, on tiny/geopixel's weights; not trained as GeoMag",
            head="geomag",
            head_options={
                "tokens": 3,
                "checkpoint": f"{_ZOO}:systems/geopixel",
                "stability_fallback": False,
                "largest_part": True,
            },
            backbone="transformers",
            backbone_options={"dtype": "float32"},
            preprocessors=(("magcrop", {"preset": "geomag"}),),
            segmenter="weighted-scales",
            segmenter_options={"of": "sam2", "scales": (1.0, 0.5, 0.25), "checkpoint": f"{_ZOO}:segmenter"},
            checkpoint=backbone,
        )
    ]


@hookimpl
def rsground_suites() -> list[SuiteSpec]:
    """GeoMag's preset beside its base."""
    return [
        SuiteSpec(
            name="geomag",
            summary="GeoMag as a whole, and tiny/geopixel with each part of it",
            resource="rsground_magcrop:suites/geomag.toml",
        )
    ]
