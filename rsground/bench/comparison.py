"""What a comparison of two runs says, as frozen records: made by :mod:`.compare`, shown by the report's renderers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rsground.bench.roles import Role
from rsground.records import finite


class Verdict(StrEnum):
    """What can be said of a change."""

    WORSE = "worse"  # significantly
    BETTER = "better"  # significantly
    SAME = "same"  # not significantly different
    UNTESTED = "untested"  # nothing tests it


@dataclass(frozen=True, slots=True)
class Rules:
    """When a change is one.

    Attributes:
        alpha: chance, at most, of calling any score of the comparison worse or better when all are exchangeable.
        tolerance: a significantly worse score is a regression only if it is worse by more than this, on its own scale.
        cost_tolerance: a cost likewise: 0.1 allows a tenth more.
        scores: patterns of scores to compare beside each protocol's primary one.
        costs_count: whether costs can be regressions at all.
        permutations, replicates, level, seed: as in :func:`rsground.bench.score_changes.compare_scores`.
    """

    alpha: float = 0.05
    tolerance: float = 0.0
    cost_tolerance: float = 0.1
    scores: tuple[str, ...] = ()
    costs_count: bool = False
    permutations: int = 10_000
    replicates: int = 1000
    level: float = 0.95
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A score or a cost of one system on one data set, before and after.

    Attributes:
        system, dataset: labels.
        metric: label of the protocol, ``"cost"`` for a cost.
        name: of the score or cost.
        before, after: on the samples that both runs answered; geometric means for a cost.
        change: ``after - before``; for a cost the geometric mean of the ratios ``after / before``.
        low, high: interval of ``change``, None where none can be told.
        p: two-sided, None where nothing tests it; ``p_adjusted`` after Holm's correction over all scores (all costs).
        n, images: samples (times seeds) compared, and the images they are about.
        higher_is_better: direction; False for costs.
        verdict: what can be said of it.
        regression: whether it is worse and beyond the tolerance, of what is not blind in both runs.
        tested: the statistic that was tested in the score's place, empty where the score itself was.
        left_out: answers of shared samples that only one of the runs has, or (a cost) has measured.
        role: ``"system"``, or what stands beside the systems in its place, see :class:`rsground.bench.roles.Role`.
    """

    system: str
    dataset: str
    metric: str
    name: str
    before: float
    after: float
    change: float
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    n: int
    images: int
    higher_is_better: bool
    verdict: Verdict
    regression: bool
    tested: str = ""
    left_out: int = 0
    role: str = Role.SYSTEM.value

    @property
    def is_cost(self) -> bool:
        """Whether it is a cost, whose change is a ratio."""
        return self.metric == "cost"

    def to_json(self) -> dict[str, Any]:
        """JSON-able; what is not finite is null."""
        names = ("before", "after", "change", "low", "high", "p", "p_adjusted")
        found = {name: getattr(self, name) for name in self.__slots__}
        return found | {name: finite(found[name]) for name in names} | {"verdict": self.verdict.value}


@dataclass(frozen=True, slots=True)
class RunName:
    """Which run it was.

    Attributes:
        folder: as it was named.
        suite: the suite's name.
        created: when it was started.
        version: of rsground, with the commit where it is known.
    """

    folder: str
    suite: str
    created: str
    version: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that only one of the runs has, and that therefore is not compared.

    Attributes:
        what: ``"system"``, ``"data set"``, ``"protocol"``, ``"samples"``, ``"changed samples"`` ...
        names: of them; ``total`` counts all where the list is cut.
        where: what has it: ``"run"``, ``"baseline"`` or ``"both"`` (but differently).
        dataset: label, where it is part of a data set.
    """

    what: str
    names: tuple[str, ...]
    total: int
    where: str
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run and a baseline, compared.

    Attributes:
        run, baseline: which they were.
        rules: what was asked.
        scores, costs: in the suite's order.
        missing: what is in one of them only.
        notes: what a reader must know before believing the rest.
    """

    run: RunName
    baseline: RunName
    rules: Rules
    scores: tuple[Change, ...]
    costs: tuple[Change, ...] = ()
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def score_regressions(self) -> tuple[Change, ...]:
        """Scores that are worse."""
        return tuple(change for change in self.scores if change.regression)

    @property
    def cost_regressions(self) -> tuple[Change, ...]:
        """Costs that are worse, where costs count."""
        return tuple(change for change in self.costs if change.regression)

    @property
    def regressions(self) -> tuple[Change, ...]:
        """All of them."""
        return self.score_regressions + self.cost_regressions

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        runs = {
            name: {key: getattr(side, key) for key in RunName.__slots__}
            for name, side in (("run", self.run), ("baseline", self.baseline))
        }
        return {
            **runs,
            "rules": {name: getattr(self.rules, name) for name in Rules.__slots__},
            "regressions": len(self.regressions),
            "scores": [change.to_json() for change in self.scores],
            "costs": [change.to_json() for change in self.costs],
            "missing": [{name: getattr(one, name) for name in Missing.__slots__} for one in self.missing],
            "notes": list(self.notes),
        }
