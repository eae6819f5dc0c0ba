"""Datasets that ship in the core."""

from rsground.specs import DatasetSpec

DATASETS: list[DatasetSpec] = []
