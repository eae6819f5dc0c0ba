"""SEG-token paradigm: the language model's hidden states prompt a mask decoder (GeoPixel, SegEarth-R1)."""

from rsground import BackboneSpec, DatasetSpec, HeadSpec, PreprocessorSpec, hookimpl


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    """GeoPixel's [SEG] tokens and SegEarth-R1's description query."""
    return [
        HeadSpec(
            name="geopixel",
            target="rsground_segtoken.geopixel.head:GeoPixelHead",
            summary="the state of every [SEG] prompts a mask decoder; phrases interleaved with masks (GeoPixel)",
            tasks=("hbb", "obb", "mask", "gcg"),
            requires=("torch", "safetensors"),
        ),
        HeadSpec(
            name="segearth-r1",
            target="rsground_segtoken.segearth:SegEarthR1Head",
            summary="the description's states query a mask generator (SegEarth-R1)",
            tasks=("hbb", "obb", "mask"),
            requires=("torch", "safetensors"),
        ),
    ]


@hookimpl
def rsground_preprocessors() -> list[PreprocessorSpec]:
    """GeoPixel's adaptive image divider."""
    return [
        PreprocessorSpec(
            name="hd-tiles",
            target="rsground_segtoken.hd_tiles:HDTiles",
            summary="square tiles, as many as the image's size and shape ask for, and a global view (GeoPixel)",
        )
    ]


@hookimpl
def rsground_backbones() -> list[BackboneSpec]:
    """GeoPixel and SegEarth-R1's language model at their published sizes."""
    return [
        BackboneSpec(
            name="geopixel-7b",
            target="rsground_segtoken.geopixel.full.backbone:GeoPixelBackbone",
            summary="GeoPixel as published (InternLM2-7B with PLoRA, CLIP, SAM 2); needs its weights as a folder",
            requires=("torch", "safetensors", "sam2", "sentencepiece", "transformers"),
        ),
        BackboneSpec(
            name="segearth-r1-phi",
            target="rsground_segtoken.segearth.backbone:SegEarthR1Backbone",
            summary="SegEarth-R1's Phi-1.5 as published; reads descriptions for head segearth-r1 with preset paper",
            requires=("torch", "safetensors", "transformers"),
        ),
    ]


@hookimpl
def rsground_datasets() -> list[DatasetSpec]:
    """The frame that SegEarth-R1 is scored in, around any data set."""
    return [
        DatasetSpec(
            name="segearth-1024",
            target="rsground_segtoken.segearth.upstream_frame:UpstreamFrame",
            summary="another data set's masks in SegEarth-R1's padded 1024 x 1024 frame (option of: its name)",
            tasks=("mask",),
            requires=("torch",),
            licence="that of the data set",
        )
    ]
