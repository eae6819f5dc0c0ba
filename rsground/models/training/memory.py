"""A step that does not fit in memory is computed in parts, whose gradients are added up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mmengine.dist import is_distributed
from mmengine.model import is_model_wrapper
from torch import Tensor

from rsground.errors import DeviceError
from rsground.models.atomic import replacing
from rsground.models.devices import Short, tried

FILE = "memory.json"
"""How much fits at once, in a run's folder; without it a run tries the whole batch again."""
_ADVICE = (
    "stage 'system' goes on with less under '--set model.checkpointing=true'; a smaller schedule.batch, smaller images "
    "or schedule.precision = 'bfloat16' make another run"
)


@runtime_checkable
class Divisible(Protocol):
    """A model whose batches can be computed in parts."""

    def count(self, data: Any) -> int:
        """How many things a batch holds."""
        ...

    def divided(self, data: Any, most: int) -> Iterator[Any]:
        """Batches of at most ``most`` things, whose losses add up to those of all."""
        ...


class Frugal:
    """Steps of a training. Where memory runs out, the batch is halved until a part fits, for all later steps too.

    Several processes cannot try again alone, because each step is the work of all: there the run ends, and goes on in
    halves when it is started again.

    Args:
        model: the model, as the runner holds it.
        wrapper: the runner's optimizer.
        work: the run's folder.
        logger: is told.
    """

    def __init__(self, model: Any, wrapper: Any, work: Path, logger: Any) -> None:
        self.model, self.wrapper, self.file, self.logger = model, wrapper, work / FILE, logger
        self.module = model.module if is_model_wrapper(model) else model
        self.most: int | None = json.loads(self.file.read_text())["at once"] if self.file.is_file() else None
        self._begun = 0
        self._batches: list[Any] = []

    def step(self, data: Any) -> dict[str, Tensor]:
        """Gradients of one batch, and an update where as many as are accumulated came together.

        Returns:
            Losses by name.

        Raises:
            DeviceError: not even one thing fits, or the batch cannot be divided, or there are several processes.
        """
        if self.wrapper.should_update():  # the batch before it was the last of its update
            self._begun, self._batches = self.wrapper.inner_count, []
        self._batches.append(data)
        left = [data]
        while True:
            told = tried(partial(self._all, left))
            if not isinstance(told, Short):
                return told
            self._halve(data, told.reason)
            left = self._batches  # half-made gradients cannot be told from whole ones: all of the update once more

    def _all(self, batches: Sequence[Any]) -> dict[str, Tensor]:
        return [self._one(each) for each in batches][-1]

    def _one(self, data: Any) -> dict[str, Tensor]:
        if self.most is None or self.module.count(data) <= self.most:
            whole: dict[str, Tensor] = self.model.train_step(data, optim_wrapper=self.wrapper)
            return whole
        *firsts, last = self.module.divided(data, self.most)
        told: dict[str, Tensor] = {}
        for part in firsts:
            with self.model.no_sync() if is_model_wrapper(self.model) else nullcontext():
                loss = self._loss(part, told)
                self.wrapper.backward(self.wrapper.scale_loss(loss))
            self.wrapper._inner_count -= 1  # it counts batches
        self.wrapper.update_params(self._loss(last, told))
        return told

    def _loss(self, part: Any, told: dict[str, Tensor]) -> Tensor:
        with self.wrapper.optim_context(self.model):
            losses = self.model(**self.module.data_preprocessor(part, True), mode="loss")
        loss: Tensor
        loss, named = self.module.parse_losses(losses)
        for name, value in named.items():
            told[name] = told[name] + value if name in told else value
        return loss

    def _halve(self, data: Any, reason: str) -> None:
        tried = self.wrapper.inner_count - self._begun
        if tried == len(self._batches):
            raise DeviceError(f"the optimizer's update does not fit in memory ({reason}); {_ADVICE}")
        whole = self.module.count(data) if isinstance(self.module, Divisible) else 1
        now = min(self.most or whole, whole)
        if now == 1:
            raise DeviceError(f"what is computed at once does not fit in memory ({reason}); {_ADVICE}")
        self.most = (now + 1) // 2
        with replacing(self.file) as fresh:
            fresh.write_text(json.dumps({"at once": self.most}))
        self.logger.warning(f"out of memory with {now} at once ({reason}); from here on {self.most}")
        if is_distributed():
            raise DeviceError(
                f"out of memory with {now} at once ({reason}); the same command goes on from the last checkpoint with "
                f"{self.most} at once, which gives the same updates"
            )
        self.wrapper.zero_grad()
        self.wrapper._inner_count = self._begun
