"""Data sets as the bench reads them: opened by name, cut to tasks, streamed from any place."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from rsground.contracts import Dataset
from rsground.registry import load_dataset, registry, target_of
from rsground.types import Sample


def open_dataset(
    name: str, root: str | None, split: str, options: Mapping[str, Any], tasks: Sequence[str] = ()
) -> Dataset:
    """A registered data set; one that can be asked for certain tasks is asked for ``tasks``.

    Raises:
        RsgroundError: the name, the root or an option is wrong.
    """
    asked = {"tasks": tuple(tasks), **options} if tasks and takes_tasks(name) else options
    found: Dataset = load_dataset(name, root, split, **asked)
    return found


def takes_tasks(name: str) -> bool:
    """Whether a data set has an option ``tasks`` of its own, and so makes no samples of other tasks."""
    try:
        return "tasks" in inspect.signature(target_of(registry().find("dataset", name))).parameters
    except (TypeError, ValueError):
        return False


def samples_from(source: Dataset, start: int, stop: int, tasks: Sequence[str] = ()) -> Iterator[tuple[int, Sample]]:
    """(place, sample) for places ``[start, stop)``; places count the samples of ``tasks`` only (all where empty).

    A data set may offer ``iter_from(start, stop)``, which answers the same samples as skipping would; without it
    everything before ``start`` is read and thrown away.
    """
    jump = getattr(source, "iter_from", None)
    if jump is not None and not tasks:
        return enumerate(jump(start, stop), start)
    wanted = (sample for sample in source if not tasks or sample.task in tasks)
    return islice(enumerate(wanted), start, stop)
