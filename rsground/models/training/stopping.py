"""A training that is broken off, by an interrupt or by an error, saves where it stood."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from rsground.models.training.checkpoints import latest_checkpoint
from rsground.models.training.hooks import Chances


class Stopping(Hook):  # type: ignore[misc]
    """At an interrupt (Ctrl-C, or a polite kill) ends the step that runs, saves, and raises :class:`KeyboardInterrupt`.

    A second interrupt does not wait.

    Args:
        accumulate: batches of one update; a stop comes between updates.
    """

    priority = "VERY_LOW"
    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, accumulate: int = 1) -> None:
        self.accumulate = accumulate
        self.asked = False
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Take the interrupts; outside the main thread they stay as they are."""
        try:
            self._before = {number: signal.signal(number, self._note) for number in self._SIGNALS}
        except ValueError:
            self._before = {}

    def leave(self) -> None:
        """Give the interrupts back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.asked:
            self.leave()
            raise KeyboardInterrupt
        del number
        self.asked = True

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Stop where it was asked for."""
        del batch_idx, data_batch, outputs
        done = runner.iter + 1
        if not self.asked or done % self.accumulate or done == runner.max_iters:
            return
        save_now(runner)
        raise KeyboardInterrupt


class Salvage(Hook):  # type: ignore[misc]
    """Knows up to where the weights, the optimizer and the rates belong together, and saves that after an error.

    Args:
        accumulate: batches of one update.
        chances: the generators' keeper.
    """

    priority = "VERY_HIGH"  # right behind the rates, which are there before it

    def __init__(self, accumulate: int, chances: Chances) -> None:
        self.accumulate, self.chances = accumulate, chances
        self._whole = 0
        self._torn = False

    def before_train(self, runner: Any) -> None:
        """Begin where the run begins."""
        self._whole = runner.iter

        def tear(*given: Any) -> None:
            del given
            self._torn = True

        runner.optim_wrapper.optimizer.register_step_pre_hook(tear)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """An update is whole."""
        del batch_idx, data_batch, outputs
        self._torn = False
        if (runner.iter + 1) % self.accumulate == 0:
            self._whole = runner.iter + 1

    def save(self, runner: Any) -> Path | None:
        """After an error: the checkpoint from which the run goes on, of the last whole update where that can be had."""
        work = Path(runner.work_dir)
        file = work / f"iter_{self._whole}.pth"
        if is_main_process() and not self._torn and self._whole and latest_checkpoint(work) != file:
            self.chances.again = self._whole <= runner.iter
            runner.train_loop.stand_at(self._whole - 1)
            save_now(runner)
        return latest_checkpoint(work)


def save_now(runner: Any) -> None:
    """Write a checkpoint of the step just done, from which the run goes on."""
    name = f"iter_{runner.iter + 1}.pth"
    runner.save_checkpoint(runner.work_dir, name, by_epoch=False)
    if is_main_process():
        file = Path(runner.work_dir) / name
        (Path(runner.work_dir) / "last_checkpoint").write_text(str(file))
