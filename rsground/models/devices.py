"""Where a model runs and in which precision, what it takes there, and what happens when memory runs out."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch

from rsground.errors import DeviceError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def pick_device(name: str | torch.device) -> torch.device:
    """The device of that name; ``"auto"`` is the first CUDA device where there is one, else the CPU.

    Raises:
        DeviceError: no such device, or it is not on this machine.
    """
    if str(name) == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"no device is called {name!r}; known: auto, cpu, cuda, cuda:0, cuda:1 ...") from None
    if device.type == "cuda":
        return _cuda(device)
    try:
        torch.empty(0, device=device)
    except Exception as error:  # every kind of device is absent in a way of its own
        reason = " ".join(str(error).split())[:100]
        raise DeviceError(
            f"device {str(name)!r} was asked for, but this machine has none ({reason}); use device='cpu' or 'auto'"
        ) from error
    return device


def _cuda(device: torch.device) -> torch.device:
    if not torch.cuda.is_available():
        reason = "this PyTorch is built without CUDA" if torch.version.cuda is None else "no CUDA device is visible"
        raise DeviceError(f"device {str(device)!r} was asked for, but {reason}; use device='cpu' or 'auto'")
    count, index = torch.cuda.device_count(), device.index or 0
    if index >= count:
        raise DeviceError(f"device 'cuda:{index}' was asked for, but there are {count}: cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", index)


def pick_dtype(name: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The precision of that name; ``"auto"`` is bfloat16 on a CUDA device that has it, else float32.

    Raises:
        DeviceError: there is no such precision.
    """
    if isinstance(name, torch.dtype):
        name = str(name).removeprefix("torch.")
    if name == "auto":
        quick = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if quick else torch.float32
    name = _SHORT.get(name, name)
    if name not in DTYPES:
        raise DeviceError(f"no precision is called {name!r}; known: auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


@dataclass(frozen=True, slots=True)
class Short:
    """That memory did not suffice.

    Attributes:
        reason: what the error said, in a line.
    """

    reason: str


def tried(run: Callable[[], Answer]) -> Answer | Short:
    """What ``run`` answers; where memory did not suffice, why, and what the attempt held is free again."""
    try:
        return run()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200]
    # The error is gone here, and with its traceback the tensors of what failed.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return Short(reason)


def in_parts(items: Sequence[Item], most: int, run: Callable[[Sequence[Item]], Sequence[Answer]]) -> list[Answer]:
    """Answers to all items, ``most`` at a time; a part that does not fit in memory is halved, and so are later ones.

    Raises:
        DeviceError: one item alone does not fit.
    """
    answers: list[Answer] = []
    while len(answers) < len(items):
        part = items[len(answers) : len(answers) + most]
        found = tried(partial(run, part))
        if not isinstance(found, Short):
            answers += found
            continue
        if len(part) == 1:
            raise DeviceError(
                f"one prompt alone does not fit in memory ({found.reason}); use a smaller image, dtype='bfloat16' or a "
                f"smaller model"
            )
        most = (len(part) + 1) // 2
    return answers


class PeakMemory:
    """Highest memory since it was made: of the device on CUDA, of the whole process elsewhere."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def read(self) -> int:
        """Bytes."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(most if sys.platform == "darwin" else most * 1024)
