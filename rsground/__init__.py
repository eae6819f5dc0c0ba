"""rsground compares ways of grounding language in overhead images.

The names below load on first use, so that ``import rsground`` stays instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names for editors and mypy; a test keeps the two lists equal
    from rsground.hookspecs import hookimpl as hookimpl
    from rsground.metrics import evaluate as evaluate
    from rsground.models.grounder import Grounder as Grounder
    from rsground.registry import load as load
    from rsground.registry import load_dataset as load_dataset
    from rsground.specs import BackboneSpec as BackboneSpec
    from rsground.specs import CodecSpec as CodecSpec
    from rsground.specs import CommandSpec as CommandSpec
    from rsground.specs import DatasetSpec as DatasetSpec
    from rsground.specs import ExecutorSpec as ExecutorSpec
    from rsground.specs import HeadSpec as HeadSpec
    from rsground.specs import MetricSpec as MetricSpec
    from rsground.specs import PreprocessorSpec as PreprocessorSpec
    from rsground.specs import SegmenterSpec as SegmenterSpec
    from rsground.specs import SuiteSpec as SuiteSpec
    from rsground.specs import SystemSpec as SystemSpec
    from rsground.types import Generation as Generation
    from rsground.types import ImageRef as ImageRef
    from rsground.types import Prediction as Prediction
    from rsground.types import Region as Region
    from rsground.types import Sample as Sample
    from rsground.types import Task as Task
    from rsground.types import View as View

__version__ = "0.1.0"

_EXPORTS = {
    "hookimpl": "hookspecs",
    "evaluate": "metrics",
    "Grounder": "models.grounder",
    "load": "registry",
    "load_dataset": "registry",
    "BackboneSpec": "specs",
    "CodecSpec": "specs",
    "CommandSpec": "specs",
    "DatasetSpec": "specs",
    "ExecutorSpec": "specs",
    "HeadSpec": "specs",
    "MetricSpec": "specs",
    "PreprocessorSpec": "specs",
    "SegmenterSpec": "specs",
    "SuiteSpec": "specs",
    "SystemSpec": "specs",
    "Generation": "types",
    "ImageRef": "types",
    "Prediction": "types",
    "Region": "types",
    "Sample": "types",
    "Task": "types",
    "View": "types",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
