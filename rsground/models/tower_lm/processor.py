"""Words and pictures to the small model's inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers import BatchFeature, ProcessorMixin

TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<answer>"
    "{% else %}{{ message['content'] }}</s>{% endif %}{% endfor %}"
)
"""Pictures, the question, and the mark after which the model speaks."""


class TowerLMProcessor(ProcessorMixin):
    """Resizes pictures to the tower's square and spends ``visual_tokens`` placeholders on each.

    Args:
        image_processor: resizes and normalises.
        tokenizer: knows ``<image>``, ``<answer>`` and ``</s>``.
        visual_tokens: placeholders an image takes.
        chat_template: as transformers has it.
    """

    attributes = ["image_processor", "tokenizer"]  # noqa: RUF012 - transformers reads it
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, visual_tokens: int = 128, chat_template: Any = None
    ) -> None:
        self.visual_tokens = visual_tokens
        self.image_token = "<image>"
        super().__init__(image_processor, tokenizer, chat_template=chat_template or TEMPLATE)  # type: ignore[no-untyped-call]

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> BatchFeature:
        """``input_ids``, ``attention_mask`` and, with images, ``pixel_values``."""
        texts = [text] if isinstance(text, str) else list(text or [""])
        kind = kwargs.pop("return_tensors", "pt")
        expanded = [each.replace("<image>", "<image>" * self.visual_tokens) for each in texts]
        words = self.tokenizer(expanded, return_tensors=kind, **kwargs)
        found: dict[str, Any] = {"input_ids": words["input_ids"], "attention_mask": words["attention_mask"]}
        if images is not None and len(images):
            flat = [images] if isinstance(images, np.ndarray) and images.ndim == 3 else list(images)
            flat = [each for one in flat for each in (one if isinstance(one, (list, tuple)) else [one])]
            found["pixel_values"] = self.image_processor(flat, return_tensors=kind)["pixel_values"]
        return BatchFeature(found)
