"""Backbones that ship in the core."""

from rsground.specs import BackboneSpec

BACKBONES: list[BackboneSpec] = []
