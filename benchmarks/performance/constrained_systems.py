"""Systems with and without the grammar: what it costs or saves, and what it does to answers and scores.

Both sides are the same system, loaded twice, and take turns batch by batch on the same questions about drawn scenes
that nothing was trained on. Each batch is asked once: a second time, the automaton would know every state of the
answers. Samples a second count all that a system does for an answer, SAM 2 included where it has it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch

from rsground import Grounder
from rsground.datasets.scenes import ScenesDataset
from rsground.metrics import evaluate
from rsground.types import Prediction, Sample

METRICS: Mapping[str, tuple[str, str]] = {
    "hbb": ("rec-hbb", "Acc@0.5"),
    "obb": ("rec-obb", "Acc@0.5"),
    "mask": ("res", "gIoU"),
}
"""Task → metric and the score that is printed."""


@dataclass(slots=True, eq=False)
class Side:
    """The system with the grammar, or without it."""

    name: str
    grounder: Any
    spent: list[float] = field(default_factory=list)
    found: list[Prediction] = field(default_factory=list)

    def ask(self, samples: Sequence[Sample]) -> None:
        """Answer a batch and note its processor time; its images are drawn before."""
        for ref in {ref.uri: ref for sample in samples for ref in sample.images}.values():
            self.grounder.pipeline.images.read(ref)
        began = time.process_time()
        self.found += self.grounder.pipeline.answer(samples)
        self.spent.append(time.process_time() - began)


def lines(system: str, tasks: Sequence[str], count: int, batch: int, device: str) -> Iterator[str]:
    """What is to be printed of one system: per task a line for each side, and one that compares them."""
    grounders = {
        name: Grounder.from_pretrained(system, device=device, constrained=name == "constrained")
        for name in ("free", "constrained")
    }
    yield f"{system}: {count} questions a task, batch {batch}, processor time, {torch.get_num_threads()} thread(s)"
    for task in tasks:
        if task not in grounders["free"].tasks:
            yield f"  {task}: not among its tasks"
            continue
        samples, others = asked(task, count, batch)
        sides = [Side(name, grounder) for name, grounder in grounders.items()]
        measure(sides, [*others, *samples], batch)
        yield from compared(task, samples, sides, batch)


def asked(task: str, count: int, others: int) -> tuple[list[Sample], list[Sample]]:
    """Questions of the split ``test``, four a scene as in the suites that ship, and others to set up with."""
    found = list(islice(ScenesDataset(split="test", tasks=task, per_scene=4), count + others))
    assert len(found) == count + others, f"{len(found)} questions in all scenes of the split"
    return found[:count], found[count:]


def measure(sides: Sequence[Side], samples: Sequence[Sample], batch: int) -> None:
    """Both sides in turn; the first batch, on which all is set up, is not counted."""
    for start in range(0, len(samples), batch):
        for side in sides if start // batch % 2 else reversed(sides):
            side.ask(samples[start : start + batch])
    for side in sides:
        del side.spent[0], side.found[:batch]


def compared(task: str, samples: Sequence[Sample], sides: Sequence[Side], batch: int) -> Iterator[str]:
    """The figures of one task."""
    metric, score = METRICS[task]
    for side in sides:
        assert not any(each.error for each in side.found), [each.error for each in side.found]
        tokens = sum(each.usage.output_tokens or 0 for each in side.found) / len(samples)
        unread = sum(not each.parsed for each in side.found) / len(samples)
        value = evaluate(samples, side.found, metric)[score]
        yield (
            f"  {task:>4}, {side.name:<11}: {len(samples) / sum(side.spent):6.2f} samples/s, {tokens:5.1f} tokens, "
            f"unparsable {100 * unread:.0f} %, {score} {100 * value:.1f}"
        )
    free, constrained = sides
    same = [one.text == other.text for one, other in zip(free.found, constrained.found, strict=True)]
    ratio = sum(free.spent) / sum(constrained.spent)
    yield f"  {task:>4}, constrained over free: {ratio:.2f} x, {sum(same)} of {len(same)} answers equal"
    whole = [at for at in range(len(free.spent)) if all(same[at * batch : (at + 1) * batch])]
    if whole:
        alike = sum(free.spent[at] for at in whole) / sum(constrained.spent[at] for at in whole)
        yield f"        on the {len(whole)} of {len(free.spent)} batches with equal answers alone: {alike:.2f} x"
