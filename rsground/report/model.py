"""What a report shows, as frozen records: built from a run in one place, read by every renderer.

Renderers (:mod:`~rsground.report.html`, ``markdown``, ``latex``, ``tabular``, ``terminal``) know these records and
nothing of the store; :mod:`rsground.report.collect` knows the store and nothing of any output format. All text in
here is untrusted: it comes from data sets, from models and from the names users give to systems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Score:
    """One number with what it rests on.

    Attributes:
        value: the score on its own scale; nan where it does not apply.
        low, high: bounds of the interval, None where none was computed.
        n: samples behind it.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a system's answers on one data set cost; None where it was not measured.

    Attributes:
        n: answers counted.
        chars: mean length of the answer, characters.
        tokens: mean output tokens of the backbone's tokenizer.
        visual_tokens: mean visual tokens.
        latency_p50, latency_p95: seconds per answer, of those that were asked alone.
        time: mean seconds per answer; of answers that were asked together, the batch's divided by its samples.
        memory: highest peak memory, bytes.
        flops: mean floating point operations per answer.
        unparsed: answers that could not be read (counted as wrong).
        errors: answers that never came (crash, timeout; counted as wrong).
    """

    n: int = 0
    chars: float | None = None
    tokens: float | None = None
    visual_tokens: float | None = None
    latency_p50: float | None = None
    latency_p95: float | None = None
    time: float | None = None
    memory: float | None = None
    flops: float | None = None
    unparsed: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """A system of the run.

    Attributes:
        label: its unique name in the suite.
        family: what it is grouped by in long leaderboards: its head, or its codec.
        summary: its parts in one line.
        role: ``"system"``, or what it is instead: see :class:`rsground.bench.roles.Role`.
    """

    label: str
    family: str = ""
    summary: str = ""
    role: str = "system"


@dataclass(frozen=True, slots=True)
class Pair:
    """A paired permutation test between two systems on the same samples.

    Attributes:
        first, second: labels.
        effect: mean difference ``first - second`` of the paired statistic, on the score's scale.
        p: two-sided p value, uncorrected.
        p_adjusted: after Holm's correction over all pairs tested together.
        n: samples both answered.
    """

    first: str
    second: str
    effect: float
    p: float
    p_adjusted: float
    n: int = 0


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A score split by one property of the samples.

    Attributes:
        axis: stable name (``"size"``); ``title`` is the one for people.
        score: name of the score that is split.
        bins: bin labels in reading order; ``counts`` the samples in each.
        values: system label → one score per bin, None where a bin is empty for it.
    """

    axis: str
    title: str
    score: str
    bins: tuple[str, ...]
    counts: tuple[int, ...]
    values: Mapping[str, tuple[Score | None, ...]]


@dataclass(frozen=True, slots=True)
class Board:
    """One scoring protocol on one data set: a leaderboard and what explains it.

    Attributes:
        metric: registered name of the protocol; ``summary`` is its one line.
        primary: the score rows are sorted by.
        higher_is_better: direction of ``primary``.
        scores: names of all scores, ``primary`` first.
        rows: system label → score name → score.
        paired: name of the statistic that pairs compare.
        pairs: tests between the systems in ``tested``.
        tested: labels that took part in ``pairs``, best first.
        breakdowns: splits of ``primary``.
        aside: label → role, of rows that are no systems and have no rank; empty where the run has no system at all.
    """

    metric: str
    primary: str
    scores: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Score]]
    summary: str = ""
    higher_is_better: bool = True
    paired: str = ""
    pairs: tuple[Pair, ...] = ()
    tested: tuple[str, ...] = ()
    breakdowns: tuple[Breakdown, ...] = ()
    aside: Mapping[str, str] = field(default_factory=dict)

    def ranking(self) -> tuple[str, ...]:
        """Labels, best ``primary`` first, without that score last, ties in the run's order; at the end those aside."""
        sign = -1.0 if self.higher_is_better else 1.0

        def key(label: str) -> tuple[bool, bool, float]:
            score = self.rows[label].get(self.primary)
            missing = score is None or score.value != score.value
            return (label in self.aside, missing, 0.0 if missing or score is None else sign * score.value)

        return tuple(sorted(self.rows, key=key))

    def ranked(self) -> tuple[str, ...]:
        """The part of :meth:`ranking` that has ranks: the systems."""
        return tuple(label for label in self.ranking() if label not in self.aside)


@dataclass(frozen=True, slots=True)
class Overlay:
    """One system's answer to a gallery sample.

    Attributes:
        system: label.
        paths: SVG path data in picture pixels, one per region.
        score: the paired statistic of this answer (an IoU as a rule), None where it does not apply.
        issues: codes of what the reader could not use.
        text: the raw answer, shortened.
        error: why there is no answer, None when there is one.
    """

    system: str
    paths: tuple[str, ...] = ()
    score: float | None = None
    issues: tuple[str, ...] = ()
    text: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """One sample with every shown system's answer drawn on it.

    Attributes:
        sample, image: sample id and image name.
        expression: what was asked.
        jpeg: the picture, a JPEG; empty where the pixels could not be read (``why`` says why).
        width, height: of the picture, pixels.
        window: (x1, y1, x2, y2) of the original image that the picture shows, original pixels.
        size: (height, width) of the original image.
        target: SVG path data of the annotated regions in picture pixels.
        has_target: false where the annotation says that nothing is there.
        overlays: one per system.
        picked: why this sample is shown, a few words.
    """

    sample: str
    image: str
    expression: str
    jpeg: bytes
    width: int
    height: int
    window: tuple[float, float, float, float]
    size: tuple[int, int]
    target: tuple[str, ...] = ()
    has_target: bool = True
    overlays: tuple[Overlay, ...] = ()
    why: str = ""
    picked: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """One bad answer, for the failure browser."""

    system: str
    sample: str
    image: str
    expression: str
    score: float | None
    issues: tuple[str, ...] = ()
    text: str = ""
    error: str | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A record of a data set that was skipped, and why."""

    dataset: str
    path: str
    line: int | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class DatasetBlock:
    """Everything about one data set of the run.

    Attributes:
        label: as the suite names it; ``name`` is the registered reader, ``split`` the split.
        tasks: tasks of its samples.
        samples, images: how many were asked and shown.
        note: one line such as the licence, empty where there is none.
        boards: one per protocol.
        costs: system label → cost.
        issues: system label → issue code → count over all answers.
        gallery, failures: examples; ``failures_total`` counts all answers that ``failures`` was picked from.
    """

    label: str
    name: str
    split: str = ""
    tasks: tuple[str, ...] = ()
    samples: int = 0
    images: int = 0
    note: str = ""
    boards: tuple[Board, ...] = ()
    costs: Mapping[str, Cost] = field(default_factory=dict)
    issues: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    gallery: tuple[GalleryItem, ...] = ()
    failures: tuple[Failure, ...] = ()
    failures_total: int = 0


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a reader needs to know before believing a number.

    Attributes:
        suite: its name; ``title`` one line on what it compares.
        created: when the run was started, as the run says it.
        command: what reproduces the run.
        seeds: of systems that draw.
        versions: package → version.
        facts: further (label, value) lines, in order.
        complete: false while samples are missing; ``progress`` says how far it got.
    """

    suite: str
    title: str = ""
    created: str = ""
    command: str = ""
    seeds: tuple[int, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: tuple[tuple[str, str], ...] = ()
    complete: bool = True
    progress: str = ""


@dataclass(frozen=True, slots=True)
class ReportData:
    """A whole report, ready to be written in any format.

    Attributes:
        run: facts for the header.
        systems: in the suite's order.
        datasets: in the suite's order.
        broken: records skipped while reading (the first ones); ``broken_total`` counts all.
        baseline: label that others are compared with, None for none.
        ceilings: whether scores are those of a perfect model through each representation.
        confidence: level of the intervals.
    """

    run: RunFacts
    systems: tuple[SystemInfo, ...]
    datasets: tuple[DatasetBlock, ...]
    broken: tuple[BrokenRow, ...] = ()
    broken_total: int = 0
    baseline: str | None = None
    ceilings: bool = False
    confidence: float = 0.95

    def family(self, label: str) -> str:
        """The family of a system, empty for an unknown one."""
        return next((system.family for system in self.systems if system.label == label), "")
