"""The records that reading a run answers: its parts, its statistics, its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsground.bench.roles import Role, role_of
from rsground.contracts import Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsground.types import Prediction, Sample


@dataclass(frozen=True, slots=True)
class SystemRow:
    """A system of the run.

    Attributes:
        label: its unique name in the suite; what every method below takes.
        family: what long leaderboards group it by: its codec, or its head.
        spec: its parts as the suite gave them: ``head``, ``head_options``, ``backbone``, ``backbone_options``,
            ``preprocess`` (list of [name, options]), ``segmenter``, ``checkpoint``.
    """

    label: str
    family: str
    spec: Mapping[str, Any]

    @property
    def role(self) -> Role:
        """Whether it competes, or is what others are held against."""
        return role_of(self.spec)


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A data set of the run.

    Attributes:
        label: its unique name in the run; what every method below takes.
        name, root, split, options: what it was opened with.
        fingerprint: content key of its annotations.
        limit: samples asked at most, from the first; None for all.
        size: usable samples in the run (the limit applied); None until a pass has reached the end.
        samples, images: how many samples were answered by any system so far, and over how many images.
        asked: tasks the samples were cut to; empty for all.
        tasks: tasks of those samples.
        broken: records that were skipped.
    """

    label: str
    name: str
    root: str | None
    split: str
    options: Mapping[str, Any]
    fingerprint: str
    limit: int | None
    size: int | None
    samples: int
    images: int
    asked: tuple[str, ...]
    tasks: tuple[str, ...]
    broken: int


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A scoring protocol of the run, as it was when the run was made.

    Attributes:
        name: registered name; with ``options`` its keyword arguments.
        label: its unique name in the run; what every method below takes. The registered name, as a rule.
        primary, higher_is_better, statistics, payloads, paired, tasks: as in :class:`rsground.contracts.Metric`.
        summary: one line.
    """

    name: str
    label: str
    options: Mapping[str, Any]
    primary: str
    higher_is_better: bool
    statistics: tuple[str, ...]
    payloads: tuple[str, ...]
    paired: str | None
    tasks: tuple[str, ...]
    summary: str

    def load(self) -> Metric:
        """The protocol itself, to summarise columns with.

        Raises:
            UnknownNameError, PluginError: the plugin that brought it is not installed here.
        """
        from rsground.bench.protocols import protocol

        return protocol(self.name, self.options)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The statistics of one system under one protocol on one data set, a row per answer.

    Attributes:
        metric: the protocol.
        columns: statistic → ``(n,)`` float64 (object for payloads), as :meth:`Metric.summarise` takes them.
        index: ``(n,)`` int64: the sample's place in the data set's order; pairs rows of two systems.
        seed: ``(n,)`` int64: the seed of the answer.
        images: ``(n,)`` int64 image codes, equal for samples of one image: the clusters of the bootstrap.
    """

    metric: MetricRow
    columns: Mapping[str, NDArray[Any]]
    index: NDArray[np.int64]
    seed: NDArray[np.int64]
    images: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """One answer with its question.

    Attributes:
        index: place of the sample in the data set's order.
        seed: of the system that answered.
        sample: with targets and meta. Its images can be read where they are files; for drawn ones see
            :meth:`Run.images`.
        prediction: in the original image's pixels.
    """

    index: int
    seed: int
    sample: Sample
    prediction: Prediction
