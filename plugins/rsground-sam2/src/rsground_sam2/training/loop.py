"""The training loop: the trunk alone by a dense task, then prompts on crops, then prompts on whole scenes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rsground_sam2.image_model import ImageModel
from rsground_sam2.training.asking import answer, crops_to_pixels
from rsground_sam2.training.cache import Pictures
from rsground_sam2.training.losses import DenseTask, prompt_loss
from rsground_sam2.training.pool import FeaturePool
from rsground_sam2.training.sampling import Ask, sample
from rsground_sam2.training.state import Record, save_training


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long, and how.

    Attributes:
        steps: optimiser steps of this run, 0 to score only; None: as many as fit in
        minutes: of wall-clock time.
        rate: highest learning rate.
        dense: share of the run that trains the trunk alone, at its beginning.
        beside: weight of the dense task beside prompts, falling to nothing over the run.
        sides: (until which share of the run, side of crops in pixels), the last one the scene's own. Small crops cost
            little and hold most objects whole; what lies far away is learnt last.
        crops: per step, of the smallest side; as many pixels of larger ones, at least one.
        prompts: per step, spread over the crops, at most 24 each.
        warm: steps until the highest rate.
        threads: of torch.
        frozen: the trunk is not trained and its features are pooled; dense, sides, crops and prompts do not count.
        save_seconds: between two savings.
    """

    steps: int | None = None
    minutes: float = 35.0
    rate: float = 1e-3
    dense: float = 0.15
    beside: float = 0.3
    sides: tuple[tuple[float, int], ...] = ((0.6, 64), (0.85, 128), (1.0, 256))
    crops: int = 8
    prompts: int = 48
    warm: int = 100
    threads: int = 1
    frozen: bool = False
    save_seconds: float = 120.0


POOLED = ((0.55, 64, 3, 16), (0.25, 96, 2, 16), (0.15, 128, 1, 24), (0.05, 256, 1, 8))
"""With pooled features, where crops cost no trunk: share of steps, side, crops and prompts about each."""
RENEWED = 3
"""Steps until a scene of the pool gives way to another."""


class Trainer(nn.Module):
    """The model and the dense task beside it, which is dropped afterwards."""

    def __init__(self, model: ImageModel) -> None:
        super().__init__()
        self.model = model
        self.dense = DenseTask(model.config.width)

    def dense_loss(self, asks: list[Ask], zoom: int) -> Tensor:
        """Loss of the trunk and pyramid alone."""
        levels = self.model.image_encoder(crops_to_pixels(asks, zoom))["backbone_fpn"]
        return self._dense(levels[-3], asks)

    def loss(self, asks: list[Ask], zoom: int, dense: float) -> tuple[Tensor, Tensor]:
        """Loss of prompts, and with the dense one added at a weight; at none it is not computed."""
        levels = self.model.image_encoder(crops_to_pixels(asks, zoom))["backbone_fpn"]
        images = self.model.read(levels)
        each = []
        for index, ask in enumerate(asks):
            logits, quality = answer(self.model, images[index], ask, zoom)
            each.append(prompt_loss(logits, quality, torch.from_numpy(ask.targets).float()))
        asked = torch.stack(each).mean()
        return asked, asked + dense * self._dense(levels[-3], asks) if dense else asked

    def pooled_loss(self, drawn: list[tuple[Ask, list[Tensor]]], zoom: int) -> Tensor:
        """Loss of prompts about features that are there already."""
        each = []
        for ask, levels in drawn:
            logits, quality = answer(self.model, self.model.read(levels), ask, zoom)
            each.append(prompt_loss(logits, quality, torch.from_numpy(ask.targets).float()))
        return torch.stack(each).mean()

    def _dense(self, level: Tensor, asks: list[Ask]) -> Tensor:
        labels = torch.from_numpy(np.stack([ask.labels for ask in asks]).astype(np.int64))
        loss: Tensor = self.dense(level, labels)
        return loss


def make_optimiser(trainer: Trainer, rate: float) -> torch.optim.AdamW:
    """AdamW; vectors and embeddings of one row are not decayed."""
    matrices = [p for p in trainer.parameters() if p.ndim > 1 and p.shape[0] > 1]
    others = [p for p in trainer.parameters() if not (p.ndim > 1 and p.shape[0] > 1)]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}],
        lr=rate,
        betas=(0.9, 0.98),
    )


def run(
    trainer: Trainer,
    optimiser: torch.optim.AdamW,
    cache: Pictures,
    record: Record,
    budget: Budget,
    folder: Path,
    say: Callable[[str], None],
    pool: FeaturePool | None = None,
) -> None:
    """Train until the budget is used up, saving now and then; with ``budget.frozen`` on a pool of features."""
    rng = np.random.default_rng([record.seed, record.steps])
    if budget.frozen:
        trainer.model.image_encoder.requires_grad_(False)
        pool = pool or FeaturePool(trainer.model, cache, rng)
    begin, spent_before, first_step = time.monotonic(), record.seconds, record.steps
    saved, smooth = begin, math.nan
    trainer.train()
    while True:
        now = time.monotonic()
        done = (
            (now - begin) / (60 * budget.minutes)
            if budget.steps is None
            else (record.steps - first_step + (budget.steps == 0)) / max(budget.steps, 1)
        )
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = budget.rate * _pace(done, record.steps - first_step, budget.warm)
        if pool is not None:
            loss, prompts = _pooled_step(trainer, optimiser, pool, record.steps)
        else:
            loss, prompts = _step(trainer, optimiser, cache, budget, done, rng)
        record.steps += 1
        record.prompts += prompts
        record.seconds = spent_before + time.monotonic() - begin
        smooth = loss if math.isnan(smooth) or not prompts else 0.98 * smooth + 0.02 * loss
        if record.steps % 50 == 0:
            share = f"{100 * done:.1f} %, {record.seconds:.0f} s"
            say(f"step {record.steps} ({share}) prompts {record.prompts} loss {smooth:.4f}")
        if time.monotonic() - saved > budget.save_seconds:
            save_training(folder, trainer, optimiser, record)
            saved = time.monotonic()
    save_training(folder, trainer, optimiser, record)


def _step(
    trainer: Trainer,
    optimiser: torch.optim.AdamW,
    cache: Pictures,
    budget: Budget,
    done: float,
    rng: np.random.Generator,
) -> tuple[float, int]:
    """One step; the loss and how many prompts it saw."""
    side = next(side for until, side in budget.sides if done <= until)
    crops = max(1, budget.crops * budget.sides[0][1] ** 2 // side**2)
    count = min(24, budget.prompts // crops)
    ready = cache.ready()
    asks: list[Ask] = []
    while len(asks) < crops:
        ask = sample(cache, int(rng.choice(ready)), side, count, rng)
        asks += [] if ask is None else [ask]
    zoom = trainer.model.config.image_size // cache.size
    optimiser.zero_grad(set_to_none=True)
    if done < budget.dense:
        loss = total = trainer.dense_loss(asks, zoom)
        prompts = 0
    else:
        loss, total = trainer.loss(asks, zoom, budget.beside * (1 - done))
        prompts = sum(len(ask.targets) for ask in asks)
    _update(trainer, optimiser, total)
    return float(loss.detach()), prompts


def _pooled_step(trainer: Trainer, optimiser: torch.optim.AdamW, pool: FeaturePool, step: int) -> tuple[float, int]:
    """One step of the decoder on pooled features; the loss and how many prompts it saw."""
    if step % RENEWED == 0:
        pool.renew()
    chosen = int(pool.rng.choice(len(POOLED), p=[share for share, *_ in POOLED]))
    _, side, crops, count = POOLED[chosen]
    optimiser.zero_grad(set_to_none=True)
    loss = trainer.pooled_loss([pool.draw(side, count) for _ in range(crops)], pool.zoom)
    _update(trainer, optimiser, loss)
    return float(loss.detach()), crops * count


def _update(trainer: Trainer, optimiser: torch.optim.AdamW, loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(trainer.parameters(), 1.0)
    optimiser.step()


def _pace(done: float, step: int, warm: int) -> float:
    """Share of the highest rate: a linear beginning, then half a cosine down to a hundredth."""
    return min(1.0, (step + 1) / warm) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
