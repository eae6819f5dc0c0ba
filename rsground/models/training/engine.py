"""The training loop: an mmengine Runner that resumes, accumulates, averages precision and shows where it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: updates of the weights.
        batch: images a step and process.
        accumulate: batches whose gradients are added up before an update.
        rate: highest learning rate; reached after ``warmup`` steps, then a cosine down to ``end`` of it.
        warmup: steps.
        end: share of the rate at the end.
        decay: weight decay of AdamW.
        clip: largest norm of the gradient.
        precision: of the forward pass; weights stay float32.
        save_every: steps between checkpoints; the last three are kept.
        check_every: steps between validations; 0 for none but the last.
        workers: processes that make batches.
    """

    steps: int
    batch: int = 16
    accumulate: int = 1
    rate: float = 1e-3
    warmup: int = 100
    end: float = 0.02
    decay: float = 0.02
    clip: float = 1.0
    precision: str = "float32"
    save_every: int = 200
    check_every: int = 0
    workers: int = 0


class Validation(Hook):  # type: ignore[misc]
    """Validates now and then, and keeps the weights that did best.

    Args:
        check: answers scores by name; the first one decides, higher is better.
        every: steps.
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
        training = runner.model.training
        runner.model.eval()
        with torch.no_grad():
            scores = self.check()
        runner.model.train(training)
        name, score = next(iter(scores.items()))
        best = runner.message_hub.get_info("best_score") if "best_score" in runner.message_hub.runtime_info else -1.0
        runner.logger.info("validation at step %d: %s", done, ", ".join(f"{k} {v:.4f}" for k, v in scores.items()))
        for key, value in scores.items():
            runner.visualizer.add_scalar(f"val/{key}", value, step=done)
        if score > best:
            runner.message_hub.update_info("best_score", score)
            torch.save(
                {"state_dict": _module(runner.model).state_dict(), "step": done, name: score},
                Path(runner.work_dir) / "best.pth",
            )


def train(
    model: nn.Module,
    dataset: Any,
    collate: Callable[[Sequence[Any]], Any],
    schedule: Schedule,
    work: Path,
    *,
    check: Callable[[], dict[str, float]] | None = None,
    resume: bool = True,
    seed: int = 0,
    launcher: str = "none",
) -> None:
    """Train in place; checkpoints, logs and TensorBoard records go to ``work``.

    A run that was broken off goes on from its last checkpoint with ``resume``.

    Args:
        model: an ``mmengine.model.BaseModel`` that answers losses.
        dataset: what is trained on.
        collate: makes the model's keyword arguments of a list of items.
        schedule: how long and how fast.
        work: folder of this run.
        check: validation, see :class:`Validation`.
        resume: go on where a former run in the folder stopped.
        seed: of the order of the data and of dropout.
        launcher: ``"none"``, or ``"pytorch"`` under torchrun, one process per GPU.
    """
    trust_history()
    runner = Runner(
        model=model,
        work_dir=str(work),
        train_dataloader=_loader(dataset, collate, schedule, seed, launcher),
        train_cfg={"by_epoch": False, "max_iters": schedule.steps * schedule.accumulate},
        optim_wrapper=_optimizer(model, schedule),
        param_scheduler=_rates(schedule),
        default_hooks={
            "logger": {"type": "LoggerHook", "interval": 25},
            "checkpoint": {
                "type": "CheckpointHook",
                "interval": schedule.save_every,
                "by_epoch": False,
                "max_keep_ckpts": 3,
            },
        },
        custom_hooks=[] if check is None else [Validation(check, schedule.check_every)],
        visualizer={"type": "Visualizer", "vis_backends": [{"type": "TensorboardVisBackend"}]},
        log_processor={"by_epoch": False},
        launcher=launcher,
        randomness={"seed": seed},
        resume=resume,
        default_scope="mmengine",
        experiment_name=work.name,
    )
    runner.train()


def trust_history() -> None:
    """Let mmengine read back what it writes itself: torch loads nothing but named classes, and no pickle beyond."""
    scalars = [np.dtype, np.ndarray, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8"))]
    rebuild = [np.core.multiarray._reconstruct, np.core.multiarray.scalar] if np.lib.NumpyVersion(np.__version__) < "2.0.0" else [  # type: ignore[attr-defined]
        np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
        np._core.multiarray.scalar,  # type: ignore[attr-defined]
    ]
    torch.serialization.add_safe_globals([HistoryBuffer, *scalars, *rebuild])


def _loader(dataset: Any, collate: Any, schedule: Schedule, seed: int, launcher: str) -> DataLoader[Any]:
    from mmengine.dataset import InfiniteSampler

    return DataLoader(
        dataset,
        batch_size=schedule.batch,
        sampler=InfiniteSampler(dataset, shuffle=True, seed=seed),
        collate_fn=collate,
        num_workers=schedule.workers,
        persistent_workers=schedule.workers > 0,
        drop_last=True,
    )


def _optimizer(model: nn.Module, schedule: Schedule) -> dict[str, Any]:
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=schedule.decay)
    wrapper: dict[str, Any] = {
        "type": "OptimWrapper",
        "optimizer": optimizer,
        "clip_grad": {"max_norm": schedule.clip},
        "accumulative_counts": schedule.accumulate,
    }
    if schedule.precision != "float32":
        wrapper.update(type="AmpOptimWrapper", dtype=schedule.precision)
    return wrapper


def _rates(schedule: Schedule) -> list[dict[str, Any]]:
    steps, warmup = schedule.steps * schedule.accumulate, min(schedule.warmup, schedule.steps // 4) * schedule.accumulate
    rise = {"type": "LinearLR", "start_factor": 0.01, "begin": 0, "end": max(warmup, 1), "by_epoch": False}
    fall = {
        "type": "CosineAnnealingLR",
        "begin": max(warmup, 1),
        "end": steps,
        "T_max": max(steps - warmup, 1),
        "eta_min_ratio": schedule.end,
        "by_epoch": False,
    }
    return [rise, fall]


def _module(model: Any) -> nn.Module:
    found: nn.Module = model.module if hasattr(model, "module") else model
    return found
