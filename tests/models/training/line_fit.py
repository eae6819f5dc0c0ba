"""A training of a few weights, for tests of the loop; run as a script it is a process that can be killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from rsground.models.training.engine import train
from rsground.models.training.schedule import Schedule
from rsground.models.training.ways import Ways, training_in


class Line(BaseModel):
    """Fits a line with dropout; kills its own process, or interrupts it, in a step that it is told."""

    def __init__(self, dropout: float = 0.0, at: int = 0, number: int = 0) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.line = torch.nn.Linear(4, 1)
        self.dropout = torch.nn.Dropout(dropout)
        self.left, self.number = at, number
        self.precisions: set[torch.dtype] = set()

    def forward(self, x: Tensor, y: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        found = self.line(self.dropout(x))
        self.precisions.add(found.dtype)
        return {"loss": ((found[:, 0].float() - y) ** 2).mean()}


class Points(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Forty points near a line."""

    def __init__(self) -> None:
        dice = torch.Generator().manual_seed(1)
        self.x = torch.randn(40, 4, generator=dice)
        self.y = self.x.sum(1) + 0.1 * torch.randn(40, generator=dice)

    def __len__(self) -> int:
        return 40

    def __getitem__(self, at: int) -> tuple[Tensor, Tensor]:
        return self.x[at], self.y[at]


def collate(rows: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    x, y = zip(*rows, strict=True)
    return {"x": torch.stack(x), "y": torch.stack(y)}


def fit(work: Path, model: Line, steps: int = 20, check: Any = None, launcher: str = "none", **more: Any) -> Tensor:
    """Train and answer the weights."""
    made = {"batch": 4, "warmup": 2, "save_every": 5, "rate": 0.05, **more}
    with training_in(Ways("cpu", launcher, quiet=True)):
        train(model, Points(), collate, Schedule(steps, **made), work, check=check)
    return torch.cat([each.detach().flatten() for each in model.parameters()])


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, at, what, launcher = sys.argv[1:5]
    number = signal.SIGKILL if what == "kill" else signal.SIGINT
    weights = fit(Path(folder), Line(0.25, int(at), number), launcher=launcher)
    torch.save(weights, Path(folder) / f"weights_{os.environ.get('RANK', 0)}.pt")
