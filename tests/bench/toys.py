"""A plugin for the bench's tests: a small data set, and parts that misbehave on demand. Written so that worker
processes find it through an entry point, as they find any other plugin."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rsground import BackboneSpec, DatasetSpec, HeadSpec, MetricSpec, PreprocessorSpec, hookimpl
from rsground.contracts import Backbone, BrokenRecord, Dataset, Metric, Preprocessor, Prompt, TextHead
from rsground.errors import LayoutError
from rsground.types import Generation, ImageRef, Prediction, Region, Sample, Task, View


def draw(height: int, width: int, shade: int) -> np.ndarray:
    """A plain picture."""
    return np.full((height, width, 3), shade, np.uint8)


class ToyData(Dataset):
    """``count`` samples, two per image; every seventh record is broken; tasks alternate where asked."""

    name = "toy"

    def __init__(
        self,
        root: str | None = None,
        split: str = "test",
        *,
        count: int = 20,
        mixed: bool = False,
        bare: bool = False,
        stops_at: int = -1,
        files: str = "",
        unpicklable: bool = False,
    ) -> None:
        super().__init__(root, split)
        if root is not None and not Path(root).is_dir():
            raise LayoutError("toy data needs a folder", root)
        self.count, self.mixed, self.bare, self.stops_at, self.files = count, mixed, bare, stops_at, files
        self.unpicklable = unpicklable

    def __iter__(self) -> Iterator[Sample]:
        for number in range(self.count):
            if number == self.stops_at:
                raise OSError("the disk went away")
            if number % 7 == 6:
                self.on_broken(BrokenRecord("toy.json", number, "bad-box", "a box of the toy data"))
            task = (Task.HBB, Task.MASK, Task.VQA)[number % 3] if self.mixed else Task.HBB
            x = 4.0 * (number % 10)
            box = Region(hbb=(x, 5.0, x + 20.0, 30.0), label="thing")
            yield Sample(
                id=f"toy-{number}",
                images=(self._image(number),),
                expression=f"thing {number}",
                task=task,
                targets=None if self.bare else (box,),
                meta={"category": "even" if number % 2 == 0 else "odd", "number": number},
            )

    def _image(self, number: int) -> ImageRef:
        if self.files:
            return ImageRef(str(Path(self.files) / f"{number // 2}.png"), 48, 64)
        render = (lambda: draw(48, 64, 0)) if self.unpicklable else partial(draw, 48, 64, number // 2 % 256)
        return ImageRef(f"toy:{number // 2}", 48, 64, render)

    def size_hint(self) -> int:
        return self.count

    def fingerprint(self) -> str:
        return f"toy-{self.count}-{self.mixed}-{self.bare}-{self.files}"


class ToyHead(TextHead):
    """Writes a box; dies, fails or sleeps at the sample whose expression ends with ``at``.

    ``how``: ``raise``, ``exit`` (os._exit), ``kill`` (SIGKILL), ``segv``, ``hang``, ``interrupt`` (KeyboardInterrupt),
    ``eat`` (all the memory there is), ``say`` (last words); ``kill-once``: SIGKILL where the file ``mark`` is not
    there yet.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.MASK})

    def __init__(self, how: str = "", at: int = -1, burn: int = 0, mark: str = "") -> None:
        self.how, self.at, self.burn, self.mark = how, at, burn, mark

    def _ask(self, sample: Sample) -> str:
        return sample.expression

    def target(self, sample: Sample, view: View) -> str:
        regions = sample.targets or ()
        return " ".join(",".join(f"{value:g}" for value in region.hbb or ()) for region in regions)

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        if sample.expression == f"thing {self.at}":
            self._misbehave()
        for _ in range(self.burn):
            sum(range(1000))
        if not generation.text:
            return Prediction(parsed=False)
        return Prediction(regions=tuple(_region(word) for word in generation.text.split()))

    def _misbehave(self) -> None:
        if self.how == "raise":
            raise RuntimeError("the head gave up\nin two lines")
        if self.how == "exit":
            os._exit(3)
        if self.how == "kill-once" and not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.how == "hang":
            time.sleep(3600)
        if self.how == "say":
            os.write(1, b"printed by a head\n")
            os.write(2, b"I am leaving\n")
            os._exit(3)
        if self.how == "eat":
            held = []
            while True:
                held.append(bytearray(16 << 20))
        if self.how == "interrupt":
            raise KeyboardInterrupt


def _region(word: str) -> Region:
    x1, y1, x2, y2 = (float(value) for value in word.split(","))
    return Region(hbb=(x1, y1, x2, y2))


class Looker(Backbone):
    """Answers with what it sees: the mean of the picture as a box."""

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        assert all(prompt.sample is None or prompt.sample.targets is None for prompt in prompts), "it could cheat"
        return [Generation(text=f"{prompt.view.images[0].mean():g},0,60,40") for prompt in prompts if prompt.view]

    def count_tokens(self, text: str) -> int:
        return len(text.split(","))


class Batcher(Backbone):
    """Notes in its answers how many prompts came at once; fails a batch that holds ``thing bad``."""

    needs_pixels: ClassVar[bool] = False

    def __init__(self, bad: int = -1) -> None:
        self.bad = bad

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        if any(prompt.text == f"thing {self.bad}" for prompt in prompts):
            raise ValueError(f"cannot answer a batch of {len(prompts)}")
        return [Generation(text=f"0,0,{10 * len(prompts)},10") for _ in prompts]


class Shift(Preprocessor):
    """Shows the right half of the picture."""

    def _apply(self, view: View, sample: Sample, backbone: Backbone | None) -> View:
        half = view.size[1] // 2
        images = tuple(image[:, half:] for image in view.images)
        return View(images, view.original_size, (1.0, 0.0, float(half), 0.0, 1.0, 0.0))


class Count(Metric):
    """Counts answers; fails to measure the sample numbered ``bad``."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.MASK})
    primary: ClassVar[str] = "regions"
    statistics: ClassVar[tuple[str, ...]] = ("regions", "parsed")
    payloads: ClassVar[tuple[str, ...]] = ("who",)
    paired: ClassVar[str | None] = "regions"

    def __init__(self, bad: int = -1, always: bool = False) -> None:
        self.bad, self.always = bad, always

    def measure(self, sample: Sample, prediction: Prediction) -> dict[str, Any]:
        if sample.meta["number"] == self.bad and (self.always or prediction.error is None):
            raise ZeroDivisionError("nothing to divide by")
        return {"regions": float(len(prediction.regions)), "parsed": float(prediction.parsed), "who": [sample.id]}

    def summarise(self, columns: Any, weights: Any = None) -> dict[str, float]:
        return {"regions": float(np.average(columns["regions"], weights=weights)), "n": float(len(columns["who"]))}


@hookimpl
def rsground_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(name="toy", target="toys:ToyData", summary="toy data", splits=("val", "test"), needs_root=False)
    ]


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    return [
        HeadSpec(name="toy", target="toys:ToyHead", summary="a toy", tasks=("hbb", "mask")),
        HeadSpec(name="absent", target="toys:Absent", summary="needs what nobody has", requires=("no_such_package",)),
    ]


@hookimpl
def rsground_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(name="looker", target="toys:Looker", summary="looks"),
        BackboneSpec(name="batcher", target="toys:Batcher", summary="batches"),
    ]


@hookimpl
def rsground_preprocessors() -> list[PreprocessorSpec]:
    return [PreprocessorSpec(name="shift", target="toys:Shift", summary="shows the right half")]


@hookimpl
def rsground_metrics() -> list[MetricSpec]:
    return [MetricSpec(name="count", target="toys:Count", summary="counts", tasks=("hbb", "mask"))]


def ends() -> None:
    """A worker's main that ends before it answers anything."""
    raise SystemExit(7)


def half_said() -> None:
    """A worker's main that stops in the middle of a message."""
    os.write(1, b"RSG1" + (1000).to_bytes(4, "big") + bytes(4) + b'{"only": "the beginning')
    os.kill(os.getpid(), signal.SIGSTOP)


def babbles() -> None:
    """A worker's main that answers with what is no frame."""
    os.write(1, b"good morning")
    time.sleep(3600)
