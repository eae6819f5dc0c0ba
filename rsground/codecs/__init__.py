"""Regions as text: codecs, their grammars and their tolerant readers. Names load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsground.codecs.box_mask import BoxMask as BoxMask
    from rsground.codecs.boxes import TextBox as TextBox
    from rsground.codecs.codec import Codec as Codec
    from rsground.codecs.codec import Reading as Reading
    from rsground.codecs.grammar import CharSet as CharSet
    from rsground.codecs.grammar import Grammar as Grammar
    from rsground.codecs.grammar import RuleGrammar as RuleGrammar
    from rsground.codecs.oriented import TextOBB as TextOBB
    from rsground.codecs.point_set import PointSet as PointSet
    from rsground.codecs.polygon import PolygonText as PolygonText
    from rsground.codecs.polygon_box import PolygonBox as PolygonBox
    from rsground.codecs.sniffing import read_any as read_any
    from rsground.codecs.sniffing import sniff as sniff
    from rsground.codecs.text_mask import Text4Seg as Text4Seg
    from rsground.codecs.text_mask import TextMask as TextMask

_EXPORTS = {
    "BoxMask": "box_mask",
    "CharSet": "grammar",
    "Codec": "codec",
    "Grammar": "grammar",
    "PointSet": "point_set",
    "PolygonBox": "polygon_box",
    "PolygonText": "polygon",
    "Reading": "codec",
    "RuleGrammar": "grammar",
    "Text4Seg": "text_mask",
    "TextBox": "boxes",
    "TextMask": "text_mask",
    "TextOBB": "oriented",
    "read_any": "sniffing",
    "sniff": "sniffing",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
