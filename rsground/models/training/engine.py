"""The training loop: an mmengine Runner that resumes, accumulates, averages precision and shows where it stands."""

from __future__ import annotations

import io
import itertools
import math
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_dist_info
from mmengine.logging import HistoryBuffer
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from rsground.errors import DeviceError, SuiteError
from rsground.models.devices import pick_device
from rsground.models.training.hooks import Chances, Rates, Stopping, Validation
from rsground.models.training.ways import ways

PRECISIONS = ("float32", "bfloat16", "float16")
_NUMBERS = itertools.count()
"""Runs of this process; mmengine tells them apart by name and second alone."""


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

    A run that was broken off goes on from its last checkpoint with ``resume``; on one device it then ends with the
    weights of an unbroken run. Where and beside whom it computes is said by :func:`.ways.training_in`.

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
    now = ways()
    launcher = launcher if launcher != "none" else now.launcher
    trust_history()
    device = join(launcher)
    stopping = Stopping(schedule.accumulate)
    every = {"save": schedule.save_every * schedule.accumulate, "check": schedule.check_every * schedule.accumulate}
    hooks: list[Any] = [Chances(), stopping, *now.hooks]
    if check is not None:
        hooks.append(Validation(check, every["check"]))
    latest = latest_checkpoint(work) if resume else None
    with redirect_stdout(_Nowhere()) if now.quiet else nullcontext():
        runner = _Runner(
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
            custom_hooks=hooks,
            visualizer={"type": "Visualizer", "vis_backends": [{"type": "TensorboardVisBackend"}]},
            log_processor={"by_epoch": False},
            launcher=launcher,
            randomness={"seed": seed},
            load_from=None if latest is None else str(latest),
            resume=latest is not None,
            default_scope="mmengine",
            experiment_name=f"{work.name}-{next(_NUMBERS)}",
            cfg={"device": str(device)},
        )
    runner.message_hub.update_info("best_score", -math.inf)  # the hub is the process's; another run may have used it
    stopping.listen()
    try:
        with _no_denormals():
            runner.train()
    finally:
        stopping.leave()


class _Runner(Runner):  # type: ignore[misc]
    """The runner on the device that was chosen, several processes on the CPU included."""

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        """The model on its device; synchronised with the other processes' where there are some."""
        del model_wrapper_cfg
        device = torch.device(self.cfg["device"])
        model = model.to(device)
        if not self.distributed:
            return model
        ids = None if device.type == "cpu" else [device.index]
        wrapped: nn.Module = MMDistributedDataParallel(module=model, device_ids=ids, find_unused_parameters=True)
        return wrapped


class Steps(IterBasedTrainLoop):  # type: ignore[misc]
    """Steps over an endless stream; one that can begin anywhere (``sampler.begin_at``) is not passed over again."""

    def run(self) -> Any:
        """Train."""
        sampler = self.dataloader.sampler
        if self._iter > 0 and hasattr(sampler, "begin_at"):
            sampler.begin_at(self._iter * self.dataloader.batch_size)
            self.dataloader_iterator = _Passed(iter(self.dataloader), self._iter)
        return super().run()


class _Passed:
    """An iterator whose first ``count`` items were had before."""

    def __init__(self, items: Iterator[Any], count: int) -> None:
        self.items, self.count = items, count

    def __next__(self) -> Any:
        if self.count > 0:
            self.count -= 1
            return None
        return next(self.items)


class Autocast(OptimWrapper):  # type: ignore[misc]
    """Half precision in the forward pass, on any device, without a scaler: bfloat16 has float32's range."""

    def __init__(self, device: str, dtype: torch.dtype, **options: Any) -> None:
        super().__init__(**options)
        self.device, self.dtype = device, dtype

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Around the forward pass."""
        with super().optim_context(model), torch.autocast(self.device, self.dtype):
            yield


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


def latest_checkpoint(work: Path) -> Path | None:
    """The newest checkpoint in a run's folder that was written to its end."""
    found = sorted(work.glob("iter_*.pth"), key=lambda file: int(file.stem[5:]), reverse=True)
    return next((file for file in found if zipfile.is_zipfile(file)), None)


def join(launcher: str) -> torch.device:
    """Meet the other processes, before anything asks for their number, and answer this one's device."""
    device = pick_device(ways().device)
    if launcher == "pytorch" and device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    if launcher == "none" or torch.distributed.is_initialized():
        return device
    if "RANK" not in os.environ:
        raise SuiteError(
            "launcher 'pytorch' is for processes that torchrun starts: torchrun --nproc-per-node 2 -m rsground ..."
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("gloo" if device.type == "cpu" else "nccl")
    return device


def trust_history() -> None:
    """Let mmengine read back what it writes itself: torch loads nothing but named classes, and no pickle beyond."""
    core: Any = np._core if hasattr(np, "_core") else np.core  # its name before numpy 2
    kinds = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8")]
    array = core.multiarray
    known: list[Any] = [HistoryBuffer, np.dtype, np.ndarray, *kinds, array._reconstruct, array.scalar]
    torch.serialization.add_safe_globals([*known, (_history_method, "builtins.getattr")])


def _history_method(owner: Any, name: str) -> Any:
    """In the place of ``getattr`` while a checkpoint is read: the four summaries of a history, nothing else."""
    if owner is not HistoryBuffer or name not in ("min", "max", "current", "mean"):
        raise pickle.UnpicklingError(f"a checkpoint must not ask for {name!r} of {owner!r}")
    return getattr(owner, name)


def _loader(dataset: Any, collate: Any, schedule: Schedule, seed: int) -> DataLoader[Any]:
    stream = getattr(dataset, "stream", None)
    return DataLoader(
        dataset,
        batch_size=schedule.batch,
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
