"""What runs in a worker process: take a task, answer its steps, send the records back."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from rsground.bench.work import Task, Workbench
from rsground.contracts import Job

SEND_EVERY_S = 0.02
"""Records of quick steps are collected for so long before they are sent."""


class Report(NamedTuple):
    """What a worker sends.

    Attributes:
        task: its number.
        steps: (place of the step in the task, [(place of the item in the task, record)]).
        seconds: spent on the task so far.
        finished: whether this is the task's last report.
    """

    task: int
    steps: list[tuple[int, list[tuple[int, dict[str, Any]]]]]
    seconds: float
    finished: bool


def main(connection: Connection, jobs: Sequence[Job], marker: Any) -> None:
    """Work until the parent says so or is gone.

    Args:
        connection: tasks come in, reports go out; None comes in at the end.
        jobs: of the run.
        marker: three shared int64: task, step and ``time.monotonic_ns()`` of the call that is running now, negative
            while its system is being built, 0 between tasks. Who finds the worker dead reads there what killed it.
    """
    for name in ("SIGINT", "SIGTERM"):  # Ctrl-C reaches the whole group; the parent decides what it means
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    os.dup2(2, 1)  # what a library prints must not mix with the parent's output
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    bench = Workbench(jobs)
    try:
        while (task := tasks.get()) is not None:
            _work(bench, task, connection, marker)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(1)  # the parent was killed; there is nobody to tell
    bench.close()


def _receive(connection: Connection, tasks: queue.SimpleQueue[Task | None]) -> None:
    """Reads all the time, so that the parent never waits for a busy worker; leaves when the parent is gone."""
    try:
        while (task := connection.recv()) is not None:
            tasks.put(task)
    except (EOFError, OSError):
        os._exit(1)
    tasks.put(None)


def _work(bench: Workbench, task: Task, connection: Connection, marker: Any) -> None:
    began = sent = time.monotonic()
    ready: list[tuple[int, list[tuple[int, dict[str, Any]]]]] = []
    for number, step in enumerate(task.steps()):
        marker[0], marker[1] = task.number, number
        if not bench.is_ready(step.job):
            marker[2] = -time.monotonic_ns()
            bench.prepare(step.job)
        marker[2] = time.monotonic_ns()
        ready.append((number, list(bench.answer(task, step))))
        now = time.monotonic()
        if now - sent > SEND_EVERY_S:
            connection.send(Report(task.number, ready, now - began, finished=False))
            ready, sent = [], now
    marker[2] = 0
    connection.send(Report(task.number, ready, time.monotonic() - began, finished=True))
