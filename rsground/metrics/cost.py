"""What answers cost: latency, time, tokens, memory, operations, and how many could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from rsground.records import USAGE
from rsground.types import Prediction, Usage


def summarise_cost(usages: Iterable[Usage]) -> dict[str, float]:
    """Cost over many answers; what was never measured is left out.

    Returns:
        ``latency_p50_s``, ``latency_p95_s``, ``latency_mean_s`` (linear quantiles over the answers with a latency, and
        ``latency_n`` of them), ``time_s``, ``visual_tokens``, ``prompt_tokens``, ``output_tokens``, ``flops`` (means
        over the answers that tell), ``output_tokens_p95``, ``peak_memory_bytes`` (the largest).
    """
    columns: dict[str, list[float]] = {name: [] for name in USAGE}
    for usage in usages:
        for name in USAGE:
            value = getattr(usage, name)
            if value is not None and np.isfinite(value):
                columns[name].append(float(value))
    found: dict[str, float] = {}
    if latency := columns.pop("latency_s"):
        p50, p95 = np.quantile(latency, [0.5, 0.95])
        found |= {"latency_p50_s": float(p50), "latency_p95_s": float(p95), "latency_mean_s": float(np.mean(latency))}
        found["latency_n"] = float(len(latency))
    if memory := columns.pop("peak_memory_bytes"):
        found["peak_memory_bytes"] = max(memory)
    if columns["output_tokens"]:
        found["output_tokens_p95"] = float(np.quantile(columns["output_tokens"], 0.95))
    return found | {name: float(np.mean(values)) for name, values in columns.items() if values}


def summarise_failures(predictions: Iterable[Prediction]) -> dict[str, float]:
    """Shares and counts of answers that were lost or mended.

    Returns:
        ``n``, ``parse_rate`` (share of answers that came and could be read), ``error_rate`` (share of systems that
        did not answer), and ``issue/<code>``: number of answers with that issue.
    """
    count = parsed = errors = 0
    issues: Counter[str] = Counter()
    for prediction in predictions:
        count += 1
        parsed += prediction.parsed and prediction.error is None
        errors += prediction.error is not None
        issues.update({issue.code for issue in prediction.issues})
    if not count:
        return {"n": 0.0}
    rates = {"n": float(count), "parse_rate": parsed / count, "error_rate": errors / count}
    return rates | {f"issue/{code}": float(number) for code, number in sorted(issues.items())}
