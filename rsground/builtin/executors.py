"""Executors that ship in the core."""

from rsground.specs import ExecutorSpec

EXECUTORS: list[ExecutorSpec] = [
    ExecutorSpec(
        name="local",
        target="rsground.bench.local:LocalExecutor",
        summary="in this process, or in worker processes of this machine",
    )
]
