"""Procedural overhead scenes: pixels, exact masks and boxes, expressions, descriptions and before/after pairs."""

from rsground.datasets.scenes.change import ChangeScene
from rsground.datasets.scenes.dataset import ScenesDataset
from rsground.datasets.scenes.scene import Scene

__all__ = ["ChangeScene", "Scene", "ScenesDataset"]
