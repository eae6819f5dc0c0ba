"""Answers per second of the backbone ``transformers``: a batch at once, and one prompt at a time.

    python benchmarks/performance/batching.py

The model is a random LLaVA of some five million weights, made on the spot (``--checkpoint FOLDER`` takes another).
Prompts differ in length and image size; every answer has the same number of tokens, so that both sides do equal work,
and must be the same on both sides, token by token. Times are the best of several rounds, both sides in turn, in one
process; ``--cpu-time`` counts the processor's time instead, for a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from rsground.contracts import Prompt
from rsground.models.backbone import TransformersBackbone
from rsground.types import View

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "models"))


def small_model(folder: Path) -> Path:
    """A LLaVA with a language model of six layers, 256 wide."""
    import tiny

    return tiny.build(
        "llava",
        folder,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=8,
    )


def prompts(count: int, tokens: int) -> list[Prompt]:
    """Questions of several lengths about pictures of several sizes."""
    rng = np.random.default_rng(0)
    words = ("the", "red", "car", "large", "white", "ship", "left", "of", "pier")
    found = []
    for _ in range(count):
        size = (int(rng.integers(40, 200)), int(rng.integers(40, 200)))
        text = "Where is " + " ".join(rng.choice(words, int(rng.integers(2, 12)))) + "?"
        view = View((rng.integers(0, 255, (*size, 3), dtype=np.uint8),), size)
        found.append(Prompt(text, view, max_new_tokens=tokens))
    return found


def timed(
    backbone: TransformersBackbone, asked: Sequence[Prompt], size: int, clock: Callable[[], float]
) -> tuple[float, list[tuple[int, ...]]]:
    """Seconds for all prompts, ``size`` at a time, and the answers."""
    backbone.batch_size = size
    began = clock()
    found = [each for at in range(0, len(asked), size) for each in backbone.generate(asked[at : at + size])]
    return clock() - began, [each.token_ids or () for each in found]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="folder in hub layout (default: a small random LLaVA)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch (default: 2)")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=24, help="tokens of an answer (default: 24)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8, 16], help="batch sizes; the first is the base")
    parser.add_argument("--cpu-time", action="store_true", help="count processor time, not wall-clock time")
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        backbone = TransformersBackbone(options.checkpoint or small_model(Path(folder)), device=options.device)
    backbone.marks = backbone.marks._replace(ends=frozenset({backbone.marks.pad}))
    weights = sum(each.numel() for each in backbone.model.parameters())
    asked = prompts(options.prompts, options.tokens)
    best = dict.fromkeys(options.sizes, float("inf"))
    answers: dict[int, list[tuple[int, ...]]] = {}
    timed(backbone, asked[:1], 1, clock)
    for _ in range(options.rounds):
        for size in options.sizes:
            seconds, answers[size] = timed(backbone, asked, size, clock)
            best[size] = min(best[size], seconds)
    base = options.sizes[0]
    if any(found != answers[base] for found in answers.values()):
        sys.exit("batches of different sizes gave different answers")
    said = sum(map(len, answers[base]))
    print(f"{weights / 1e6:.1f} M weights, {options.prompts} prompts, {said} tokens, {options.threads} threads")
    for size in options.sizes:
        rate = options.prompts / best[size]
        print(f"batch {size:3d}: {rate:7.1f} samples/s   {best[base] / best[size]:5.2f} x batch {base}")


if __name__ == "__main__":
    main()
