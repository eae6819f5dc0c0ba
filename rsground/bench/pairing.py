"""Which answers of two runs are about the same question: the samples both have, told by what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsground.bench.results import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SamplePairs:
    """The samples of a data set in two runs.

    Attributes:
        dataset: its label.
        places: sample's place in the run → its place in the baseline, where both ask the same.
        changed: ids that both have, with another question, target or image name: not compared.
        added, removed: ids that only the run, only the baseline has.
    """

    dataset: str
    places: Mapping[int, int]
    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def pair_samples(run: Run, baseline: Run, dataset: str) -> SamplePairs:
    """The samples of a data set that two runs share."""
    ours, theirs = run.sample_keys(dataset), baseline.sample_keys(dataset)
    places, changed = {}, []
    for ident, (place, digest) in ours.items():
        if ident in theirs:
            other, before = theirs[ident]
            if digest == before:
                places[place] = other
            else:
                changed.append(ident)
    added = tuple(ident for ident in ours if ident not in theirs)
    removed = tuple(ident for ident in theirs if ident not in ours)
    return SamplePairs(dataset, places, tuple(changed), added, removed)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of two tables that belong together.

    Attributes:
        run, baseline: ``(n,)`` row numbers; the k-th of both answer one sample, with one seed where the runs share any.
        unpaired: rows that only one of both has, of samples both asked.
        other_seeds: whether the runs share no seed, so that seeds were paired in ascending order.
    """

    run: Places
    baseline: Places
    unpaired: int
    other_seeds: bool


def pair_rows(pairs: SamplePairs, run: Mapping[str, Any], baseline: Mapping[str, Any]) -> Rows:
    """Pair the rows of two tables by sample and seed.

    Args:
        pairs: of the data set.
        run, baseline: ``index`` and ``seed`` of the rows, ``(n,)`` each.
    """
    ours, theirs = np.unique(run["seed"]).tolist(), np.unique(baseline["seed"]).tolist()
    shared = [seed for seed in ours if seed in theirs]
    seeds = dict(zip(shared, shared, strict=True)) if shared else dict(zip(ours, theirs, strict=False))
    there = {(int(i), int(s)): row for row, (i, s) in enumerate(zip(baseline["index"], baseline["seed"], strict=True))}
    back = set(pairs.places.values())
    found, met, missing = [], [], 0
    for row, (index, seed) in enumerate(zip(run["index"].tolist(), run["seed"].tolist(), strict=True)):
        place = pairs.places.get(index)
        if place is None or seed not in seeds:
            continue
        other = there.get((place, seeds[seed]))
        if other is None:
            missing += 1
        else:
            found.append(row)
            met.append(other)
    expected = sum(1 for index, seed in there if index in back and seed in set(seeds.values()))
    return Rows(
        np.array(found, np.int64),
        np.array(met, np.int64),
        missing + expected - len(met),
        bool(ours and theirs and not shared),
    )
