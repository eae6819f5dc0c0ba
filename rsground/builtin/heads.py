"""Heads that ship in the core."""

from rsground.specs import HeadSpec

HEADS: list[HeadSpec] = []
