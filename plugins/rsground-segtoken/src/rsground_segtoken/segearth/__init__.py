"""SegEarth-R1: description tokens are the query, one mask comes out. Needs torch; its Phi needs transformers."""

from rsground_segtoken.segearth.config import PRESETS, HeadConfig
from rsground_segtoken.segearth.head import SegEarthR1Head
from rsground_segtoken.segearth.swin import SWINS, SwinConfig

__all__ = ["PRESETS", "SWINS", "HeadConfig", "SegEarthR1Head", "SwinConfig"]
