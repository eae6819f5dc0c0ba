"""Specs: what a plugin offers, as frozen records that name their class by a string.

Listing specs imports nothing heavy: ``target`` is ``"package.module:Class"`` and is imported only when the thing is
used (see :mod:`rsground.registry`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

HOOK_API = 1
"""Version of the hook contract; a plugin written for another one is refused with a clear message."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._/+-]*(@[a-z0-9][a-z0-9._-]*)?")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What all specs share.

    Attributes:
        name: lower case, unique among the specs of its kind; what users type. The core adds ``@environment`` to
            the names of parts of an isolated environment.
        target: ``"package.module:Class"`` (or a function), imported on first use.
        summary: one line for listings.
        tasks: values of :class:`rsground.types.Task` it serves; empty where tasks do not apply.
        requires: importable modules the target needs beyond the core (``("torch",)``); listings show what is absent.
        options: keyword arguments the target is called with unless the user overrides them.
        api: the hook API version it was written for.
    """

    kind: ClassVar[str]

    name: str
    target: str
    summary: str
    tasks: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    api: int = HOOK_API

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.kind} name {self.name!r} must be lower case letters, digits and . _ / + -")
        if not _TARGET.fullmatch(self.target):
            raise ValueError(f'{self.kind} {self.name!r}: target {self.target!r} must read "package.module:Class"')
        if not self.summary or "\n" in self.summary:
            raise ValueError(f"{self.kind} {self.name!r}: summary must be one non-empty line")


class HeadSpec(Spec):
    """A paradigm: see :class:`rsground.contracts.Head`."""

    kind = "head"
    __slots__ = ()


class PreprocessorSpec(Spec):
    """What stands before a backbone: see :class:`rsground.contracts.Preprocessor`."""

    kind = "preprocessor"
    __slots__ = ()


class BackboneSpec(Spec):
    """A vision-language model: see :class:`rsground.contracts.Backbone`."""

    kind = "backbone"
    __slots__ = ()


class SegmenterSpec(Spec):
    """A promptable mask model: see :class:`rsground.contracts.Segmenter`."""

    kind = "segmenter"
    __slots__ = ()


class CodecSpec(Spec):
    """A way to write regions as text: see :class:`rsground.codecs.Codec`."""

    kind = "codec"
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec(Spec):
    """A data set reader: see :class:`rsground.contracts.Dataset`.

    Attributes:
        splits: names of the published splits.
        licence: terms of the data, one line.
        needs_root: false for data that is generated.
    """

    kind = "dataset"

    splits: tuple[str, ...] = ("train", "val", "test")
    licence: str = "see the data set's own terms"
    needs_root: bool = True


class MetricSpec(Spec):
    """A named scoring protocol: see :class:`rsground.contracts.Metric`."""

    kind = "metric"
    __slots__ = ()


class ExecutorSpec(Spec):
    """Where the jobs of a run are worked off: see :class:`rsground.contracts.Executor`."""

    kind = "executor"
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSpec:
    """A system under one name: parts by their registered names, and where its weights are.

    Attributes:
        name: what users type, ``tiny/geoground``.
        summary: one line for listings.
        head: registered head; with ``head_options`` its keyword arguments.
        backbone: registered backbone; with ``backbone_options``.
        preprocessors: registered preprocessors, first one first, each (name, options).
        segmenter: registered segmenter or None; with ``segmenter_options``.
        checkpoint: folder or resource the parts load their weights from, None where nothing is trained.
        api: the hook API version it was written for.
    """

    kind: ClassVar[str] = "system"

    name: str
    summary: str
    head: str
    backbone: str
    head_options: Mapping[str, Any] = field(default_factory=dict)
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    preprocessors: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    segmenter: str | None = None
    segmenter_options: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    api: int = HOOK_API


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSpec:
    """A suite file that a plugin ships.

    Attributes:
        name: what users type after ``rsground bench``.
        summary: one line for listings.
        resource: ``"package:path/inside/package.toml"``.
        api: the hook API version it was written for.
    """

    kind: ClassVar[str] = "suite"

    name: str
    summary: str
    resource: str
    api: int = HOOK_API


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """A subcommand of the ``rsground`` command line.

    Attributes:
        name: the word after ``rsground``.
        summary: one line for ``--help``.
        module: imported when the command runs; holds ``add_arguments(parser)`` and ``run(args) -> int``.
        api: the hook API version it was written for.
    """

    kind: ClassVar[str] = "command"

    name: str
    summary: str
    module: str
    api: int = HOOK_API
