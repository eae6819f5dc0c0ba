"""The blind baseline: a system that answers from the words alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rsground.contracts import Backbone, Preprocessor
from rsground.types import Sample, View


class Blindfold(Preprocessor):
    """Grey images of the same sizes in the place of what there is to see.

    What a system still scores behind it comes from the words of the question and from what is usual in the data.

    Args:
        grey: value of all three channels, 0 to 255.
    """

    def __init__(self, grey: int = 124) -> None:
        self.grey = np.uint8(grey)

    def _apply(self, view: View, sample: Sample, backbone: Backbone | None) -> View:
        del sample, backbone
        return replace(view, images=tuple(np.full(image.shape, self.grey) for image in view.images))
