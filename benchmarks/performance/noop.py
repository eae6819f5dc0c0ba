"""Parts that cost nothing, so that what is left is the harness. A plugin: see :func:`installed`."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from rsground import BackboneSpec, DatasetSpec, HeadSpec, MetricSpec, hookimpl
from rsground.contracts import Backbone, Dataset, Metric, Prompt, TextHead
from rsground.types import Generation, ImageRef, Prediction, Region, Sample, Task, View


class NoopData(Dataset):
    """``count`` samples with one box each; nothing is read or drawn."""

    name = "noop"

    def __init__(self, root: str | None = None, split: str = "test", *, count: int = 1000) -> None:
        super().__init__(root, split)
        self.count = count

    def __iter__(self) -> Iterator[Sample]:
        return self.iter_from(0, self.count)

    def iter_from(self, start: int, stop: int) -> Iterator[Sample]:
        """Samples ``[start, stop)`` without making those before."""
        for number in range(start, min(stop, self.count)):
            x, y = float(number % 400), float(number // 400 % 400)
            target = Region(hbb=(x, y, x + 50.0, y + 40.0), label="thing")
            image = ImageRef(f"noop:{number // 4}", 512, 512)
            yield Sample(f"noop-{number}", (image,), f"thing number {number}", Task.HBB, (target,))

    def size_hint(self) -> int:
        return self.count

    def fingerprint(self) -> str:
        return f"noop-{self.count}"


class NoopHead(TextHead):
    """Writes and reads nothing but a constant box; ``rounds`` of hashing stand for a model's work."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB})

    def __init__(self, rounds: int = 0) -> None:
        self.rounds = rounds
        self._found = Prediction(regions=(Region(hbb=(1.0, 1.0, 50.0, 50.0)),))

    def _ask(self, sample: Sample) -> str:
        return sample.expression

    def target(self, sample: Sample, view: View) -> str:
        return "1,1,50,50"

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        state = b"rsground"
        for _ in range(self.rounds):
            state = hashlib.sha256(state).digest()
        return self._found


class NoopBackbone(Backbone):
    """Writes a constant, after a sleep of ``nap_s`` per prompt; dies over a batch of more than ``room`` (0: never)."""

    needs_pixels: ClassVar[bool] = False

    def __init__(self, nap_s: float = 0.0, room: int = 0) -> None:
        self.nap_s, self.room = nap_s, room

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        if 0 < self.room < len(prompts):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.nap_s:
            time.sleep(self.nap_s * len(prompts))
        return [Generation(text="1,1,50,50") for _ in prompts]


class NoopMetric(Metric):
    """One statistic, always 1."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB})
    primary: ClassVar[str] = "ones"
    statistics: ClassVar[tuple[str, ...]] = ("one",)

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        return {"one": 1.0}

    def summarise(self, columns: Any, weights: Any = None) -> dict[str, float]:
        return {"ones": float(columns["one"].mean())}


@hookimpl
def rsground_datasets() -> list[DatasetSpec]:
    """The data."""
    return [DatasetSpec(name="noop", target="noop:NoopData", summary="boxes without pictures", needs_root=False)]


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    """The head."""
    return [HeadSpec(name="noop", target="noop:NoopHead", summary="does nothing", tasks=("hbb",))]


@hookimpl
def rsground_backbones() -> list[BackboneSpec]:
    """The backbone."""
    return [BackboneSpec(name="noop", target="noop:NoopBackbone", summary="writes a constant")]


@hookimpl
def rsground_metrics() -> list[MetricSpec]:
    """The metric."""
    return [MetricSpec(name="noop", target="noop:NoopMetric", summary="always 1", tasks=("hbb",))]


@contextmanager
def installed() -> Iterator[None]:
    """While entered, this module is a plugin here and in child processes, without being installed anywhere."""
    from rsground.registry import registry

    home = str(Path(__file__).resolve().parent)
    with tempfile.TemporaryDirectory() as folder:
        info = Path(folder) / "rsground_noop-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rsground-noop\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[rsground]\nnoop = noop\n")
        before, path = os.environ.get("PYTHONPATH"), sys.path[:]
        sys.path[:0] = [folder, home]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, home, before]))
        registry.cache_clear()
        try:
            yield
        finally:
            sys.path[:] = path
            os.environ.pop("PYTHONPATH")
            if before is not None:
                os.environ["PYTHONPATH"] = before
            registry.cache_clear()
