"""Ray itself: joined where it runs, started where it does not, and left as it was found."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from rsground.bench.environment import cores
from rsground.errors import WorkerError
from rsground_ray.keeper import NAMESPACE

_STORE_BYTES = 80 << 20
"""Tasks and records are small; nothing else goes through Ray's object store."""


@contextmanager
def joined(address: str | None, cpus: float) -> Iterator[None]:
    """While entered, this process drives a Ray cluster.

    Args:
        address: of a cluster; None for the one in ``RAY_ADDRESS``, else a new one on this machine.
        cpus: a new one is told it has at least so many.

    Raises:
        WorkerError: the cluster cannot be reached.
    """
    if ray.is_initialized():  # whoever started it ends it
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray would step back behind everything else: no latency then
    new = {} if address else _for_new(cpus)
    with _handlers_kept():
        try:
            ray.init(
                address=address or "local",
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
                **new,
            )
        except Exception as error:  # Ray raises what it likes, plain Exception included; the reason is handed on
            what = f"no Ray cluster at {address}" if address else "Ray cannot be started on this machine"
            raise WorkerError(f"{what}: {' '.join(str(error).split())}") from error
    try:
        yield
    finally:
        with _handlers_kept():
            ray.shutdown()


def _for_new(cpus: float) -> dict[str, object]:
    return {
        "num_cpus": max(cores(), math.ceil(cpus)),
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
    }


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray installs a handler for SIGTERM; the run has its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
