from __future__ import annotations

import numpy as np

from rsground.registry import load
from rsground.testing import PreprocessorConformance, miniatures
from rsground.types import Task, View


class TestBlindfold(PreprocessorConformance):
    preprocessor_name = "blindfold"


def test_nothing_of_the_image_is_left() -> None:
    (sample, *_) = miniatures(Task.MASK)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*sample.size, 3), dtype=np.uint8)
    seen = load("preprocessor", "blindfold").apply(View((pixels,), sample.size), sample)
    assert seen.images[0].shape == pixels.shape
    assert len(np.unique(seen.images[0])) == 1
    assert seen.to_original == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
