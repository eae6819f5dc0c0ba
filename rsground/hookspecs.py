"""The whole plugin contract: eleven hooks, each returns specs.

A plugin is a module named by an entry point in the group ``rsground``; it implements any of these functions and marks
them with :data:`hookimpl`. Hooks return plain records rather than call back, so a plugin is tested by calling a
function.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from rsground.specs import (
    BackboneSpec,
    CodecSpec,
    CommandSpec,
    DatasetSpec,
    ExecutorSpec,
    HeadSpec,
    MetricSpec,
    PreprocessorSpec,
    SegmenterSpec,
    SuiteSpec,
    SystemSpec,
)

hookspec = pluggy.HookspecMarker("rsground")
hookimpl = pluggy.HookimplMarker("rsground")


@hookspec
def rsground_heads() -> Iterable[HeadSpec]:  # type: ignore[empty-body]
    """Offer grounding heads (paradigms), one spec each."""


@hookspec
def rsground_preprocessors() -> Iterable[PreprocessorSpec]:  # type: ignore[empty-body]
    """Offer preprocessors: what changes the view before a backbone sees it."""


@hookspec
def rsground_backbones() -> Iterable[BackboneSpec]:  # type: ignore[empty-body]
    """Offer backbones: vision-language models that answer a prompt about a view."""


@hookspec
def rsground_segmenters() -> Iterable[SegmenterSpec]:  # type: ignore[empty-body]
    """Offer promptable mask models."""


@hookspec
def rsground_codecs() -> Iterable[CodecSpec]:  # type: ignore[empty-body]
    """Offer codecs: ways to write regions as text and read them back."""


@hookspec
def rsground_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Offer data set readers."""


@hookspec
def rsground_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Offer scoring protocols."""


@hookspec
def rsground_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """Offer executors: where a run's jobs are worked off."""


@hookspec
def rsground_checkpoints() -> Iterable[SystemSpec]:  # type: ignore[empty-body]
    """Offer systems: named combinations of parts, with their weights."""


@hookspec
def rsground_suites() -> Iterable[SuiteSpec]:  # type: ignore[empty-body]
    """Offer suites: TOML files that say what to compare."""


@hookspec
def rsground_commands() -> Iterable[CommandSpec]:  # type: ignore[empty-body]
    """Offer subcommands of the ``rsground`` command line."""
