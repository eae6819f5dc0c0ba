"""The core's preprocessors."""

from rsground.specs import PreprocessorSpec

PREPROCESSORS = [
    PreprocessorSpec(
        name="blindfold",
        target="rsground.builtin.blindfold:Blindfold",
        summary="grey images in the place of real ones: what a system scores without seeing anything",
    )
]
"""Offered by the core."""
