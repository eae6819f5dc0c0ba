"""The calls that every worker of the protocol knows, whatever its work is."""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import rsground
from rsground.errors import ProtocolError
from rsground.isolation.framing import FRAME_LIMIT, VERSION

Answer = dict[str, Any] | Iterator[dict[str, Any]]
"""What a call answers: an object, or parts of it one after the other, as they become known."""
Call = Callable[[Mapping[str, Any], bytes], Answer]


class Calls:
    """``hello``, ``usage`` and ``shutdown``; subclasses add their work with :meth:`offer`.

    Attributes:
        frame_limit: bytes of a frame that may be sent.
        answered: samples answered so far.
    """

    def __init__(self) -> None:
        self.frame_limit = FRAME_LIMIT
        self.answered = 0
        self._calls: dict[str, Call] = {}
        self.offer(hello=self._hello, usage=self._usage, shutdown=self._shutdown)

    def offer(self, **calls: Call) -> None:
        """Know more calls. Each takes a message and its attachment."""
        self._calls.update(calls)

    def close(self) -> None:
        """Let go of what was built; the worker ends."""

    def answer(self, name: object, message: Mapping[str, Any], attachment: bytes) -> Answer:
        """The answer to a call.

        Raises:
            ProtocolError: no such call, or not now.
            Exception: whatever the work raises.
        """
        if name not in self._calls:
            raise ProtocolError(f"no call {name!r}; there are {', '.join(self._calls)}")
        return self._calls[str(name)](message, attachment)

    def _hello(self, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        del attachment
        if VERSION not in message["versions"]:
            raise ProtocolError(f"this worker speaks version {VERSION} of the protocol, not {message['versions']}")
        limits = message["limits"]
        self.frame_limit = int(limits["answer_bytes"])
        if limits["memory_bytes"] is not None:
            _limit_memory(int(limits["memory_bytes"]))
        return {
            "version": VERSION,
            "core": rsground.__version__,
            "python": platform.python_version(),
            "calls": list(self._calls),
        }

    def _usage(self, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        del message, attachment
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "answered": self.answered,
            "processor_s": used.ru_utime + used.ru_stime,
            "peak_memory_bytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            "peak_device_bytes": _device_bytes(),
        }

    def _shutdown(self, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        del message, attachment
        self.close()
        return {}


def _limit_memory(limit: int) -> None:
    """Let this process allocate no more; address space that is only reserved (as CUDA does) does not count."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    del soft
    ceiling = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (ceiling, hard))


def _device_bytes() -> int | None:
    """Highest memory of the GPU, where the system brought torch and used one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())
