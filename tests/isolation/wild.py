"""A plugin for the tests of isolation: heads that behave, and heads that do what they should not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rsground import BackboneSpec, HeadSpec, SystemSpec, hookimpl
from rsground.contracts import Backbone, Prompt, TextHead
from rsground.types import Generation, Prediction, Region, Sample, Task, View


class WildHead(TextHead):
    """Writes boxes; does ``how`` at the sample whose expression is ``thing {at}``, or at all of them (``at=-1``).

    ``once``: a file; where it is there already, the head behaves.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.MASK})

    def __init__(self, how: str = "", at: int = -1, once: str = "", note: str = "") -> None:
        self.how, self.at, self.once, self.note = how, at, once, note
        if how == "unbuildable":
            raise ValueError("this head is never built")
        if how == "dies-in-init":
            os._exit(9)

    def _ask(self, sample: Sample) -> str:
        return sample.expression

    def target(self, sample: Sample, view: View) -> str:
        return " ".join(",".join(f"{value!r}" for value in region.hbb or ()) for region in sample.targets or ())

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        text = generation.text
        wanted = self.at == -1 or sample.expression == f"thing {self.at}"
        if self.how and wanted and not self._has_been():
            text = getattr(self, "_" + self.how.replace("-", "_"))(text) or text
        if self.note:
            with Path(self.note).open("a", encoding="utf-8") as stream:
                stream.write(f"{sample.id}\n")
        boxes = [tuple(map(float, word.split(","))) for word in generation.text.split()]
        return Prediction(regions=tuple(Region(hbb=box) for box in boxes), text=text)  # type: ignore[arg-type]

    def _has_been(self) -> bool:
        if not self.once:
            return False
        if os.path.exists(self.once):
            return True
        Path(self.once).touch()
        return False

    def _raise(self, text: str) -> None:
        raise RuntimeError("the head gave up\nin two lines")

    def _exit(self, text: str) -> None:
        sys.stderr.write("going now\n")
        sys.stderr.flush()
        os._exit(3)

    def _leave(self, text: str) -> None:
        raise SystemExit(4)

    def _kill(self, text: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _segv(self, text: str) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def _hang(self, text: str) -> None:
        time.sleep(3600)

    def _stop(self, text: str) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def _eat(self, text: str) -> None:
        held = []
        while True:
            held.append(bytearray(os.urandom(1 << 20)) * 8)

    def _print(self, text: str) -> None:
        print("RSG1 printed by a plugin" * 100, flush=True)  # noqa: T201
        print("an error line", file=sys.stderr, flush=True)  # noqa: T201
        os.write(1, b"straight to descriptor one\n")
        os.system("echo from a shell")

    def _garbage(self, text: str) -> None:
        for descriptor in range(3, 64):  # a hostile plugin finds the pipe, wherever it is
            try:
                os.write(descriptor, b"\x00garbage on the pipe")
            except OSError:
                continue

    def _announce(self, text: str) -> None:
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b"RSG1" + (2 << 30).to_bytes(4, "big") + bytes(4) + b"x" * 1000)
            except OSError:
                continue
        time.sleep(3600)

    def _fork(self, text: str) -> None:
        for _ in range(3):
            if os.fork() == 0:
                time.sleep(3600)
                os._exit(0)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        os._exit(5)

    def _fork_and_return(self, text: str) -> None:
        """The child comes back through the worker's own code and would answer too."""
        os.fork()

    def _environment(self, text: str) -> str:
        return "\n".join(f"{name}={value}" for name, value in sorted(os.environ.items()))

    def _huge(self, text: str) -> str:
        return "x" * (2 << 30)

    def _large(self, text: str) -> str:
        return "x" * (65 << 20)


class Looker(Backbone):
    """Answers with what it sees: the mean of the picture as a box, and how wide its weights say boxes are."""

    def __init__(self, checkpoint: str = "", width: int = 60) -> None:
        self.width = int((Path(checkpoint) / "width.txt").read_text()) if checkpoint else width

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        assert all(prompt.sample is None or prompt.sample.targets is None for prompt in prompts), "it could cheat"
        wide = self.width
        return [Generation(text=f"{prompt.view.images[0].mean():g},0,{wide},40") for prompt in prompts if prompt.view]


class Needy(TextHead):
    """Needs a module that is not there."""


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    return [
        HeadSpec(name="wild", target="wild:WildHead", summary="misbehaves on demand", tasks=("hbb", "mask")),
        HeadSpec(name="needy", target="wild:Needy", summary="needs what nobody has", requires=("no_such_package",)),
    ]


@hookimpl
def rsground_backbones() -> list[BackboneSpec]:
    return [BackboneSpec(name="wild-looker", target="wild:Looker", summary="looks")]


@hookimpl
def rsground_checkpoints() -> list[SystemSpec]:
    parts = {"head": "wild", "backbone": "wild-looker"}
    blind = (("blindfold", {}),)
    return [
        SystemSpec(name="wild/sees", summary="looks", checkpoint="wild_weights:looker", **parts),
        SystemSpec(
            name="wild/links",
            summary="its backbone names them",
            backbone_options={"checkpoint": "wild_weights:looker"},
            **parts,
        ),
        SystemSpec(name="wild/gone", summary="lost", checkpoint="wild_weights:gone", preprocessors=blind, **parts),
    ]
