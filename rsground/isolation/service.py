"""What a worker of an isolated environment does: tell what there is, build one system, answer samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsground.assembly import assemble
from rsground.errors import ProtocolError
from rsground.isolation import describe
from rsground.isolation.calls import Calls
from rsground.isolation.messages import samples_from_message
from rsground.pipeline import Images, Pipeline
from rsground.records import prediction_to_json


class Service(Calls):
    """One system at work. Every call takes and answers JSON-able objects."""

    def __init__(self) -> None:
        super().__init__()
        self._images = Images()
        self._system: Pipeline | None = None
        self.offer(describe=lambda _, __: describe.here(), load=self._load, ground=self._ground)

    def close(self) -> None:
        """Close the system."""
        if self._system is not None:
            self._system.close()
            self._system = None

    def _load(self, message: Mapping[str, Any], attachment: bytes) -> dict[str, Any]:
        del attachment
        self.close()
        parts = assemble(message["system"], message.get("offered"))
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
        self.answered += len(found)
        return {"predictions": [prediction_to_json(each) for each in found], "held": list(self._images.held)}
