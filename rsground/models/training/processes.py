"""Several processes that train together: how they meet, and what one of them does for all."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import torch
from mmengine.dist import all_reduce, barrier, get_dist_info, is_main_process

from rsground.errors import SuiteError
from rsground.models.devices import pick_device
from rsground.models.training.ways import ways

T = TypeVar("T")

PATIENCE = timedelta(hours=12)
"""How long processes wait for one of them, which validates, draws scenes or writes; torch's own ten minutes are few."""


def own_device() -> torch.device:
    """Where this process computes: of several on GPUs each has its own, as torchrun numbers them.

    Raises:
        DeviceError: there is no such device.
    """
    device = pick_device(ways().device)
    if ways().launcher == "pytorch" and device.type == "cuda":
        return pick_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    return device


def join() -> torch.device:
    """Meet the other processes, before anything asks for their number, and answer this one's device.

    Raises:
        SuiteError: there should be others, and torchrun did not start this process.
        DeviceError: there is no device for it.
    """
    device = own_device()
    if ways().launcher == "none" or torch.distributed.is_initialized():
        return device
    if "RANK" not in os.environ:
        raise SuiteError(
            "launcher 'pytorch' is for processes that torchrun starts: torchrun --nproc-per-node 2 -m rsground ..."
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("gloo" if device.type == "cpu" else "nccl", timeout=PATIENCE)
    return device


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
