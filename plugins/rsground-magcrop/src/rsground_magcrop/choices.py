"""The words that options are chosen from."""

from typing import Literal

Levels = Literal["classifier", "task", "image", "region", "pixel"]
Twice = Literal["literal", "compound"]
Resample = Literal["bilinear", "box", "bicubic", "nearest"]
Composition = Literal["stitch", "crop", "both"]
Second = Literal["query", "map"]
Sign = Literal["answer", "loss"]
Fallback = Literal["error", "plain"]
Pooling = Literal["cls", "mean", "pooler"]
