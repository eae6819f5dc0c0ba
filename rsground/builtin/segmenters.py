"""Segmenters that ship in the core."""

from rsground.specs import SegmenterSpec

SEGMENTERS: list[SegmenterSpec] = []
