"""Samples in, predictions out, whatever becomes of the worker in between."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsground.errors import ProtocolError, WorkerError
from rsground.isolation.messages import predictions_from_message, samples_to_message
from rsground.isolation.process import DEFAULT_LIMITS, CallError, Limits, WorkerDiedError, WorkerProcess
from rsground.pipeline import Images, describe
from rsground.types import Prediction, Sample, Task

ATTEMPTS = 2
"""A sample whose worker died is asked once more: a worker may be killed for no fault of the sample's."""
LIVES = 10
"""Deaths in a row, without an answer in between, after which no worker is started any more."""
_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0


class Client:
    """A system in a worker process; started at the first need, started again when it has died.

    Args:
        python: interpreter of the environment.
        system: what :func:`rsground.assembly.assemble` builds there, JSON-able.
        seed: handed to the backbone with every prompt.
        images: pixels by uri, shared with other systems of this process.
        limits: of a worker.
        offered: options for whichever part takes them, as :func:`rsground.assembly.assemble` has them.
        logs: folder for what workers write to standard error, None for none.

    Raises:
        WorkerError: workers die before the system is built.
        CallError: the system cannot be built; the message is its own.
    """

    def __init__(
        self,
        python: str | Path,
        system: Mapping[str, Any],
        *,
        seed: int = 0,
        images: Images | None = None,
        limits: Limits = DEFAULT_LIMITS,
        offered: Mapping[str, Any] | None = None,
        logs: Path | None = None,
    ) -> None:
        self.python, self.limits = python, limits
        self._load = {"system": dict(system), "seed": seed, "offered": dict(offered or {})}
        self._logs = logs
        self._images = Images() if images is None else images
        self._worker: WorkerProcess | None = None
        self._held: frozenset[str] = frozenset()
        self._deaths = 0
        self.restarts = 0
        """Workers started after the first one."""
        facts = self._first_facts()
        self.tasks = frozenset(Task(task) for task in facts["tasks"])
        self.looks, self._needs_answer = bool(facts["looks"]), bool(facts["needs_answer"])

    def _first_facts(self) -> dict[str, Any]:
        while True:
            try:
                return self._start()
            except WorkerDiedError as error:
                self._deaths += 1
                if self._deaths > ATTEMPTS:
                    raise WorkerError(f"no worker lives to build the system: {error}") from error
                self._pause()

    def answer(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One prediction per sample, in order. Never raises: what goes wrong is in the prediction's ``error``.

        A worker that dies over several samples is asked about each alone; one that dies twice over the same sample
        has answered it with that failure.
        """
        if not samples:
            return []
        try:
            return self._with_room(samples, self._ground(samples))
        except CallError as error:
            if len(samples) == 1:
                return [Prediction.failure(str(error))]
        except (WorkerDiedError, ProtocolError) as error:
            if len(samples) == 1:
                return [self._again(samples[0], error)]
        except Exception as error:  # a picture that cannot be drawn or read
            if len(samples) == 1:
                return [Prediction.failure(describe(error))]
        return [self._alone(sample) for sample in samples]

    def _with_room(self, samples: Sequence[Sample], found: list[Prediction]) -> list[Prediction]:
        """The answers; those that memory was too short for asked once more, each in a worker that is new."""
        for place, sample in enumerate(samples):
            if (found[place].error or "").startswith("MemoryError") and self._worker is not None:
                self._worker.kill()  # what earlier samples have left behind is not this one's fault
                found[place] = self._again(sample, MemoryError(found[place].error))
        return found

    def _alone(self, sample: Sample) -> Prediction:
        (found,) = self.answer([sample])
        return found

    def _again(self, sample: Sample, error: Exception) -> Prediction:
        for _ in range(ATTEMPTS - 1):
            try:
                (found,) = self._ground([sample])
                return found
            except CallError as failed:
                return Prediction.failure(str(failed))
            except (WorkerDiedError, ProtocolError) as failed:
                error = failed
        return Prediction.failure(str(error))

    def _ground(self, samples: Sequence[Sample]) -> list[Prediction]:
        worker = self._living()
        images = self._images if self.looks else None
        message, attachment = samples_to_message(samples, images, self._held, with_targets=self._needs_answer)
        try:
            found = worker.call("ground", message, attachment, seconds=self.limits.sample_s * len(samples))
            answers = predictions_from_message(found, samples)
        except WorkerDiedError:
            self._deaths += 1
            raise
        except ProtocolError:  # too large a question, or an answer that is none
            self._deaths += 1
            worker.kill()
            raise
        self._deaths = 0
        held = found.get("held")
        self._held = (
            frozenset(name for name in held if isinstance(name, str)) if isinstance(held, list) else frozenset()
        )
        return answers

    def _living(self) -> WorkerProcess:
        """A worker with the system loaded."""
        if self._worker is None or not self._worker.is_alive:
            if self._deaths >= LIVES:
                raise CallError(f"workers died {self._deaths} times in a row without an answer; none is started again")
            self._pause()
            try:
                self._start()
            except WorkerDiedError:
                self._deaths += 1
                raise
        assert self._worker is not None
        return self._worker

    def _start(self) -> dict[str, Any]:
        if self._worker is not None:
            self._worker.kill()
            self.restarts += 1
        self._worker, self._held = None, frozenset()
        log = None if self._logs is None else self._logs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        worker = WorkerProcess(self.python, self.limits, log)
        try:
            found = worker.call("load", self._load, seconds=self.limits.load_s)
        except BaseException:
            worker.kill()
            raise
        self._worker = worker
        return found

    def _pause(self) -> None:
        if self._deaths:
            time.sleep(min(_PAUSE_S * 2 ** (self._deaths - 1), _LONGEST_PAUSE_S))

    def usage(self) -> dict[str, Any]:
        """What the present worker has taken: answers, seconds of processor, bytes of memory; empty without one."""
        if self._worker is None or not self._worker.is_alive:
            return {}
        return self._worker.call("usage", seconds=self.limits.start_s)

    @property
    def pid(self) -> int | None:
        """Of the present worker, None where there is none."""
        return self._worker.pid if self._worker is not None and self._worker.is_alive else None

    def stderr(self) -> str:
        """The last that the present worker has written to standard error."""
        return "" if self._worker is None else self._worker.stderr.text()

    def close(self) -> None:
        """Let the worker end."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
