"""MagCrop: shows the model less of the image and more of what the question is about, before any head (GeoMag)."""

from rsground import PreprocessorSpec, hookimpl


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
