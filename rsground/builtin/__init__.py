"""What ships in the core, offered through the same hooks as any plugin."""

from rsground.hookspecs import hookimpl
from rsground.specs import (
    BackboneSpec,
    CodecSpec,
    DatasetSpec,
    ExecutorSpec,
    HeadSpec,
    MetricSpec,
    PreprocessorSpec,
    SegmenterSpec,
    SuiteSpec,
)


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    """The core's heads."""
    from rsground.builtin.heads import HEADS

    return HEADS


@hookimpl
def rsground_backbones() -> list[BackboneSpec]:
    """The core's backbones."""
    from rsground.builtin import backbones, models

    return [*backbones.BACKBONES, *models.BACKBONES]


@hookimpl
def rsground_preprocessors() -> list[PreprocessorSpec]:
    """The core's preprocessors."""
    from rsground.builtin.preprocessors import PREPROCESSORS

    return PREPROCESSORS


@hookimpl
def rsground_segmenters() -> list[SegmenterSpec]:
    """The core's segmenters."""
    from rsground.builtin.segmenters import SEGMENTERS

    return SEGMENTERS


@hookimpl
def rsground_codecs() -> list[CodecSpec]:
    """The core's codecs."""
    from rsground.builtin.codecs import CODECS

    return CODECS


@hookimpl
def rsground_datasets() -> list[DatasetSpec]:
    """The core's datasets."""
    from rsground.builtin.datasets import DATASETS

    return DATASETS


@hookimpl
def rsground_metrics() -> list[MetricSpec]:
    """The core's metrics."""
    from rsground.builtin.metrics import METRICS

    return METRICS


@hookimpl
def rsground_executors() -> list[ExecutorSpec]:
    """The core's executors."""
    from rsground.builtin.executors import EXECUTORS

    return EXECUTORS


@hookimpl
def rsground_suites() -> list[SuiteSpec]:
    """The core's suites."""
    from rsground.builtin.suites import SUITES

    return SUITES
