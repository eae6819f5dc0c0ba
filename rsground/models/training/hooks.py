"""What happens beside the steps of a training: validation, chances that survive a resume, rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
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
        if self._is_due(runner, runner.iter + 1):
            self._validate(runner, runner.iter + 1)

    def before_train(self, runner: Any) -> None:
        """Validate what a run that failed at it left."""
        done, last = runner.iter, runner.message_hub.runtime_info.get("validated")
        if last is not None and last != done and self._is_due(runner, done):
            self._validate(runner, done)

    def _is_due(self, runner: Any, done: int) -> bool:
        return bool(done == runner.max_iters or (done and self.every and done % self.every == 0))

    def _validate(self, runner: Any, done: int) -> None:
        if is_main_process():
            self._score(runner, done)
        runner.message_hub.update_info("validated", done)
        barrier()

    def _score(self, runner: Any, done: int) -> None:
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

    Args:
        accumulate: batches of one update.

    Attributes:
        again: whether a checkpoint keeps them as they were when the update that is on its way began.
    """

    priority = "VERY_LOW"

    def __init__(self, accumulate: int = 1) -> None:
        self.accumulate = accumulate
        self.again = False
        self._kept: dict[str, Any] | None = None
        self._begun: dict[str, Any] = {}

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Note the generators."""
        del runner
        checkpoint["chances"] = self._begun if self.again else _generators()

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Remember what was noted."""
        del runner
        self._kept = checkpoint.get("chances")

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Put the generators back, once; remember them where an update begins."""
        del batch_idx, data_batch
        if self._kept is not None:
            torch.set_rng_state(self._kept["cpu"].cpu())
            if torch.cuda.is_available() and len(self._kept["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all([state.cpu() for state in self._kept["cuda"]])
            self._kept = None
        if runner.iter % self.accumulate == 0:
            self._begun = _generators()


def _generators() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


class Rates(ParamSchedulerHook):  # type: ignore[misc]
    """Moves the learning rate on after every update, not after every batch of one, before anything can go wrong.

    Args:
        accumulate: batches of one update.
    """

    priority = "VERY_HIGH"

    def __init__(self, accumulate: int = 1) -> None:
        self.accumulate = accumulate

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move it on where an update was made."""
        if (runner.iter + 1) % self.accumulate == 0:
            super().after_train_iter(runner, batch_idx, data_batch, outputs)


def plain_module(model: Any) -> nn.Module:
    """The model without the wrapper that several processes put around it."""
    found: nn.Module = model.module if hasattr(model, "module") else model
    return found
