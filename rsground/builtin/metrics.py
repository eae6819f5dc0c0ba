"""Metrics that ship in the core."""

from rsground.specs import MetricSpec

METRICS: list[MetricSpec] = []
