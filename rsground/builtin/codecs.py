"""Codecs that ship in the core."""

from rsground.specs import CodecSpec

CODECS: list[CodecSpec] = []
