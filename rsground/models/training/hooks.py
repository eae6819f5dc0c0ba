"""What happens beside the steps of a training: validation, chances that survive a resume, an orderly stop."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook, ParamSchedulerHook
from torch import nn

from rsground.models.atomic import replacing

BEST = "best.pth"
"""The weights that validated best, in a run's folder."""


class Validation(Hook):  # type: ignore[misc]
    """Validates now and then, and keeps the weights that did best. Of several processes the first one does it.

    Args:
        check: answers scores by name; the first one decides, higher is better.
        every: iterations; 0 for none but the last.
    """

    priority = "LOW"

    def __init__(self, check: Callable[[], dict[str, float]], every: int) -> None:
        self.check, self.every = check, every

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Validate where it is due."""
        del batch_idx, data_batch, outputs
        done = runner.iter + 1
        if done != runner.max_iters and not (self.every and done % self.every == 0):
            return
        if is_main_process():
            self._validate(runner, done)
        barrier()

    def _validate(self, runner: Any, done: int) -> None:
        training = runner.model.training
        runner.model.eval()
        with torch.no_grad():
            scores = self.check()
        runner.model.train(training)
        name, score = next(iter(scores.items()))
        runner.logger.info("validation at step %d: %s", done, ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
        for key, value in scores.items():
            runner.visualizer.add_scalar(f"val/{key}", value, step=done)
        runner.message_hub.update_info("val_scores", scores)
        if score > best_score(runner):
            runner.message_hub.update_info("best_score", score)
            kept = {"state_dict": plain_module(runner.model).state_dict(), "step": done, name: score, "scores": scores}
            with replacing(Path(runner.work_dir) / BEST) as fresh:
                torch.save(kept, fresh)


def best_score(runner: Any) -> float:
    """The best score so far; minus infinity before the first."""
    hub = runner.message_hub
    return float(hub.get_info("best_score")) if "best_score" in hub.runtime_info else -math.inf


class Chances(Hook):  # type: ignore[misc]
    """Keeps torch's generators in the checkpoints, so that dropout goes on as in a run that was never broken off.

    Generators are put back before the first step after a resume: on the way there the data is passed over once more.
    """

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self._kept: dict[str, Any] | None = None

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Note the generators."""
        del runner
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        checkpoint["chances"] = {"cpu": torch.get_rng_state(), "cuda": cuda}

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Remember what was noted."""
        del runner
        self._kept = checkpoint.get("chances")

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Put the generators back, once."""
        del runner, batch_idx, data_batch
        if self._kept is None:
            return
        torch.set_rng_state(self._kept["cpu"].cpu())
        if torch.cuda.is_available() and len(self._kept["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in self._kept["cuda"]])
        self._kept = None


class Rates(ParamSchedulerHook):  # type: ignore[misc]
    """Moves the learning rate on after every update, not after every batch of one.

    Args:
        accumulate: batches of one update.
    """

    def __init__(self, accumulate: int = 1) -> None:
        self.accumulate = accumulate

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move it on where an update was made."""
        if (runner.iter + 1) % self.accumulate == 0:
            super().after_train_iter(runner, batch_idx, data_batch, outputs)


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


def save_now(runner: Any) -> None:
    """Write a checkpoint of the step just done, from which the run goes on."""
    name = f"iter_{runner.iter + 1}.pth"
    runner.save_checkpoint(runner.work_dir, name, by_epoch=False)
    if is_main_process():
        file = Path(runner.work_dir) / name
        (Path(runner.work_dir) / "last_checkpoint").write_text(str(file))


def plain_module(model: Any) -> nn.Module:
    """The model without the wrapper that several processes put around it."""
    found: nn.Module = model.module if hasattr(model, "module") else model
    return found
