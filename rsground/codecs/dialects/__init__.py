"""Box formats of other models, as they write and read them; sources and certainty stand on each class."""

from rsground.codecs.dialects.fractions import LLaVA, Shikra
from rsground.codecs.dialects.json_boxes import Qwen3VL, Qwen25VL
from rsground.codecs.dialects.kosmos import Kosmos2
from rsground.codecs.dialects.scaled import DeepSeekVL2, Florence2, InternVL, Qwen2VL, QwenVL, VRSBench
from rsground.codecs.dialects.turned import GeoChat, VRSBenchCorners, VRSBenchOBB

__all__ = [
    "DeepSeekVL2",
    "Florence2",
    "GeoChat",
    "InternVL",
    "Kosmos2",
    "LLaVA",
    "Qwen2VL",
    "Qwen3VL",
    "Qwen25VL",
    "QwenVL",
    "Shikra",
    "VRSBench",
    "VRSBenchCorners",
    "VRSBenchOBB",
]
