"""Every name and option of a suite, looked up before anything runs."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

from rsground.bench.protocols import TASKS, protocol
from rsground.bench.section import unknown_key
from rsground.bench.suite import DataChoice, Entry, Part, Suite
from rsground.errors import DataError, PluginError, RsgroundError, SuiteError, UnknownNameError
from rsground.registry import construct, registry, target_of


def checked(suite: Suite) -> Suite:
    """The suite without the optional entries that cannot run here; those are in ``notes``.

    Parts that need nothing beyond the core are built once and thrown away, so that a bad value is found now.

    Raises:
        SuiteError: a name nobody registered, an option a part does not take, a missing package, an absent root.
    """
    where = suite.source
    for metric in suite.metrics:
        own = {name: value for name, value in metric.options.items() if name != TASKS}
        check_part("metric", replace(metric, options=own), f"{where}: metrics")
        if TASKS in metric.options:
            try:
                protocol(metric.name, metric.options)
            except SuiteError as error:
                raise SuiteError(f"{where}: metrics: {error}") from error
    check_part("executor", suite.executor, f"{where}: executor")
    for choice in suite.datasets:
        _check_data(choice, f"{where}: dataset {choice.label!r}")
    entries, notes = [], list(suite.notes)
    for entry in suite.entries:
        try:
            entry = in_one_place(entry, f"{where}: entry {entry.label!r}")
            _check_entry(entry, f"{where}: entry {entry.label!r}")
            entries.append(entry)
        except _AbsentError as absent:
            if not entry.optional:
                raise SuiteError(str(absent)) from absent
            notes.append(f"left out {entry.label!r}: {absent}")
    if not entries:
        raise SuiteError(f"{where}: every entry is optional and none can run here: {'; '.join(notes)}")
    return replace(suite, entries=tuple(entries), notes=tuple(notes))


class _AbsentError(SuiteError):
    """A part is not installed here; an optional entry may do without."""


def in_one_place(entry: Entry, where: str) -> Entry:
    """The entry with all parts named for the environment that its head lives in; others stay as they are.

    Raises:
        SuiteError: its parts live in different places.
    """
    home = entry.head.name.partition("@")[2]
    for kind, part in entry.parts():
        there = part.name.partition("@")[2]
        if there not in ("", home):
            raise SuiteError(
                f"{where}: {kind} {part.name!r} lives in environment {there!r}, the head {entry.head.name!r} "
                f"{f'in {home!r}' if home else 'here'}; a system is built in one place, its head's"
            )
    if not home:
        return entry

    def moved(part: Part) -> Part:
        return part if "@" in part.name else replace(part, name=f"{part.name}@{home}")

    return replace(
        entry,
        backbone=moved(entry.backbone),
        preprocess=tuple(moved(part) for part in entry.preprocess),
        segmenter=None if entry.segmenter is None else moved(entry.segmenter),
    )


def _check_entry(entry: Entry, where: str) -> None:
    for kind, part in entry.parts():
        check_part(kind, part, f"{where}: {kind}")


def check_part(kind: str, part: Part, where: str) -> None:
    """Pass for a registered thing that can be built with these options.

    Raises:
        SuiteError: it cannot; says why and what would be right.
    """
    try:
        spec = registry().find(kind, part.name)
    except UnknownNameError as error:
        raise _AbsentError(f"{where}: {error}") from error
    except RsgroundError as error:
        raise SuiteError(f"{where}: {error}") from error
    missing = registry().offer(kind, part.name).missing
    if missing:
        raise _AbsentError(f"{where}: {kind} {part.name!r} needs {', '.join(missing)}, not installed here")
    try:
        target = target_of(spec)
        _check_options(target, part, f"{where} {part.name!r}")
        if not spec.requires:
            construct(spec, **part.options)
    except SuiteError:
        raise
    except UnknownNameError as error:
        raise (_AbsentError if error.kind in ("codec", "segmenter") else SuiteError)(f"{where}: {error}") from error
    except PluginError as error:
        raise _AbsentError(f"{where}: {error}") from error
    except (RsgroundError, ValueError, TypeError) as error:
        raise SuiteError(f"{where}: {kind} {part.name!r} cannot be built: {error}") from error


def _check_data(choice: DataChoice, where: str) -> None:
    try:
        spec = registry().find("dataset", choice.name)
    except RsgroundError as error:
        raise SuiteError(f"{where}: {error}") from error
    if spec.needs_root and choice.root is None:
        raise SuiteError(
            f"{where}: {choice.name!r} is read from a folder: give 'root' in the suite or --data {choice.name}=ROOT"
        )
    if missing := registry().offers("dataset")[choice.name].missing:
        raise SuiteError(f"{where}: data set {choice.name!r} needs {', '.join(missing)}, not installed here")
    try:
        target = target_of(spec)
    except PluginError as error:
        raise SuiteError(f"{where}: {error}") from error
    _check_options(target, Part(choice.name, choice.options), where, reserved=_DATA_KEYS)
    try:
        construct(spec, choice.root, choice.split, **choice.options)
    except DataError:
        raise  # says the file or folder itself
    except (RsgroundError, ValueError, TypeError) as error:
        raise SuiteError(f"{where}: {error}") from error


_DATA_KEYS = ("name", "label", "root", "split", "limit", "tasks")


def _check_options(target: Any, part: Part, where: str, reserved: tuple[str, ...] = ()) -> None:
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return  # a target written in C tells nothing; building it will
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    hidden = ("root", "split") if reserved else ()
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in hidden]
    for name in part.options:
        if name not in known:
            raise SuiteError(f"{where}: {unknown_key(name, [*known, *reserved], 'option')}")
