"""The executor ``ray``: actors on a cluster, or on this machine."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rsground.contracts import Executor, Job, Notice, Outcome
from rsground.errors import ShapeError, WorkerError

if TYPE_CHECKING:
    from rsground_ray.crew import Hire

GIB = 1 << 30
_SHARE = 0.9
"""Of a worker's part of a card, how much must be free before it starts; the driver keeps some for itself."""


class RayExecutor(Executor):
    """Works off jobs on Ray. Answers are those of the executor ``local``, to the last digit.

    Args:
        workers: actors; each holds the systems it works on.
        address: of a cluster, None for the one in ``RAY_ADDRESS``, else Ray is started here and ended with the run.
        gpus_per_worker: may be a part of one. None: one where the cluster has any and a system needs more than the
            core, else none.
        cpus_per_worker: as Ray counts them.
        timeout_s: longest a call of a system may take; the worker is then replaced and the sample asked again.
        retries: how often a sample is asked again after a worker died over it; then it counts as not answered.
        lease: ``"auto"`` measures the time of systems that need more than the core while nothing else of rsground
            runs on the card (the machine, where a worker has no card); ``"all"`` of every system; ``"off"`` measures
            as it comes.
        latency_every: under a lease, only every so-manieth sample is measured (and has a time); the others, and
            batches, run side by side. 1: all, 0: none.
        min_free_gpu_gib: free memory of its card that a worker waits for; None: nine tenths of its part of the card.
        min_free_ram_gib: likewise of the machine.
        patience_s: how long to wait for memory, or go without any worker.
    """

    def __init__(
        self,
        workers: int = 1,
        address: str | None = None,
        *,
        gpus_per_worker: float | None = None,
        cpus_per_worker: float = 1.0,
        timeout_s: float | None = None,
        retries: int = 3,
        lease: str = "auto",
        latency_every: int = 1,
        min_free_gpu_gib: float | None = None,
        min_free_ram_gib: float = 0.5,
        patience_s: float = 600.0,
    ) -> None:
        for name, value in (("workers", workers), ("cpus_per_worker", cpus_per_worker), ("patience_s", patience_s)):
            if value <= 0:
                raise ShapeError(f"option {name!r} must be above 0, got {value}")
        if timeout_s is not None and timeout_s <= 0:
            raise ShapeError(f"option 'timeout_s' must be above 0, got {timeout_s}")
        numbers = {"retries": retries, "latency_every": latency_every, "min_free_ram_gib": min_free_ram_gib}
        for name, number in {
            **numbers,
            "gpus_per_worker": gpus_per_worker,
            "min_free_gpu_gib": min_free_gpu_gib,
        }.items():
            if number is not None and number < 0:
                raise ShapeError(f"option {name!r} must be 0 or more, got {number}")
        if gpus_per_worker is not None and gpus_per_worker > 1 and gpus_per_worker != int(gpus_per_worker):
            raise ShapeError(f"option 'gpus_per_worker' must be a part of one or a whole number, got {gpus_per_worker}")
        if lease not in ("auto", "all", "off"):
            raise ShapeError(f"option 'lease' must be 'auto', 'all' or 'off', got {lease!r}")
        self.workers, self.address, self.timeout_s = workers, address, timeout_s
        self._gpus, self._cpus, self._retries = gpus_per_worker, cpus_per_worker, retries
        self._lease, self._every = lease, latency_every
        self._min_gpu, self._min_ram, self._patience_s = min_free_gpu_gib, min_free_ram_gib, patience_s

    def run(self, jobs: Sequence[Job], done: Mapping[str, Container[int]]) -> Iterator[Outcome | Notice]:
        """As :meth:`rsground.contracts.Executor.run`.

        Raises:
            WorkerError: no cluster, no room on it, other code on it, or workers die before they answer anything.
            ContractError: samples cannot be sent to workers.
        """
        from rsground.bench.drive import drive
        from rsground_ray.crew import RayCrew
        from rsground_ray.session import joined

        if not jobs:
            return
        with joined(self.address, self.workers * self._cpus):
            hire = self._hire(jobs)
            yield from drive(jobs, done, lambda: RayCrew(jobs, hire))

    def _hire(self, jobs: Sequence[Job]) -> Hire:
        import ray

        from rsground_ray.crew import Hire
        from rsground_ray.memory import Need
        from rsground_ray.worker import Terms

        has = ray.cluster_resources()
        heavy = frozenset(place for place, job in enumerate(jobs) if not job.system.get("light", False))
        gpus = self._gpus if self._gpus is not None else float(bool(heavy) and has.get("GPU", 0) >= 1)
        for kind, wanted in (("GPU", gpus), ("CPU", self._cpus)):
            if has.get(kind, 0) < wanted:
                raise WorkerError(
                    f"a worker needs {wanted:g} {kind}, the whole Ray cluster has {has.get(kind, 0):g}; "
                    f"ask for less with --{'gpus-per-worker' if kind == 'GPU' else 'executor-option cpus_per_worker'}"
                )
        leased = {"auto": heavy, "all": frozenset(range(len(jobs))), "off": frozenset[int]()}[self._lease]
        card = None if self._min_gpu is None else int(self._min_gpu * GIB)
        need = Need(int(self._min_ram * GIB), card, _SHARE * min(gpus, 1.0))
        terms = Terms(leased, self._every, need, self._patience_s, os.getcwd())
        return Hire(self.workers, self._cpus, gpus, self._retries, self.timeout_s, self._patience_s, terms)
