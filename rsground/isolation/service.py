"""What a worker does: one method per call of the protocol."""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any

import rsground
from rsground.assembly import assemble
from rsground.errors import ProtocolError
from rsground.isolation import describe
from rsground.isolation.framing import FRAME_LIMIT, VERSION
from rsground.isolation.messages import samples_from_message
from rsground.pipeline import Images, Pipeline
from rsground.records import prediction_to_json


class Service:
    """One system at work. Every call takes and answers JSON-able objects."""

    def __init__(self) -> None:
        self.frame_limit = FRAME_LIMIT
        self._images = Images()
        self._system: Pipeline | None = None
        self._answered = 0
        self._calls: dict[str, Callable[[Mapping[str, Any], bytes], dict[str, Any]]] = {
            "hello": self._hello,
            "describe": lambda _, __: describe.here(),
            "load": self._load,
            "ground": self._ground,
            "usage": self._usage,
            "shutdown": self._shutdown,
        }

    def answer(self, name: object, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        """The answer to a call.

        Raises:
            ProtocolError: no such call, or not now.
            Exception: whatever the system's parts raise.
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

    def _load(self, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        del attachment
        self._shutdown({}, b"")
        parts = assemble(message["system"])
        system = Pipeline(parts.head, parts.backbone, parts.steps, seed=message["seed"], images=self._images)
        self._system = system
        return {
            "tasks": sorted(task.value for task in system.head.tasks),
            "looks": system.looks,
            "needs_answer": system.backbone.needs_answer,
        }

    def _ground(self, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        if self._system is None:
            raise ProtocolError("'ground' before 'load'")
        samples = samples_from_message(message, attachment, self._images)
        found = self._system.answer(samples)
        self._answered += len(found)
        return {"predictions": [prediction_to_json(each) for each in found], "held": list(self._images.held)}

    def _usage(self, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        del message, attachment
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "answered": self._answered,
            "processor_s": used.ru_utime + used.ru_stime,
            "peak_memory_bytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            "peak_device_bytes": _device_bytes(),
        }

    def _shutdown(self, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        del message, attachment
        if self._system is not None:
            self._system.close()
            self._system = None
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
