"""TOML to :class:`~rsground.bench.suite.Suite`. The format is described in docs/reference/suite_file.md."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsground.assembly import locate
from rsground.bench.grid import expand
from rsground.bench.section import Section
from rsground.bench.suite import DataChoice, Entry, Part, Suite
from rsground.errors import CheckpointError, SuiteError, UnknownNameError
from rsground.registry import registry
from rsground.types import Task

_PLAIN = (str, int, float, bool)


def read_suite(text: str, source: str) -> Suite:
    """The suite that a file says; names of parts are not looked up yet (see :mod:`.suite_check`).

    Args:
        text: TOML.
        source: where it was read from, for messages; its stem is the suite's default name.

    Raises:
        SuiteError: no TOML, an unknown key, a wrong type, two entries with one label, nothing to run.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SuiteError(f"{source}: is not valid TOML: {error}") from error
    file = Path(source).name or source
    top = Section(values, file)
    name = top.take("name", str, Path(source).stem)
    summary = top.take("summary", str, "")
    limit = _limit(top)
    metrics = tuple(_part(value, f"{file}: metrics", top) for value in _several(top, "metrics"))
    seeds = _seeds(top)
    executor = _part(top.take_any("executor", "local"), f"{file}: executor", top)
    datasets = [
        _dataset(value, f"{file}: dataset {place}", limit) for place, value in enumerate(_several(top, "dataset"), 1)
    ]
    entries: list[Entry] = []
    notes = []
    for place, value in enumerate(_several(top, "entry"), 1):
        try:
            entries += _entries(value, f"{file}: entry {place}")
        except _AbsentSystemError as absent:
            if not value.get("optional", False):
                raise
            notes.append(f"left out: {absent}")
    if not entries:
        raise SuiteError(f"{file}: every entry is optional and none can run here: {'; '.join(notes)}")
    top.finish(["seed"])
    _unique([entry.label for entry in entries], "entries", file)
    _unique([choice.label for choice in datasets], "data sets", file)
    return Suite(
        name=name,
        summary=summary,
        entries=tuple(entries),
        datasets=tuple(datasets),
        metrics=metrics,
        seeds=seeds,
        executor=executor,
        text=text,
        source=source,
        notes=tuple(notes),
    )


class _AbsentSystemError(SuiteError):
    """A system is not registered here; an optional entry may do without."""


def data_label(name: str, split: str, root: str | None, taken: Sequence[str]) -> str:
    """A short label for a data set that is not in ``taken``: its name, with split, folder or number as needed."""
    candidates = [name, f"{name}:{split}"]
    if root is not None:
        candidates.append(f"{name}:{split}@{Path(root).name}")
    candidates += [f"{name}:{split}#{number}" for number in range(2, len(taken) + 3)]
    return next(label for label in candidates if label not in taken)


def _several(top: Section, key: str) -> list[Any]:
    found = top.take_any(key)
    if key == "metrics" and found is None:
        raise top.error("needs the key 'metrics': a list of protocols ('rsground list metrics' shows them)")
    values = found if isinstance(found, list) else [found]
    if found is None or not values:
        raise top.error(f"has no {key!r}; there is nothing to run")
    return values


def _limit(section: Section, default: int | None = None) -> int | None:
    limit: int | None = section.take("limit", int, default)
    if limit is not None and limit < 1:
        raise section.error(f"'limit' must be at least 1, got {limit}")
    return limit


def _seeds(top: Section) -> tuple[int, ...]:
    single = top.take("seed", int, None)
    seeds = top.take("seeds", list, [0] if single is None else [single])
    if not seeds or not all(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 for seed in seeds):
        raise top.error(f"'seeds' must be a list of whole numbers >= 0, got {seeds!r}")
    return tuple(dict.fromkeys(seeds))


def _part(value: Any, where: str, parent: Section) -> Part:
    """A registered thing: its name, or a table with ``name`` and options."""
    if isinstance(value, str):
        return Part(value)
    if not isinstance(value, dict):
        raise SuiteError(f"{where}: must be a name or a table with 'name', got {value!r}")
    section = Section(value, where)
    return Part(section.take("name", str), section.rest())


def _dataset(value: Any, where: str, limit: int | None) -> DataChoice:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        raise SuiteError(f"{where}: must be a name or a table, got {value!r}")
    section = Section(value, where)
    name = section.take("name", str)
    section.where = f"{where} {name!r}"
    tasks = section.take("tasks", list, [])
    for task in tasks:
        if task not in list(Task):
            raise section.error(str(UnknownNameError("task", str(task), list(Task))))
    split = section.take("split", str, None)
    return DataChoice(
        label=section.take("label", str, name),
        name=name,
        root=section.take("root", str, None),
        split=split if split is not None else default_split(name),
        limit=_limit(section, limit),
        tasks=tuple(tasks),
        options=section.rest(),
    )


def default_split(name: str) -> str:
    """``test`` where a data set has it, else its first split."""
    offers = registry().offers("dataset")
    if name not in offers:
        return "test"  # the name is reported as unknown later on
    splits = offers[name].spec.splits
    return "test" if "test" in splits or not splits else str(splits[0])


def _entries(value: Any, where: str) -> list[Entry]:
    if not isinstance(value, dict):
        raise SuiteError(f"{where}: must be a table, got {value!r}")
    label = value.get("label")
    section = Section(value, where if not isinstance(label, str) else f"{where} {label!r}")
    grid = section.take("grid", dict, {})
    for key, choices in grid.items():
        if not isinstance(choices, list) or not choices or not all(isinstance(one, _PLAIN) for one in choices):
            raise section.error(f"grid.{key} must be a list of plain values, got {choices!r}")
    entry = _entry(section)
    section.finish()
    return expand(entry, grid, explicit=isinstance(label, str), where=section.where)


def _entry(section: Section) -> Entry:
    label = section.take("label", str, "")
    system = section.take("system", str, None)
    head_given, backbone_given = section.take_any("head"), section.take_any("backbone")
    preset = _preset(system, section, head_given, backbone_given) if system is not None else None
    if preset is None and head_given is None:
        raise section.error("needs the key 'head' (or 'system')")
    steps = section.take("preprocess", list, [])
    segmenter = section.take_any("segmenter")
    batch = section.take("batch", int, 1)
    if batch < 1:
        raise section.error(f"'batch' must be at least 1, got {batch}")
    where = section.where
    base = preset or Entry(
        label=label,
        head=_part(head_given, f"{where}: head", section),
        backbone=_part("oracle" if backbone_given is None else backbone_given, f"{where}: backbone", section),
    )
    return Entry(
        label=label,
        head=base.head,
        backbone=base.backbone,
        family=section.take("family", str, ""),
        preprocess=(*base.preprocess, *(_part(step, f"{where}: preprocess", section) for step in steps)),
        segmenter=base.segmenter if segmenter is None else _part(segmenter, f"{where}: segmenter", section),
        checkpoint=section.take("checkpoint", str, base.checkpoint),
        batch=batch,
        optional=section.take("optional", bool, False),
    )


def _preset(system: str, section: Section, *others: Any) -> Entry:
    if any(other is not None for other in others):
        raise section.error("has 'system', which brings head and backbone; leave those out")
    if system not in registry().offers("system") and locate(system).is_dir():
        return _from_folder(system, section)
    try:
        spec = registry().find("system", system)
    except UnknownNameError as error:
        from rsground.models.card import home_of

        raise _AbsentSystemError(str(section.error(f"{error} {home_of(system)}".rstrip()))) from error
    return Entry(
        label=system,
        head=Part(spec.head, dict(spec.head_options)),
        backbone=Part(spec.backbone, dict(spec.backbone_options)),
        preprocess=tuple(Part(name, dict(options)) for name, options in spec.preprocessors),
        segmenter=None if spec.segmenter is None else Part(spec.segmenter, dict(spec.segmenter_options)),
        checkpoint=spec.checkpoint,
    )


def _from_folder(folder: str, section: Section) -> Entry:
    """What ``rsground train`` wrote: the parts of its card."""
    from rsground.models.card import read_card

    try:
        card = read_card(locate(folder))
    except CheckpointError as error:
        raise section.error(str(error)) from error
    return Entry(
        label=card.name,
        head=Part(card.head.name, dict(card.head.options)),
        backbone=Part(card.backbone.name, dict(card.backbone.options)),
        preprocess=tuple(Part(part.name, dict(part.options)) for part in card.preprocessors),
        segmenter=None if card.segmenter is None else Part(card.segmenter.name, dict(card.segmenter.options)),
        checkpoint=folder,
    )


def _unique(labels: list[str], what: str, file: str) -> None:
    for label, count in Counter(labels).items():
        if count > 1:
            raise SuiteError(
                f"{file}: {count} {what} have the label {label!r}; labels must be unique "
                "(put the option that differs into it: label = 'box {resolution}')"
            )
