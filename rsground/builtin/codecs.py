"""Codecs that ship in the core."""

from __future__ import annotations

from rsground.specs import CodecSpec


def _codec(name: str, target: str, summary: str, *tasks: str) -> CodecSpec:
    return CodecSpec(name=name, target=f"rsground.codecs.{target}", summary=summary, tasks=tasks)


CODECS: list[CodecSpec] = [
    _codec("text-hbb", "boxes:TextBox", "GeoGround boxes, 0..1000: <box>[[x1,y1,x2,y2]]</box>", "hbb"),
    _codec("text-mask", "text_mask:TextMask", "GeoGround mask grid, run-length rows of 0 and 1", "mask", "hbb"),
    _codec(
        "text4seg", "text_mask:Text4Seg", "Text4Seg descriptors: run-length rows of others and phrase", "mask", "hbb"
    ),
]
