"""Tiny random vision-language models in hub layout, one per family, built from nothing and saved to a folder.

``build("llava", folder)`` answers the folder. A model has some fifty thousand weights, a tokenizer of about 370
byte-level pieces and the processor and chat template of its family; everything is seeded. ``tower(folder)`` makes the
project's own small model, smaller still.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

CORPUS = (
    "What is the region of the large white ship left of the pier? Answer with one box. [100, 200, 300, 400] "
    "Where is the red car? Segment the storage tanks. <ref>the small plane</ref> 0 1 2 3 4 5 6 7 8 9 10 25 50 99 128 "
) * 4


def tokenizer(specials: tuple[str, ...], *, bos: str | None, eos: str, extra: dict[str, str]) -> Any:
    """Byte-level BPE over a few sentences; ids 0.. are the special tokens in the order given."""
    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    fast.train_from_iterator([CORPUS], trainer)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=fast, bos_token=bos, eos_token=eos, pad_token="<pad>", extra_special_tokens=extra
    )


def chat_template(image: str) -> str:
    """A ChatML template whose image parts become ``image``."""
    return (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{% for part in message['content'] %}{% if part['type'] == 'image' %}" + image + "{% else %}"
        "{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def text(config: type, pieces: Any, **changes: Any) -> dict[str, Any]:
    """A text tower of two layers; keys as ``config`` understands them."""
    made: dict[str, Any] = {
        "vocab_size": len(pieces),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": pieces.bos_token_id,
        "eos_token_id": pieces.eos_token_id,
        "pad_token_id": pieces.pad_token_id,
    }
    return config(**{**made, **changes}).to_dict()


CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 7,
    "projection_dim": 16,
}
SIGLIP = {**CLIP, "model_type": "siglip_vision_model", "vision_use_head": False}
PINPOINTS = [[28, 56], [56, 28], [56, 56], [28, 84], [84, 28], [84, 84]]


def _llava_tokens() -> Any:
    specials = ("<pad>", "<s>", "</s>", "<image>")
    return tokenizer(specials, bos="<s>", eos="</s>", extra={"image_token": "<image>"})


LLAVA_TEMPLATE = (
    "{% for message in messages %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def _llava(**changes: Any) -> tuple[Any, Any]:
    pieces = _llava_tokens()
    images = hf.CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor = hf.LlavaProcessor(
        images, pieces, 7, "default", chat_template=LLAVA_TEMPLATE, num_additional_image_tokens=1
    )
    config = hf.LlavaConfig(
        vision_config=CLIP,
        text_config=text(hf.LlamaConfig, pieces, **changes),
        image_token_index=pieces.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
    )
    return hf.LlavaForConditionalGeneration(config), processor


def _llava_next(**changes: Any) -> tuple[Any, Any]:
    pieces = _llava_tokens()
    images = hf.LlavaNextImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=PINPOINTS
    )
    processor = hf.LlavaNextProcessor(
        images, pieces, 7, "default", chat_template=LLAVA_TEMPLATE, num_additional_image_tokens=1
    )
    config = hf.LlavaNextConfig(
        vision_config=CLIP,
        text_config=text(hf.MistralConfig, pieces, sliding_window=None, **changes),
        image_token_index=pieces.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=PINPOINTS,
    )
    return hf.LlavaNextForConditionalGeneration(config), processor


def _chatml(specials: tuple[str, ...], extra: dict[str, str]) -> Any:
    return tokenizer(("<pad>", "<|im_start|>", "<|im_end|>", *specials), bos=None, eos="<|im_end|>", extra=extra)


def _llava_onevision(**changes: Any) -> tuple[Any, Any]:
    pieces = _chatml(("<image>", "<video>"), {"image_token": "<image>", "video_token": "<video>"})
    images = hf.LlavaOnevisionImageProcessor(size={"height": 28, "width": 28}, image_grid_pinpoints=PINPOINTS)
    videos = hf.LlavaOnevisionVideoProcessor(size={"height": 28, "width": 28})
    processor = hf.LlavaOnevisionProcessor(
        images, pieces, videos, 16, "full", chat_template=chat_template("<image>\n"), vision_aspect_ratio="anyres_max_4"
    )
    config = hf.LlavaOnevisionConfig(
        vision_config=SIGLIP,
        text_config=text(hf.Qwen2Config, pieces, **changes),
        image_token_index=pieces.convert_tokens_to_ids("<image>"),
        video_token_index=pieces.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=PINPOINTS,
        vision_aspect_ratio="anyres_max_4",
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


QWEN_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
QWEN_ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}


def _qwen(
    config: type,
    model: type,
    processor: type,
    text_config: type,
    videos: Any,
    vision: dict[str, Any],
    **more: Any,
) -> tuple[Any, Any]:
    pieces = _chatml(QWEN_MARKS, {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"})
    ids = pieces.convert_tokens_to_ids(list(QWEN_MARKS))
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    patch = vision["patch_size"]
    unit = (2 * patch) ** 2
    images = hf.Qwen2VLImageProcessor(
        patch_size=patch,
        merge_size=2,
        temporal_patch_size=2,
        size={"shortest_edge": 4 * unit, "longest_edge": 36 * unit},
    )
    made = config(
        vision_config=vision,
        text_config=text(text_config, pieces, rope_parameters=QWEN_ROPE, **more),
        **dict(zip(names, ids, strict=True)),
    )
    return model(made), processor(images, pieces, videos, chat_template=chat_template(QWEN_IMAGE))


def _qwen2_vl(**changes: Any) -> tuple[Any, Any]:
    vision = {
        "depth": 2,
        "embed_dim": 16,
        "hidden_size": changes.get("hidden_size", 32),
        "num_heads": 2,
        "patch_size": 4,
        "mlp_ratio": 2,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    videos = hf.Qwen2VLVideoProcessor(patch_size=4)
    return _qwen(
        hf.Qwen2VLConfig,
        hf.Qwen2VLForConditionalGeneration,
        hf.Qwen2VLProcessor,
        hf.models.qwen2_vl.configuration_qwen2_vl.Qwen2VLTextConfig,
        videos,
        vision,
        **changes,
    )


def _qwen2_5_vl(**changes: Any) -> tuple[Any, Any]:
    vision = {
        "depth": 2,
        "hidden_size": 16,
        "intermediate_size": 24,
        "out_hidden_size": changes.get("hidden_size", 32),
        "num_heads": 2,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 16,
        "fullatt_block_indexes": [1],
    }
    videos = hf.Qwen2VLVideoProcessor(patch_size=4)
    return _qwen(
        hf.Qwen2_5_VLConfig,
        hf.Qwen2_5_VLForConditionalGeneration,
        hf.Qwen2_5_VLProcessor,
        hf.models.qwen2_5_vl.configuration_qwen2_5_vl.Qwen2_5_VLTextConfig,
        videos,
        vision,
        **changes,
    )


QWEN3_VISION = {
    "depth": 2,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_heads": 2,
    "patch_size": 4,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 64,
}
QWEN3_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
QWEN3_DELTA = {
    "head_dim": 32,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}


def _qwen3(config: type, model: type, text_config: type, deep: bool, **changes: Any) -> tuple[Any, Any]:
    vision = {**QWEN3_VISION, "out_hidden_size": changes.get("hidden_size", 32)}
    if deep:
        vision["deepstack_visual_indexes"] = [0, 1]
    videos = hf.Qwen3VLVideoProcessor(patch_size=4)
    return _qwen(config, model, hf.Qwen3VLProcessor, text_config, videos, vision, **changes)


def _qwen3_vl(**changes: Any) -> tuple[Any, Any]:
    text_config = hf.models.qwen3_vl.configuration_qwen3_vl.Qwen3VLTextConfig
    model = hf.Qwen3VLForConditionalGeneration
    return _qwen3(hf.Qwen3VLConfig, model, text_config, True, **{"head_dim": 8, **changes})


def _qwen3_vl_moe(**changes: Any) -> tuple[Any, Any]:
    text_config = hf.models.qwen3_vl_moe.configuration_qwen3_vl_moe.Qwen3VLMoeTextConfig
    made = {"head_dim": 8, **QWEN3_EXPERTS, **changes}
    return _qwen3(hf.Qwen3VLMoeConfig, hf.Qwen3VLMoeForConditionalGeneration, text_config, True, **made)


def _qwen3_5(**changes: Any) -> tuple[Any, Any]:
    """One layer of the gated delta rule, which passes a state on, and one of attention."""
    made = {**QWEN3_DELTA, **changes}
    return _qwen3(hf.Qwen3_5Config, hf.Qwen3_5ForConditionalGeneration, hf.Qwen3_5TextConfig, False, **made)


def _qwen3_5_moe(**changes: Any) -> tuple[Any, Any]:
    made = {**QWEN3_DELTA, **QWEN3_EXPERTS, "shared_expert_intermediate_size": 16, **changes}
    model = hf.Qwen3_5MoeForConditionalGeneration
    return _qwen3(hf.Qwen3_5MoeConfig, model, hf.Qwen3_5MoeTextConfig, False, **made)


def _internvl(**changes: Any) -> tuple[Any, Any]:
    marks = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    pieces = _chatml(tuple(marks.values()), marks)
    images = hf.GotOcr2ImageProcessor(
        size={"height": 28, "width": 28}, crop_to_patches=True, min_patches=1, max_patches=6
    )
    videos = hf.InternVLVideoProcessor(size={"height": 28, "width": 28})
    processor = hf.InternVLProcessor(
        images, pieces, videos, image_seq_length=4, chat_template=chat_template("<IMG_CONTEXT>\n")
    )
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": [28, 28],
        "patch_size": [7, 7],
    }
    config = hf.InternVLConfig(
        vision_config=vision,
        text_config=text(hf.Qwen2Config, pieces, **changes),
        tie_word_embeddings=False,
        image_token_id=pieces.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    return hf.InternVLForConditionalGeneration(config), processor


FAMILIES: dict[str, Callable[..., tuple[Any, Any]]] = {
    "llava": _llava,
    "llava-next": _llava_next,
    "llava-onevision": _llava_onevision,
    "qwen2-vl": _qwen2_vl,
    "qwen2.5-vl": _qwen2_5_vl,
    "qwen3-vl": _qwen3_vl,
    "qwen3.5": _qwen3_5,
    "internvl": _internvl,
}
MIXTURES: dict[str, Callable[..., tuple[Any, Any]]] = {"qwen3-vl-moe": _qwen3_vl_moe, "qwen3.5-moe": _qwen3_5_moe}
"""Kin of a family that differ from it in the language model's experts alone."""


def build(family: str, folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Make the family's tiny model in ``folder`` and answer it; ``changes`` are of its text config."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = {**FAMILIES, **MIXTURES}[family](**changes)
        _spread(model)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def tower(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Make the project's own model in ``folder`` and answer it; ``changes`` are of its text config."""
    from rsground.models.tower_lm import TowerLM, TowerLMConfig, TowerLMProcessor
    from rsground.models.tower_lm.tokenizer import make_tokenizer, number_ids

    pieces = make_tokenizer([CORPUS], size=300)
    config = TowerLMConfig(
        vision_config={"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
        text_config=text(hf.LlamaConfig, pieces, tie_word_embeddings=True, **changes),
        image_size=64,
        fpn_width=8,
        dense_width=8,
        objects=6,
        grid=2,
        code_width=8,
        numbers=list(number_ids(pieces).values()),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TowerLM(config)
    model.generation_config.eos_token_id = pieces.eos_token_id
    model.save_pretrained(folder)
    images = hf.ViTImageProcessor(size={"height": 64, "width": 64})
    TowerLMProcessor(images, pieces, visual_tokens=config.visual_tokens).save_pretrained(folder)
    return folder


def _spread(model: torch.nn.Module) -> None:
    """Weights large enough that logits differ and the image matters; the library's own start is nearly uniform."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=1.2 / weight[0].numel() ** 0.5)
        model.get_input_embeddings().weight.normal_(std=1.0)
