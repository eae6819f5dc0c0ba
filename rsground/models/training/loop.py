"""The runner and its loop: on the device that was chosen, from where a run was broken off, in parts that fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from rsground.models.training.checkpoints import put_back, read_checkpoint
from rsground.models.training.hooks import plain_module
from rsground.models.training.memory import Frugal


class PlacedRunner(Runner):  # type: ignore[misc]
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

    def load_checkpoint(self, filename: str, *given: Any, **named: Any) -> dict[str, Any]:
        """Read a checkpoint of what is trained: that all else is not in it is as it should be."""
        del given, named
        checkpoint = read_checkpoint(Path(filename))
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        told = put_back(plain_module(self.model), checkpoint["state_dict"], Path(filename))
        self._has_loaded = True
        self.logger.info("Load checkpoint from %s", filename)
        if told:
            self.logger.warning(f"{filename} does not fit the model: it {told}")
        return checkpoint


class Steps(IterBasedTrainLoop):  # type: ignore[misc]
    """Steps over an endless stream; one that can begin anywhere (``sampler.begin_at``) is not passed over again."""

    def run(self) -> Any:
        """Train."""
        self.frugal = Frugal(
            self.runner.model, self.runner.optim_wrapper, Path(self.runner.work_dir), self.runner.logger
        )
        sampler = self.dataloader.sampler
        if self._iter > 0 and hasattr(sampler, "begin_at"):
            sampler.begin_at(self._iter * self.dataloader.batch_size)
            self.dataloader_iterator = _Passed(iter(self.dataloader), self._iter)
        return super().run()

    def run_iter(self, data_batch: Any) -> None:
        """One batch."""
        self.runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=data_batch)
        outputs = self.frugal.step(data_batch)
        self.runner.call_hook("after_train_iter", batch_idx=self._iter, data_batch=data_batch, outputs=outputs)
        self._iter += 1

    def stand_at(self, done: int) -> None:
        """Count as many iterations as done."""
        self._iter = done


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
