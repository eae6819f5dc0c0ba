"""Executors that ship in the core."""

from rsground.specs import ExecutorSpec

EXECUTORS: list[ExecutorSpec] = []
