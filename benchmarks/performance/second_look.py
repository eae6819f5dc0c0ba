"""What looking at the tower's peaks again costs: one prompt of the small model with and without it.

Both sides are the same weights in one process, taken in turn; the best of several rounds counts, in processor time on
one thread. Printed: milliseconds of the tower, of all looks that the model takes and of a whole prompt (image and a
short question), and how many times the prompt without looks it costs with them.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

import torch

from rsground.models.tower_lm import TowerLM
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
    if model.look is None:
        raise SystemExit("the model takes no second look: give one that does")
    look, plain = model.look, without_look(model)
    pixels = torch.randn(1, 3, model.config.image_size, model.config.image_size)
    words = tokenizer(QUESTION, add_special_tokens=False)["input_ids"]
    image = [model.config.image_token_index] * model.config.visual_tokens
    ids = torch.tensor([[*image, *words, model.config.answer_token_index]])

    def prompt(asked: TowerLM) -> None:
        asked(input_ids=ids, pixel_values=pixels, use_cache=True)

    with torch.no_grad():
        found = model.first_facts(pixels)
        sides: dict[str, Callable[[], object]] = {
            "tower": lambda: model.first_facts(pixels),
            "look": lambda: look(pixels, found),
            "prompt without": lambda: prompt(plain),
            "prompt with": lambda: prompt(model),
        }
        best = dict.fromkeys(sides, float("inf"))
        for _ in range(args.rounds):
            for name, side in sides.items():
                began = time.process_time()
                side()
                best[name] = min(best[name], time.process_time() - began)
    print(", ".join(f"{name} {1e3 * seconds:.1f} ms" for name, seconds in best.items()))
    print(f"with over without: {best['prompt with'] / best['prompt without']:.2f}")


def without_look(model: TowerLM) -> TowerLM:
    """The same model but for its looks, and for what it makes of classes and colours, which is as much work."""
    config = copy.deepcopy(model.config)
    config.update({"look": 0, "headings": False})
    plain = TowerLM(config).eval()
    kept = {name: value for name, value in model.state_dict().items() if name != "visual.told.weight"}
    plain.load_state_dict(kept, strict=False)
    return plain


if __name__ == "__main__":
    main()
