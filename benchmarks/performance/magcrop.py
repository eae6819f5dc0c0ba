"""What magcrop costs beside one plain forward pass, and how much of the image it leaves.

    python benchmarks/performance/magcrop.py
    python benchmarks/performance/magcrop.py --checkpoint FOLDER --sizes 1024 4096

For each image size and arrangement, on one backbone, the sides taken in turn:

- look: magcrop alone (classifier, asking the model, boxes, composition) / one plain forward pass on the whole image.
- whole: magcrop and the forward pass on what it shows / one plain forward pass. 1.4 means 40 % on top of a pass, below
  1 that it saves time. All are medians over rounds of the ratio within a round.
- asked: the part of magcrop that is the model's (``attend``) / one plain forward pass.
- own: the part of magcrop that is not the model's (everything but ``attend``) / one plain forward pass.
- pixels: pixels' worth of detail left / pixels of the image. tokens: visual tokens of what is shown / of the image.

Without --checkpoint two models with random weights are made, one of a fixed input size (LLaVA-1.5: 336 pixels, 576
tokens) and one whose tokens grow with the image (Qwen2.5-VL), at most 1,600. Random models look anywhere, which does
not change times; the crops' sizes, and with them pixels and tokens, are those of random maps.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsground.contracts import Prompt
from rsground.registry import load
from rsground.types import ImageRef, Sample, Task, View

ARRANGEMENTS: dict[str, dict[str, Any]] = {
    "image": {"granularity": "image"},
    "region (paper)": {"granularity": "region"},
    "pixel (paper)": {"granularity": "pixel"},
    "region, fast": {"granularity": "region", "preset": "fast"},
    "pixel, fast": {"granularity": "pixel", "preset": "fast"},
    "region, fast-336": {"granularity": "region", "preset": "fast-336"},
    "pixel, fast-336": {"granularity": "pixel", "preset": "fast-336"},
    "fast, 64 tokens": {"granularity": "region", "preset": "fast", "query_tokens": 64},
    "crop alone, fast": {"granularity": "pixel", "preset": "fast", "composition": "crop"},
}


def main() -> None:
    """Print one line per backbone, image size and arrangement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a model's folder (transformers) or a system's, instead")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024, 2048, 4096], help="sides of the images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=512, help="hidden size of the models that are made")
    parser.add_argument("--layers", type=int, default=8, help="their layers")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of torch; 1 where processor time is read on a busy machine")
    parser.add_argument("--arrangements", nargs="+", default=list(ARRANGEMENTS), choices=list(ARRANGEMENTS))
    parser.add_argument("--kinds", nargs="+", default=["fixed-336", "growing"], choices=["fixed-336", "growing"])
    parser.add_argument(
        "--cpu-time", action="store_true", help="processor time instead of the clock's: for a busy machine, CPU only"
    )
    args = parser.parse_args()
    if args.cpu_time:
        Clock.now = time.process_time
    if args.threads is not None:
        import torch

        torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as temporary:
        for name, folder in folders(args, Path(temporary)):
            backbone = load("backbone", "transformers", checkpoint=folder, device=args.device)
            for size in args.sizes:
                measure(name, backbone, size, args.rounds, args.arrangements)
            backbone.close()


def measure(name: str, backbone: Any, size: int, rounds: int, arrangements: Sequence[str]) -> None:
    """The arrangements on one image size; each round times the plain pass and then all of them."""
    image = np.random.default_rng(size).integers(0, 256, (size, size, 3), np.uint8)
    sample = Sample("bench", (ImageRef(f"noise:{size}", size, size),), "the red car on the left", Task.MASK)
    view = View((image,), sample.size)
    text = "Segment the red car on the left"
    watched = Watched(backbone)
    steps = {label: load("preprocessor", "magcrop", **ARRANGEMENTS[label]) for label in arrangements}
    all_tokens = forward(backbone, text, view).usage.visual_tokens or 0
    shown = {label: step.apply(view, sample, watched) for label, step in steps.items()}
    ratios: dict[str, list[tuple[float, ...]]] = {label: [] for label in steps}
    plains = []
    for _ in range(rounds):
        plain = seconds(lambda: forward(backbone, text, view))
        plains.append(plain)
        for label, step in steps.items():
            watched.seconds = 0.0
            look = seconds(lambda: step.apply(view, sample, watched))  # noqa: B023 - called at once
            after = seconds(lambda: forward(backbone, text, shown[label]))  # noqa: B023
            parts = (look, look + after, watched.seconds, look - watched.seconds)
            ratios[label].append(tuple(part / plain for part in parts))
    for label, found in ratios.items():
        look, whole, asked, own = (statistics.median(column) for column in zip(*found, strict=True))
        note = shown[label].meta["magcrop"]
        tokens = forward(backbone, text, shown[label]).usage.visual_tokens or 0
        print(
            f"{name:9} {size:5} px  {label:16} look {look:5.2f}  whole {whole:5.2f}  asked {asked:5.2f}  own {own:5.2f}"
            f"  plain {1e3 * statistics.median(plains):7.1f} ms  pixels {note['kept_share']:6.1%}"
            f"  tokens {tokens}/{all_tokens}" + (f"  ({note['plain']})" if note["plain"] else ""),
            flush=True,
        )


class Clock:
    """What times are read from."""

    now: Callable[[], float] = time.perf_counter


class Watched:
    """A backbone whose ``attend`` is timed."""

    def __init__(self, backbone: Any) -> None:
        self.backbone, self.seconds = backbone, 0.0

    def attend(self, prompts: list[Prompt], *, visual_tokens: int | None = None) -> Any:
        """As the backbone's."""
        began = Clock.now()
        found = self.backbone.attend(prompts, visual_tokens=visual_tokens)
        self.seconds += Clock.now() - began
        return found


def forward(backbone: Any, text: str, view: View) -> Any:
    """One forward pass over prompt and image: a single token is asked for."""
    return backbone.generate([Prompt(text=text, view=view, max_new_tokens=1)])[0]


def seconds(work: Callable[[], object]) -> float:
    """Time of one call."""
    began = Clock.now()
    work()
    return Clock.now() - began


def folders(args: argparse.Namespace, temporary: Path) -> list[tuple[str, Path]]:
    """Name and folder of the models to measure on."""
    if args.checkpoint is not None:
        return [(args.checkpoint.name, args.checkpoint)]
    made = []
    for name in args.kinds:
        model, processor = (fixed if name == "fixed-336" else growing)(args.width, args.layers)
        folder = temporary / name
        model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
        model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        made.append((name, folder))
    return made


def tiny() -> Any:
    """The small builders that the tests use."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "models"))
    import tiny as found

    return found


def fixed(width: int, layers: int) -> tuple[Any, Any]:
    """LLaVA-1.5 7B's input (336 pixels, 576 tokens) and proportions: a tower of a quarter of the width, 3/4 as deep."""
    import transformers as hf

    make = tiny()
    pieces = make.tokenizer(
        ("<pad>", "<s>", "</s>", "<image>"), bos="<s>", eos="</s>", extra={"image_token": "<image>"}
    )
    images = hf.CLIPImageProcessor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    processor = hf.LlavaProcessor(
        images, pieces, 14, "default", chat_template=make.LLAVA_TEMPLATE, num_additional_image_tokens=1
    )
    vision = {
        **make.CLIP,
        "hidden_size": width // 4,
        "intermediate_size": width,
        "num_hidden_layers": max(2, 3 * layers // 4),
        "num_attention_heads": 8,
        "image_size": 336,
        "patch_size": 14,
    }
    config = hf.LlavaConfig(
        vision_config=vision,
        text_config=make.text(hf.LlamaConfig, pieces, **language(width, layers)),
        image_token_index=pieces.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
    )
    return hf.LlavaForConditionalGeneration(config), processor


def growing(width: int, layers: int) -> tuple[Any, Any]:
    """Qwen2.5-VL's input: a token per 28 x 28 pixels, at most 1,600 tokens."""
    import transformers as hf

    make = tiny()
    marks = make.QWEN_MARKS
    pieces = make.tokenizer(
        ("<pad>", "<|im_start|>", "<|im_end|>", *marks),
        bos=None,
        eos="<|im_end|>",
        extra={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )
    ids = pieces.convert_tokens_to_ids(list(marks))
    heads = width // 64
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 12, 12]}
    vision = {
        "depth": layers,
        "hidden_size": width // 2,
        "intermediate_size": width,
        "out_hidden_size": width,
        "num_heads": 4,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [layers - 1],
    }
    text = hf.models.qwen2_5_vl.configuration_qwen2_5_vl.Qwen2_5_VLTextConfig
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    config = hf.Qwen2_5_VLConfig(
        vision_config=vision,
        text_config=make.text(
            text, pieces, rope_parameters=rope, **{**language(width, layers), "num_attention_heads": heads}
        ),
        **dict(zip(names, ids, strict=True)),
    )
    images = hf.Qwen2VLImageProcessor(
        patch_size=14,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": 4 * 784, "longest_edge": 1600 * 784},
    )
    processor = hf.Qwen2_5_VLProcessor(
        images, pieces, hf.Qwen2VLVideoProcessor(patch_size=14), chat_template=make.chat_template(make.QWEN_IMAGE)
    )
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def language(width: int, layers: int) -> dict[str, int]:
    """Shape of the language model."""
    return {
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 4096,
    }


if __name__ == "__main__":
    main()
