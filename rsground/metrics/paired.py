"""Is one system better than another? Paired sign-flip tests clustered by image, and correction for many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsground.errors import ShapeError
from rsground.metrics.intervals import cluster_codes
from rsground.metrics.sums import Floats

EXACT_CLUSTERS = 12
"""Up to this many differing clusters all sign patterns are tried instead of drawn."""
_CHUNK = 1 << 22


class PairedTest(NamedTuple):
    """How two systems compare on the samples that both have a value for.

    Attributes:
        difference: mean of ``a - b`` over samples.
        p: two-sided p-value of "the two are exchangeable on every image".
        effect: Cohen's d of paired data: mean / standard deviation of the image means of ``a - b``; 0 where all are
            equal to 0, infinite where they are equal to anything else.
        wins, losses: share of images on which a's mean is above, below b's.
        n: samples compared.
        clusters: images compared.
    """

    difference: float
    p: float
    effect: float
    wins: float
    losses: float
    n: int
    clusters: int


class Comparison(NamedTuple):
    """One pair of systems among several, with corrected p-values.

    Attributes:
        first, second: names.
        test: the pair alone; ``difference`` is first - second.
        p_holm: p-value that keeps the chance of *any* false claim (Holm 1979).
        p_bh: p-value that keeps the expected share of false claims (Benjamini & Hochberg 1995).
    """

    first: str
    second: str
    test: PairedTest
    p_holm: float
    p_bh: float


def paired_permutation(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Sequence[Any] | NDArray[Any],
    *,
    permutations: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """Sign-flip permutation test of per-sample values, all samples of an image flipping together.

    Under the null hypothesis the two systems' answers to an image may be exchanged, which flips the sign of the
    image's summed difference. The statistic is |sum of a - b|; p = (1 + patterns at least as extreme) / (1 +
    patterns drawn), or the exact share of all patterns where at most 12 images differ. Samples where either value is
    NaN are left out. Equal seeds give equal p.

    Args:
        a, b: ``(n,)`` values of the same samples.
        clusters: ``(n,)`` names of what flips together, usually image uris.
        permutations: sign patterns drawn.
        seed: of the draws.

    Raises:
        ShapeError: lengths differ, or ``permutations`` < 1.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(clusters) != len(first) or permutations < 1:
        raise ShapeError(
            "a paired test needs two (n,) arrays of the same samples, n clusters and permutations >= 1, got "
            f"{first.shape}, {second.shape}, {len(clusters)} and {permutations}"
        )
    both = ~(np.isnan(first) | np.isnan(second))
    if not both.any():
        return PairedTest(float("nan"), 1.0, 0.0, 0.0, 0.0, 0, 0)
    difference = (first - second)[both]
    codes = cluster_codes([name for name, kept in zip(clusters, both, strict=True) if kept])
    sums: Floats = np.bincount(codes, weights=difference).astype(np.float64)
    means = sums / np.bincount(codes)
    return PairedTest(
        difference=float(difference.mean()),
        p=_sign_flip_p(sums, permutations, np.random.default_rng(seed)),
        effect=_cohens_d(means),
        wins=float((means > 0).mean()),
        losses=float((means < 0).mean()),
        n=len(difference),
        clusters=len(sums),
    )


def _sign_flip_p(sums: Floats, permutations: int, rng: np.random.Generator) -> float:
    moved = sums[sums != 0.0]
    if not len(moved):
        return 1.0
    bar = abs(float(moved.sum())) - 1e-9 * float(np.abs(moved).sum())  # round-off must not turn a tie into a win
    if len(moved) <= EXACT_CLUSTERS:
        bits = (np.arange(1 << len(moved))[:, None] >> np.arange(len(moved))) & 1
        return float((np.abs((2.0 * bits - 1.0) @ moved) >= bar).mean())
    step, extreme = max(1, _CHUNK // len(moved)), 0
    for start in range(0, permutations, step):
        size = min(step, permutations - start)
        flips = rng.integers(0, 2, (size, len(moved)), dtype=np.int8)
        totals = float(moved.sum()) - 2.0 * (flips @ moved)
        extreme += int(np.count_nonzero(np.abs(totals) >= bar))
    return (1 + extreme) / (1 + permutations)


def _cohens_d(means: Floats) -> float:
    centre = float(means.mean())
    spread = float(means.std(ddof=1)) if len(means) > 1 else 0.0
    if spread <= 1e-12 * max(1.0, abs(centre)):
        return 0.0 if centre == 0.0 else float(np.copysign(np.inf, centre))
    return centre / spread


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down correction of p-values ``(m,)``: the smallest times m, the next times m - 1, never falling."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    return _placed(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini and Hochberg's step-up correction of p-values ``(m,)``: the k-th smallest times m / k, never rising."""
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    stepped = values[order] * len(values) / (1.0 + np.arange(len(values)))
    return _placed(np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0), order)


def _placed(ordered: Floats, order: NDArray[np.intp]) -> Floats:
    found = np.empty_like(ordered)
    found[order] = ordered
    return found


def compare_systems(
    values: Mapping[str, ArrayLike],
    clusters: Sequence[Any] | NDArray[Any],
    *,
    permutations: int = 10_000,
    seed: int = 0,
) -> list[Comparison]:
    """Every pair of systems, tested and corrected for the number of pairs.

    Args:
        values: system → ``(n,)`` per-sample values (a metric's :attr:`~rsground.contracts.Metric.paired` column),
            NaN where a system has none.
        clusters: ``(n,)`` image uris.
        permutations: sign patterns drawn per pair.
        seed: of the draws; every pair uses the same.
    """
    pairs = list(combinations(values, 2))
    tests = [paired_permutation(values[a], values[b], clusters, permutations=permutations, seed=seed) for a, b in pairs]
    by_holm, by_bh = holm([test.p for test in tests]), benjamini_hochberg([test.p for test in tests])
    return [
        Comparison(a, b, test, float(p_holm), float(p_bh))
        for (a, b), test, p_holm, p_bh in zip(pairs, tests, by_holm, by_bh, strict=True)
    ]
