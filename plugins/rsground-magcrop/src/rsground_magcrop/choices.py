"""The words that options are chosen from."""

from typing import Literal

Levels = Literal["classifier", "task", "image", "region", "pixel"]
Twice = Literal["literal", "compound"]
Resample = Literal["bilinear", "box", "bicubic", "nearest"]
Rounding = Literal["nearest", "down", "up"]
Composition = Literal["stitch", "crop", "both"]
Second = Literal["query", "map"]
Sign = Literal["answer", "loss"]
Reads = Literal["next", "query", "answer"]
Heads = Literal["mean", "max"]
Contrast = Literal["total", "mean"]
Ties = Literal["smallest", "largest"]
Fallback = Literal["error", "plain"]
Pooling = Literal["cls", "mean", "pooler"]
