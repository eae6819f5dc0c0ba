"""``--data NAME[=ROOT][:SPLIT][?option=value&...]``: a data set on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rsground.bench.suite import DataChoice
from rsground.bench.suite_reader import data_label, default_split
from rsground.errors import RsgroundError, SuiteError
from rsground.registry import registry

FORM = "NAME[=ROOT][:SPLIT][?option=value&...]"


def data_choices(words: Sequence[str], limit: int | None) -> tuple[DataChoice, ...]:
    """The data sets that ``--data`` names, each with a label of its own.

    Raises:
        SuiteError: a word has another form, or names an unknown data set or split.
    """
    found: list[DataChoice] = []
    for word in words:
        choice = _choice(word)
        label = data_label(choice.name, choice.split, choice.root, [other.label for other in found])
        found.append(replace(choice, label=label, limit=limit))
    return tuple(found)


def _choice(word: str) -> DataChoice:
    where, mark, query = word.partition("?")
    whole = word.partition("=")[2]
    if mark and "=" in where and Path(whole).exists():  # a folder may have a question mark in its name
        where, query = word, ""
    name, equals, root = where.partition("=")
    split = None
    if equals:
        root, split = _split_off(root)
    else:
        name, _, given = name.partition(":")
        split = given or None
    if not name or (equals and not root):
        raise SuiteError(f"--data {word!r}: must read {FORM}")
    try:
        spec = registry().find("dataset", name)
    except RsgroundError as error:
        raise SuiteError(f"--data {word!r}: {error}") from error
    if equals and not spec.needs_root:
        raise SuiteError(f"--data {word!r}: data set {name!r} is generated and takes no root: --data {name}")
    return DataChoice(
        label=name,
        name=name,
        root=root if equals else None,
        split=split if split is not None else default_split(name),
        options=_options(query, word),
    )


def _split_off(root: str) -> tuple[str, str | None]:
    """``ROOT:SPLIT`` apart; a colon inside a path that exists stays."""
    head, colon, tail = root.rpartition(":")
    if not colon or not head or Path(root).exists() or "/" in tail or "\\" in tail:
        return root, None
    return head, tail


def _options(query: str, word: str) -> dict[str, Any]:
    found = {}
    for pair in filter(None, query.split("&")):
        key, equals, text = pair.partition("=")
        if not key or not equals:
            raise SuiteError(f"--data {word!r}: option {pair!r} must read name=value")
        found[key] = _value(text)
    return found


def _value(text: str) -> Any:
    """A number, true, false or a list as TOML writes it; anything else is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
