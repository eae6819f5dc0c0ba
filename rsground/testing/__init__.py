"""For plugin authors: conformance classes to inherit from, miniature samples, hypothesis strategies.

A plugin's whole test file may read::

    from rsground.testing import HeadConformance

    class TestMyHead(HeadConformance):
        head_name = "my-head"

Needs pytest and hypothesis (the extra ``test``).
"""

from rsground.testing.codecs import CodecConformance
from rsground.testing.datasets import DatasetConformance
from rsground.testing.discovery import PluginConformance, conformance_classes
from rsground.testing.heads import HeadConformance
from rsground.testing.metrics import MetricConformance
from rsground.testing.parts import BackboneConformance, PreprocessorConformance, SegmenterConformance
from rsground.testing.samples import ANSWERS_NOBODY_EXPECTS, miniature, miniatures

__all__ = [
    "ANSWERS_NOBODY_EXPECTS",
    "BackboneConformance",
    "CodecConformance",
    "DatasetConformance",
    "HeadConformance",
    "MetricConformance",
    "PluginConformance",
    "PreprocessorConformance",
    "SegmenterConformance",
    "conformance_classes",
    "miniature",
    "miniatures",
]
