"""What a second look at the tower's peaks costs: one prompt of the small model with and without it.

Both sides are the same weights in one process, taken in turn; the best of several rounds counts, in processor time on
one thread. Printed: milliseconds of the tower, of the look and of a whole prompt (image and a short question), and how
many times the prompt without the look it costs with it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch

from rsground.models.tower_lm.look import Look
from rsground.models.training.language_setup import resume_from

QUESTION = "Where is the white ship nearest to the pier"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a small model, or of a system with one")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = resume_from(args.model)
    model.eval()
    look = model.look or Look(model.config).eval()
    pixels = torch.randn(1, 3, model.config.image_size, model.config.image_size)
    words = tokenizer(QUESTION, add_special_tokens=False)["input_ids"]
    image = [model.config.image_token_index] * model.config.visual_tokens
    ids = torch.tensor([[*image, *words, model.config.answer_token_index]])

    def prompt(second: Look | None) -> None:
        model.look = second
        model(input_ids=ids, pixel_values=pixels, use_cache=True)

    with torch.no_grad():
        found = model.first_facts(pixels)
        sides: dict[str, Callable[[], object]] = {
            "tower": lambda: model.first_facts(pixels),
            "look": lambda: look(pixels, found),
            "prompt without": lambda: prompt(None),
            "prompt with": lambda: prompt(look),
        }
        best = dict.fromkeys(sides, float("inf"))
        for _ in range(args.rounds):
            for name, side in sides.items():
                began = time.process_time()
                side()
                best[name] = min(best[name], time.process_time() - began)
    print(", ".join(f"{name} {1e3 * seconds:.1f} ms" for name, seconds in best.items()))
    print(f"with over without: {best['prompt with'] / best['prompt without']:.2f}")


if __name__ == "__main__":
    main()
