"""SAM 2 prompts: sixteen in one call, against a call each, with and without encoding the image again every time.

Papers' scripts set the image and ask for one mask per object; here the image is encoded once and the objects are
decoded together. Both sides are the segmenter ``sam2`` with the same weights.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from rsground.contracts import MaskPrompt
from rsground_sam2 import segmenter as sam2
from rsground_sam2.training.small import SMALL


def best(call: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of several rounds."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", help="a folder or a published .pt file; random weights without it")
    parser.add_argument("--config", help="a released configuration for random weights, such as sam2.1_hiera_tiny")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--size", type=int, default=256, help="side of the image in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = options.config or (None if options.checkpoint else SMALL)
    model = sam2.Sam2Segmenter(options.checkpoint, config=config, device=options.device)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (options.size, options.size, 3), np.uint8)
    corners = rng.uniform(0, 0.8 * options.size, (options.prompts, 2))
    prompts = [MaskPrompt(box=(x, y, x + 0.15 * options.size, y + 0.1 * options.size)) for x, y in corners]
    size = image.shape[:2]

    def together() -> None:
        model.segment(model.encode(image), prompts, size)

    def apart() -> None:
        for prompt in prompts:
            model.segment(model.encode(image), [prompt], size)

    def decoded_apart() -> None:
        features = model.encode(image)
        for prompt in prompts:
            model.segment(features, [prompt], size)

    together()
    one, many, decoded = (best(call, options.rounds) for call in (together, apart, decoded_apart))
    encoding = best(lambda: model.encode(image), options.rounds)
    print(f"encode once: {encoding:.3f} s; encode and {options.prompts} prompts in one call: {one:.3f} s")
    print(f"{options.prompts} calls that encode each time: {many:.3f} s, ratio {many / one:.1f}x")
    print(f"one encoding and {options.prompts} separate decode calls: {decoded:.3f} s, ratio {decoded / one:.1f}x")


if __name__ == "__main__":
    main()
