"""A training of a few weights that runs out of memory; run as a script it is one of several processes that do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from line_fit import Line, fit
from torch import Tensor


def no_memory() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")


class Heavy(torch.autograd.Function):
    """The same number; too large for memory on the way back where there are more than so many rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, most: int) -> Tensor:
        ctx.most = most
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *found: Tensor) -> tuple[Tensor, None]:
        if len(found[0]) > ctx.most:
            raise no_memory()
        return found[0], None


class Divided(Line):
    """A line whose batches can be computed in parts; what is more than ``most`` rows does not fit in memory."""

    def __init__(self, most: int, where: str) -> None:
        super().__init__()
        self.other = torch.nn.Parameter(torch.ones(1))
        self.most, self.where, self.sizes = most, where, list[int]()

    def forward(self, x: Tensor, y: Tensor, mode: str = "loss", of: int = 0) -> dict[str, Tensor]:
        self.sizes.append(len(x))
        if self.where == "forward" and len(x) > self.most:
            raise no_memory()
        found = self.other * Heavy.apply(self.line(x)[:, 0], self.most if self.where == "backward" else 99)
        return {"loss": ((found - y) ** 2).sum() / (of or len(x))}

    def count(self, data: dict[str, Tensor]) -> int:
        return len(data["x"])

    def divided(self, data: dict[str, Tensor], most: int) -> Iterator[dict[str, Any]]:
        x, y = data["x"].split(most), data["y"].split(most)
        return ({"x": a, "y": b, "of": len(data["x"])} for a, b in zip(x, y, strict=True))


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, rank = Path(sys.argv[1]), os.environ["RANK"]
    model = Divided(2 if rank == "1" else 99, "backward")
    weights = fit(folder, model, batch=4, steps=6, save_every=2, launcher="pytorch")
    torch.save({"weights": weights, "sizes": model.sizes}, folder / f"weights_{rank}.pt")
