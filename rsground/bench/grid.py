"""One entry written down, many meant: every combination of a grid, every head that is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from rsground.bench.suite import Entry, Part
from rsground.errors import PluginError, SuiteError
from rsground.registry import registry, target_of

EVERY = "*"
"""As a head's name: every registered text head but ``codec``."""
_PARTS = ("head", "backbone")


def expand(entry: Entry, grid: Mapping[str, Sequence[Any]], *, explicit: bool, where: str) -> list[Entry]:
    """One entry per combination of ``grid`` and, for the head ``*``, per installed text head.

    Args:
        entry: as written; its label may hold ``{option}`` and ``{head}``.
        grid: option → values. A plain name is an option of the head, ``backbone.name`` one of the backbone.
        explicit: whether the label was written down; otherwise it is made of the head's name and options.
        where: the entry, for messages.

    Raises:
        SuiteError: a grid key names another part than head and backbone.
    """
    heads = _every_head() if entry.head.name == EVERY else [entry.head.name]
    keys = [_key(key, where) for key in grid]
    return [
        _named(_with(replace(entry, head=replace(entry.head, name=head)), keys, values), keys, values, explicit)
        for head in heads
        for values in product(*grid.values())
    ]


def _key(key: str, where: str) -> tuple[str, str]:
    part, dot, option = key.rpartition(".")
    if dot and part not in _PARTS:
        raise SuiteError(f"{where}: grid key {key!r} must be an option of the head, or begin with 'backbone.'")
    return part or "head", option


def _with(entry: Entry, keys: Sequence[tuple[str, str]], values: Sequence[Any]) -> Entry:
    for (part, option), value in zip(keys, values, strict=True):
        old: Part = getattr(entry, part)
        new = replace(old, options={**old.options, option: value})
        entry = replace(entry, head=new) if part == "head" else replace(entry, backbone=new)
    return entry


def _named(entry: Entry, keys: Sequence[tuple[str, str]], values: Sequence[Any], explicit: bool) -> Entry:
    family = entry.family or str(entry.head.options.get("codec", entry.head.name))
    if not explicit:
        options = [f"{name}={value}" for name, value in entry.head.options.items() if name != "codec"]
        options += [f"{name}={value}" for name, value in entry.backbone.options.items()]
        return replace(entry, label=" ".join([family, *options]), family=family)
    label, unnamed = entry.label.replace("{head}", entry.head.name), []
    for (_, option), value in zip(keys, values, strict=True):
        mark = "{" + option + "}"
        if mark not in label:
            unnamed.append(f"{option}={value}")
        label = label.replace(mark, str(value))
        family = family.replace(mark, str(value))
    return replace(entry, label=" ".join([label, *unnamed]), family=family)


def _every_head() -> list[str]:
    from rsground.contracts import TextHead

    found = []
    for name, offer in registry().offers("head").items():
        if name == "codec" or offer.missing:
            continue
        try:
            kind = target_of(offer.spec)
        except PluginError:
            continue  # doctor tells which head does not import, and why
        if isinstance(kind, type) and issubclass(kind, TextHead):
            found.append(name)
    return found
