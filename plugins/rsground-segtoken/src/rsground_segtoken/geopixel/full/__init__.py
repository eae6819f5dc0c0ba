"""GeoPixel at its published size: InternLM2-7B with partial LoRA, CLIP ViT-L/14 at 560 pixels, SAM 2 Hiera-L.

Written from the published description of checkpoint and arithmetic; module names are those of the checkpoint, so that
its keys fit one to one.
"""
