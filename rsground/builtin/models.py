"""Backbones of the core that are models; their code, and torch, is imported when one is used."""

from rsground.specs import BackboneSpec

BACKBONES: list[BackboneSpec] = [
    BackboneSpec(
        name="transformers",
        target="rsground.models.backbone:TransformersBackbone",
        summary="any vision-language model of transformers, from a local folder: LLaVA, Qwen-VL, InternVL ...",
        requires=("torch", "transformers"),
    ),
]
