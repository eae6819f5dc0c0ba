"""A plugin for these tests: boxes without pictures, and a head that dies, hangs, stumbles or notes its working hours on
demand. Workers find it through an entry point, as they find any other plugin."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from rsground import BackboneSpec, DatasetSpec, HeadSpec, hookimpl
from rsground.contracts import Backbone, Dataset, Prompt, TextHead
from rsground.types import Generation, ImageRef, Prediction, Region, Sample, Task, View


class Boxes(Dataset):
    """``count`` samples with one box each, two per image."""

    name = "ray-toy"

    def __init__(self, root: str | None = None, split: str = "test", *, count: int = 20) -> None:
        super().__init__(root, split)
        self.count = count

    def __iter__(self) -> Iterator[Sample]:
        for number in range(self.count):
            x = 4.0 * (number % 10)
            target = Region(hbb=(x, 5.0, x + 20.0, 30.0), label="thing")
            image = ImageRef(f"ray-toy:{number // 2}", 48, 64)
            yield Sample(f"toy-{number}", (image,), f"thing {number}", Task.HBB, (target,))

    def size_hint(self) -> int:
        return self.count

    def fingerprint(self) -> str:
        return f"ray-toy-{self.count}"


class Toy(TextHead):
    """Writes a box, a little beside the right one for every third sample."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB})

    def _ask(self, sample: Sample) -> str:
        return sample.expression

    def target(self, sample: Sample, view: View) -> str:
        return ",".join(f"{value:g}" for value in (sample.targets or ())[0].hbb or ())

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        x1, y1, x2, y2 = (float(value) for value in generation.text.split(","))
        return Prediction(regions=(Region(hbb=(x1, y1, x2, y2)),))


class Writer(Backbone):
    """Answers from the prompt's number; ``how`` it misbehaves, ``at`` which sample, ``times`` (counted in ``folder``).

    ``exit``: ends its process; ``stop``: stops it, as a debugger would; ``hang``; ``room``: cannot hold more than two
    prompts. ``busy_s`` of every call are slept; with ``diary`` the hours are noted in ``folder``.
    """

    needs_pixels: ClassVar[bool] = False

    def __init__(
        self,
        how: str = "",
        at: int = -1,
        times: int = 1,
        folder: str = "",
        busy_s: float = 0.0,
        diary: bool = False,
    ) -> None:
        self.how, self.at, self.times, self.busy_s, self.diary = how, at, times, busy_s, diary
        self.folder = folder.removeprefix("at:")

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        began = time.monotonic_ns()
        if any(prompt.text == f"thing {self.at}" for prompt in prompts) and self._once_more():
            self._misbehave()
        if self.how == "room" and len(prompts) > 2:
            self._note("too-many", [len(prompts)])
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.busy_s * len(prompts))
        if self.diary:
            self._note("hours", [began, time.monotonic_ns(), len(prompts)])
        return [Generation(text=self._box(int(prompt.text.split()[-1]))) for prompt in prompts]

    def _box(self, number: int) -> str:
        x = 4.0 * (number % 10) + (9.0 if number % 3 == 0 else 1.0)
        return f"{x:g},5,{x + 20:g},30"

    def _once_more(self) -> bool:
        for number in range(self.times):
            try:
                (Path(self.folder) / f"{self.how}-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False

    def _misbehave(self) -> None:
        if self.how == "exit":
            os._exit(3)
        if self.how == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.how == "hang":
            time.sleep(3600)

    def _note(self, name: str, values: list[int]) -> None:
        with open(Path(self.folder) / f"{name}-{os.getpid()}.jsonl", "a", encoding="utf-8") as stream:
            stream.write(json.dumps(values) + "\n")


@hookimpl
def rsground_datasets() -> list[DatasetSpec]:
    return [DatasetSpec(name="ray-toy", target="ray_toys:Boxes", summary="boxes", needs_root=False)]


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    return [HeadSpec(name="ray-toy", target="ray_toys:Toy", summary="a toy", tasks=("hbb",))]


@hookimpl
def rsground_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(name="writer", target="ray_toys:Writer", summary="light"),
        BackboneSpec(name="heavy-writer", target="ray_toys:Writer", summary="heavy", requires=("numpy",)),
    ]
