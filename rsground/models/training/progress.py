"""A training in one line of the terminal: step, loss, rate, samples a second, time left."""

from __future__ import annotations

import time
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_WINDOW = 0.05


class ProgressLine(Hook):  # type: ignore[misc]
    """Shows how far a training is.

    Args:
        console: where; standard error by default.
    """

    priority = "VERY_LOW"

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console(stderr=True) if console is None else console
        self.loss: float | None = None
        self.pace = 0.0
        self._since = 0.0
        self._bar: Progress | None = None
        self._task: Any = None

    def before_train(self, runner: Any) -> None:
        """Show the line."""
        if not is_main_process():
            return
        self.loss, self.pace, self._since = None, 0.0, time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self.console)
        name = runner.experiment_name.rsplit("_", 2)[0]
        self._task = self._bar.add_task(name, total=runner.max_iters, completed=runner.iter, facts="")
        self._bar.start()

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move it on."""
        del batch_idx, data_batch
        if self._bar is None:
            return
        now = time.monotonic()
        made = runner.train_dataloader.batch_size * get_world_size() / max(now - self._since, 1e-9)
        self._since = now
        self.pace = made if not self.pace else self.pace + _WINDOW * (made - self.pace)
        if outputs and "loss" in outputs:
            loss = float(outputs["loss"].detach())
            self.loss = loss if self.loss is None else self.loss + _WINDOW * (loss - self.loss)
        rate = runner.optim_wrapper.get_lr()["lr"][0]
        self._bar.update(self._task, completed=runner.iter + 1, facts=self._facts(rate))

    def _facts(self, rate: float) -> str:
        loss = "" if self.loss is None else f"loss {self.loss:.4g}, "
        return f"{loss}rate {rate:.2g}, {self.pace:.3g} samples/s"

    def after_run(self, runner: Any) -> None:
        """Leave the line as it is."""
        del runner
        self.stop()

    def stop(self) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
