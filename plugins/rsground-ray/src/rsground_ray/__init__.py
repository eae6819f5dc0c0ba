"""Runs on Ray: the same plan, the same store and the same scores as on one machine."""

from rsground import ExecutorSpec, hookimpl


@hookimpl
def rsground_executors() -> list[ExecutorSpec]:
    """The executor."""
    return [
        ExecutorSpec(
            name="ray",
            target="rsground_ray.executor:RayExecutor",
            summary="actors on a Ray cluster or this machine: retries, GPU shares, latency measured alone",
            requires=("ray",),
        )
    ]
