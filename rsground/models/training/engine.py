"""The training loop: an mmengine Runner that resumes, accumulates, averages precision and shows where it stands."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_dist_info, get_world_size
from torch import nn
from torch.utils.data import DataLoader

from rsground.errors import DeviceError
from rsground.models.training.checkpoints import latest_checkpoint, trust_history
from rsground.models.training.hooks import Chances, Rates, Validation
from rsground.models.training.loop import Autocast, PlacedRunner, Steps
from rsground.models.training.processes import join
from rsground.models.training.schedule import Schedule
from rsground.models.training.stopping import Salvage, Stopping
from rsground.models.training.ways import ways

_NUMBERS = itertools.count()
"""Runs of this process; mmengine tells them apart by name and second alone."""


def train(
    model: nn.Module,
    dataset: Any,
    collate: Callable[[Sequence[Any]], Any],
    schedule: Schedule,
    work: Path,
    *,
    check: Callable[[], dict[str, float]] | None = None,
    hooks: Sequence[Any] = (),
    seed: int = 0,
) -> None:
    """Train in place; checkpoints, logs and TensorBoard records go to ``work``.

    A run that was broken off goes on from its last checkpoint; on one device it then ends with the weights of an
    unbroken run. One that fails saves first. Where and beside whom it computes is said by :func:`.ways.training_in`.

    Args:
        model: an ``mmengine.model.BaseModel`` that answers losses.
        dataset: what is trained on.
        collate: makes the model's keyword arguments of a list of items.
        schedule: how long and how fast.
        work: folder of this run.
        check: validation, see :class:`Validation`.
        hooks: further mmengine hooks.
        seed: of the order of the data and of dropout.

    Raises:
        DeviceError: the device, its memory or its precisions do not suffice.
        CheckpointError: the last checkpoint is of another model.
    """
    now = ways()
    trust_history()
    device = join()
    stopping, chances = Stopping(schedule.accumulate), Chances(schedule.accumulate)
    salvage = Salvage(schedule.accumulate, chances)
    every = {"save": schedule.save_every * schedule.accumulate, "check": schedule.check_every * schedule.accumulate}
    validation = () if check is None else (Validation(check, every["check"]),)
    latest = latest_checkpoint(work)
    with redirect_stdout(_Nowhere()) if now.quiet else nullcontext():
        runner = PlacedRunner(
            model=model,
            work_dir=str(work),
            train_dataloader=_loader(dataset, collate, schedule, seed),
            train_cfg={"type": Steps, "max_iters": schedule.steps * schedule.accumulate},
            optim_wrapper=_optimizer(model, schedule, device),
            param_scheduler=_rates(schedule),
            default_hooks={
                "param_scheduler": {"type": Rates, "accumulate": schedule.accumulate},
                "logger": {"type": "LoggerHook", "interval": 25},
                "checkpoint": {
                    "type": "CheckpointHook",
                    "interval": every["save"] or schedule.steps * schedule.accumulate,
                    "by_epoch": False,
                    "max_keep_ckpts": 3,
                },
            },
            custom_hooks=[salvage, chances, stopping, *now.hooks, *hooks, *validation],
            visualizer={"type": "Visualizer", "vis_backends": [{"type": "TensorboardVisBackend"}]},
            log_processor={"by_epoch": False},
            launcher=now.launcher,
            randomness={"seed": seed},
            load_from=None if latest is None else str(latest),
            resume=latest is not None,
            default_scope="mmengine",
            experiment_name=f"{work.name}-{next(_NUMBERS)}",
            cfg={"device": str(device)},
        )
    for name, none in (("best_score", -math.inf), ("validated", 0)):
        runner.message_hub.update_info(name, none)  # the hub is the process's; another run may have used it
    stopping.listen()
    try:
        with _no_denormals():
            runner.train()
    except Exception as error:
        error.add_note(_saved(salvage, runner))
        raise
    finally:
        stopping.leave()


def _saved(salvage: Salvage, runner: Any) -> str:
    """Where a run that failed stands, in words."""
    try:
        file = salvage.save(runner)
    except Exception as error:  # such as a full disk; the first error is what matters
        return f"nothing could be saved: {error}"
    told = (
        "nothing was saved yet"
        if file is None
        else f"saved as {file}; the same command, without --fresh, goes on from there"
    )
    runner.logger.error("the training failed; %s", told)
    return told


@contextmanager
def _no_denormals() -> Iterator[None]:
    """Numbers too small for full precision are zero: chances near nothing would cost a CPU several times the step."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def _loader(dataset: Any, collate: Any, schedule: Schedule, seed: int) -> DataLoader[Any]:
    stream = getattr(dataset, "stream", None)
    return DataLoader(
        dataset,
        batch_size=schedule.batch_of(get_world_size()),
        sampler=InfiniteSampler(dataset, shuffle=True, seed=seed) if stream is None else stream(*get_dist_info()),
        collate_fn=collate,
        num_workers=schedule.workers,
        persistent_workers=schedule.workers > 0,
        drop_last=True,
    )


def _optimizer(model: nn.Module, schedule: Schedule, device: torch.device) -> dict[str, Any]:
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=schedule.decay)
    wrapper: dict[str, Any] = {
        "type": "OptimWrapper",
        "optimizer": optimizer,
        "clip_grad": {"max_norm": schedule.clip},
        "accumulative_counts": schedule.accumulate,
    }
    if schedule.precision == "bfloat16":
        wrapper.update(type=Autocast, device=device.type, dtype=torch.bfloat16)
    elif schedule.precision == "float16":
        if device.type == "cpu":
            raise DeviceError("schedule.precision 'float16' needs a GPU; on the CPU use 'bfloat16' or 'float32'")
        wrapper.update(type="AmpOptimWrapper", dtype="float16")
    return wrapper


def _rates(schedule: Schedule) -> list[dict[str, Any]]:
    steps, warmup = schedule.steps, min(schedule.warmup, schedule.steps // 4)
    rise = {"type": "LinearLR", "start_factor": 0.01, "begin": 0, "end": max(warmup, 1), "by_epoch": False}
    fall = {
        "type": "CosineAnnealingLR",
        "begin": max(warmup, 1),
        "end": steps,
        "T_max": max(steps - warmup, 1),
        "eta_min_ratio": schedule.end,
        "by_epoch": False,
    }
    return [rise, fall] if steps > max(warmup, 1) else [rise]
