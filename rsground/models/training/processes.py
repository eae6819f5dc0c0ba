"""Several processes that train together: what one of them does for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from mmengine.dist import all_reduce, barrier, get_dist_info, is_main_process

T = TypeVar("T")


def main_first(make: Callable[[], T]) -> T:
    """What ``make`` gives; other processes make it after the main one has, and find what that kept on disk."""
    if not is_main_process():
        barrier()
        return make()
    made = make()
    barrier()
    return made


def everywhere(said: bool) -> bool:
    """Whether all processes say so; none goes on before all have said."""
    told = torch.tensor(int(said))
    all_reduce(told, op="min")
    return bool(told)


def shares(count: int) -> tuple[int, list[range]]:
    """Which process this is, and the range of ``count`` things that each one sees to, as even as can be."""
    rank, world = get_dist_info()
    return rank, [range(count * each // world, count * (each + 1) // world) for each in range(world)]


def main_only(write: Callable[[], object]) -> None:
    """Let the main process write; all go on when it has."""
    if is_main_process():
        write()
    barrier()
