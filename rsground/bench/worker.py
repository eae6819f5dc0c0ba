"""The worker process of a run, ``python -m rsground.bench.worker``: takes tasks, answers their steps, sends records.

It is the worker of :mod:`rsground.isolation.worker` with other work: same frames, same ``hello``, ``usage`` and
``shutdown``; ``load`` brings the jobs of a run, ``work`` a task of theirs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rsground.bench.marker import Marker, open_marker
from rsground.bench.messages import Records, job_from_message, report_to_message, task_from_message
from rsground.bench.work import Task, Workbench
from rsground.errors import ProtocolError
from rsground.isolation.calls import Calls
from rsground.isolation.worker import serve

SEND_EVERY_S = 0.02
"""Records of quick steps are collected for so long before they are sent."""


def main() -> None:
    """Work until the parent says so or is gone."""
    serve(WorkCalls)


class WorkCalls(Calls):
    """The jobs of a run at work."""

    def __init__(self) -> None:
        super().__init__()
        self._bench: Workbench | None = None
        self._marker: Marker | None = None
        self.offer(load=self._load, work=self._work)

    def close(self) -> None:
        """Close all systems."""
        if self._bench is not None:
            self._bench.close()

    def _load(self, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        del attachment
        self._bench = Workbench([job_from_message(job) for job in message["jobs"]])
        self._marker = open_marker(message["marker"])
        return {}

    def _work(self, message: Mapping[str, Any], attachment: bytes) -> Iterator[dict[str, Any]]:
        if self._bench is None or self._marker is None:
            raise ProtocolError("'work' before 'load'")
        task = task_from_message(message["id"], message, attachment)
        self.answered += sum(len(item.jobs) for item in task.items)
        return work(self._bench, task, self._marker)


def work(bench: Workbench, task: Task, marker: Marker) -> Iterator[dict[str, Any]]:
    """Answer all steps of a task; reports of it, as messages.

    Args:
        bench: answers them.
        task: what to do.
        marker: is told of every call as it begins; see :mod:`rsground.bench.marker`.
    """
    began = sent = time.monotonic()
    ready: list[tuple[int, Records]] = []
    for number, step in enumerate(task.steps()):
        marker[0], marker[1] = task.number, number
        if not bench.is_ready(step.job):
            marker[2] = -time.monotonic_ns()
            bench.prepare(step.job)
        marker[2] = time.monotonic_ns()
        ready.append((number, list(bench.answer(task, step))))
        now = time.monotonic()
        if now - sent > SEND_EVERY_S:
            yield report_to_message(ready, now - began)
            ready, sent = [], now
    marker[2] = 0
    yield report_to_message(ready, time.monotonic() - began)


if __name__ == "__main__":
    main()
