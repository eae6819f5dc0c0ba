"""Codecs that ship in the core."""

from __future__ import annotations

from rsground.specs import CodecSpec


def _codec(name: str, target: str, summary: str, *tasks: str, **options: object) -> CodecSpec:
    return CodecSpec(name=name, target=f"rsground.codecs.{target}", summary=summary, tasks=tasks, options=options)


def _box(name: str, target: str, summary: str) -> CodecSpec:
    return _codec(name, f"dialects:{target}", summary, "hbb")


def _turned(name: str, target: str, summary: str) -> CodecSpec:
    return _codec(name, f"dialects:{target}", summary, "obb", "hbb")


CODECS: list[CodecSpec] = [
    _codec("text-hbb", "boxes:TextBox", "GeoGround: <box>[[x1,y1,x2,y2]]</box>, 0..1000", "hbb"),
    _codec("text-obb", "oriented:TextOBB", "GeoGround: <obb>[[cx,cy,w,h,angle]]</obb>, 0..100", "obb", "hbb"),
    _codec("text-mask", "text_mask:TextMask", "GeoGround: grid of the image, run-length rows", "mask", "hbb"),
    _codec("text4seg", "text_mask:Text4Seg", "Text4Seg: the same with a phrase as label", "mask", "hbb"),
    _codec("box-mask", "box_mask:BoxMask", "box, then the grid of what is inside it", "mask", "hbb"),
    _codec("point-set", "point_set:PointSet", "GeoRSMLLM: four corners {(x, y), ...}", "obb", "hbb"),
    _codec(
        "point-set-keypoints", "point_set:PointSet", "GeoRSMLLM: box and key points", "hbb", "mask", form="hbb-points"
    ),
    _codec("point-set-polygon", "point_set:PointSet", "GeoRSMLLM: closed polygons", "mask", "change", form="polygon"),
    _codec("polygon", "polygon:PolygonText", "polygons of few vertices in image coordinates", "mask", "change", "hbb"),
    _codec(
        "polygon-box", "polygon_box:PolygonBox", "box, then two digits per vertex inside it", "mask", "change", "hbb"
    ),
    _turned("geochat", "GeoChat", "GeoChat: {<x1><y1><x2><y2>|<angle>}, 0..100"),
    _box("vrsbench", "VRSBench", "VRSBench boxes: {<x1><y1><x2><y2>}, 0..100"),
    _turned("vrsbench-obb-v1", "VRSBenchOBB", "VRSBench: {<cx><cy><w><h>|<angle>}, 0..100"),
    _turned("vrsbench-obb-v2", "VRSBenchCorners", "VRSBench: {<x><y><x><y>|<angle>}, two corners, 0..100"),
    _box("llava", "LLaVA", "LLaVA-1.5: [x1, y1, x2, y2], two decimals of the padded square"),
    _box("shikra", "Shikra", "Shikra: [x1,y1,x2,y2], three decimals"),
    _box("qwen-vl", "QwenVL", "Qwen-VL: <box>(x1,y1),(x2,y2)</box>, 0..999"),
    _box("qwen2-vl", "Qwen2VL", "Qwen2-VL: <|box_start|>(x1,y1),(x2,y2)<|box_end|>, 0..1000"),
    _box("qwen2.5-vl", "Qwen25VL", "Qwen2.5-VL: JSON list of bbox_2d, pixels"),
    _box("qwen3-vl", "Qwen3VL", "Qwen3-VL: JSON list of bbox_2d, 0..1000"),
    _box("internvl", "InternVL", "InternVL: <box>[[x1, y1, x2, y2]]</box>, 0..1000"),
    _box("kosmos-2", "Kosmos2", "Kosmos-2: pairs of patch indices, 32 x 32"),
    _box("florence-2", "Florence2", "Florence-2: <loc_x1><loc_y1><loc_x2><loc_y2>, 1000 bins"),
    _box("deepseek-vl2", "DeepSeekVL2", "DeepSeek-VL2: <|det|>[[x1, y1, x2, y2]]<|/det|>, 0..999"),
]
