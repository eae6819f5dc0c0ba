"""A system of a suite whose parts live in another interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rsground.environments import Environment, find_environment
from rsground.errors import SuiteError
from rsground.isolation.client import Client
from rsground.isolation.process import Limits
from rsground.pipeline import Images
from rsground.types import Prediction, Sample, Task

_KINDS = ("head", "backbone", "segmenter")


class IsolatedSystem:
    """Asks a worker in an environment; to whoever runs it, it is a system like any other.

    Args:
        entry: as :func:`rsground.assembly.assemble` takes it, with parts named ``name@ENV``.
        seed: handed to the backbone with every prompt, as ``options["seed"]``.
        images: pixels by uri, shared between systems of one process.
        offered: options for whichever part takes them, as :func:`rsground.assembly.assemble` has them.

    Raises:
        RsgroundError: there is no such environment, or a part cannot be built there.
    """

    def __init__(
        self,
        entry: Mapping[str, Any],
        seed: int = 0,
        images: Images | None = None,
        offered: Mapping[str, Any] | None = None,
    ) -> None:
        environment = find_environment(str(environment_of(entry)))
        self.images = Images() if images is None else images
        self.client = Client(
            environment.python,
            at_home(entry),
            seed=seed,
            images=self.images,
            limits=limits_of(environment),
            offered=offered,
            logs=environment.logs,
        )

    @property
    def tasks(self) -> frozenset[Task]:
        """The tasks its head serves."""
        return self.client.tasks

    @property
    def looks(self) -> bool:
        """Whether it wants pictures."""
        return self.client.looks

    def serves(self, sample: Sample) -> bool:
        """Whether the head serves the sample's task."""
        return sample.task in self.tasks

    def answer(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One prediction per sample, in order. Never raises: what goes wrong is in the prediction's ``error``."""
        return self.client.answer(samples)

    def close(self) -> None:
        """Let the worker end."""
        self.client.close()


def environment_of(entry: Mapping[str, Any]) -> str | None:
    """The environment that an entry's head lives in; None for a head of this interpreter."""
    return str(entry["head"]["name"]).partition("@")[2] or None


def at_home(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry as the environment itself names its parts.

    Raises:
        SuiteError: a part lives elsewhere.
    """
    home = environment_of(entry)

    def part(given: Mapping[str, Any]) -> dict[str, Any]:
        name, _, where = str(given["name"]).partition("@")
        if where not in ("", home):
            raise SuiteError(
                f"{given['name']!r} cannot be part of a system in environment {home!r}: it lives elsewhere"
            )
        return {"name": name, "options": dict(given["options"])}

    found: dict[str, Any] = {kind: None if entry[kind] is None else part(entry[kind]) for kind in _KINDS}
    return {**found, "preprocess": [part(step) for step in entry["preprocess"]], "checkpoint": entry["checkpoint"]}


def limits_of(environment: Environment) -> Limits:
    """What workers of an environment may take, as it was said when it was made."""
    given = environment.record.get("limits", {})
    known = Limits.__slots__
    return Limits(**{name: given[name] for name in known if given.get(name) is not None})
