"""Scoring protocols as a suite names them: a registered one, kept to some of its tasks where the suite says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsground.contracts import Metric
from rsground.errors import SuiteError
from rsground.registry import load
from rsground.types import Task

TASKS = "tasks"
"""Option that every protocol has in a suite: only samples of these tasks are scored."""


def protocol(name: str, options: Mapping[str, Any]) -> Metric:
    """The protocol, whose ``tasks`` are those that ``options["tasks"]`` names, where it names any.

    Raises:
        UnknownNameError, PluginError: as of any registered part.
        SuiteError: a task is none of the protocol's.
    """
    metric: Metric = load("metric", name, **{key: value for key, value in options.items() if key != TASKS})
    if TASKS not in options:
        return metric
    wanted = options[TASKS]
    if not isinstance(wanted, list) or not wanted or not {str(each) for each in wanted} <= {*metric.tasks}:
        known = ", ".join(f'"{task}"' for task in sorted(metric.tasks))
        raise SuiteError(f"protocol {name!r} scores {known}; its 'tasks' is a list of some of these, got {wanted!r}")
    metric.tasks = frozenset(Task(each) for each in wanted)  # type: ignore[misc]
    return metric
