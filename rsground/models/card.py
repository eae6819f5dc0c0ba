"""The card of a system folder: ``rsground.json`` for programs, ``README.md`` for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rsground.errors import CheckpointError
from rsground.models.atomic import replacing

CARD = "rsground.json"
"""Name of the card in a system folder."""
FORMAT = 1
"""Version of the card; a newer one is refused."""


_HOMES = (("tiny/mmrotate", "rsground-mmrotate"), ("tiny/", "rsground-zoo-tiny"))
"""Beginnings of systems' names, and what to install for them."""


def home_of(system: str) -> str:
    """A sentence on what brings a system of that name, empty where nothing is known to."""
    if "@" in system:
        return ""  # an environment brings it, and whoever does not find that says so
    home = next((home for start, home in _HOMES if system.startswith(start)), None)
    return "" if home is None else f"Such systems come with: pip install {home}."


@dataclass(frozen=True, slots=True)
class PartCard:
    """A registered part.

    Attributes:
        name: as registered.
        options: keyword arguments it is built with, JSON-able; never its checkpoint, which is the folder.
        source: the distribution that offers it, ``"rsground-segtoken 0.1.0"``; empty where nobody noted it.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """``{"name", "options"}`` and ``"from"`` where it is known."""
        row: dict[str, Any] = {"name": self.name, "options": dict(self.options)}
        return {**row, "from": self.source} if self.source else row


@dataclass(frozen=True, slots=True)
class Card:
    """What a system is made of and where it comes from.

    Attributes:
        name: lower case, such as ``tiny/geopixel``; ``summary`` is one line.
        head, backbone, preprocessors, segmenter: its parts; preprocessors in the order they are applied.
        tokens: tokens added to the backbone's vocabulary.
        training: facts of the training, JSON-able: recipe, seed, data, steps, seconds, device.
        scores: measured scores, JSON-able: data set → {metric: value}, or any nesting of that.
        licence: of the weights.
    """

    name: str
    head: PartCard
    backbone: PartCard
    summary: str = ""
    preprocessors: tuple[PartCard, ...] = ()
    segmenter: PartCard | None = None
    tokens: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""

    def to_json(self) -> dict[str, Any]:
        """What ``rsground.json`` holds."""
        return {
            "format": FORMAT,
            "name": self.name,
            "summary": self.summary,
            "head": self.head.to_json(),
            "backbone": self.backbone.to_json(),
            "preprocessors": [part.to_json() for part in self.preprocessors],
            "segmenter": None if self.segmenter is None else self.segmenter.to_json(),
            "tokens": list(self.tokens),
            "training": dict(self.training),
            "scores": dict(self.scores),
            "licence": self.licence,
        }

    def parts(self) -> list[tuple[str, PartCard]]:
        """(kind, part) of everything registered that it is made of."""
        found = [("head", self.head), ("backbone", self.backbone)]
        found += [("preprocessor", part) for part in self.preprocessors]
        return found if self.segmenter is None else [*found, ("segmenter", self.segmenter)]


def read_card(folder: str | Path) -> Card:
    """The card of a system folder.

    Raises:
        CheckpointError: there is none, it is of a newer format, or a key is missing, unknown or of a wrong type.
    """
    file = Path(folder) / CARD
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = "no system folder: it has no" if Path(folder).is_dir() else "there is no such folder, so no"
        raise CheckpointError(f"{what} {CARD}", folder) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the card cannot be read: {error}", file) from error
    return card_from_json(found, file)


def write_card(folder: str | Path, card: Card) -> None:
    """Write ``rsground.json`` and ``README.md`` into ``folder``, which is made; each appears whole or not at all.

    Raises:
        CheckpointError: a value is no JSON, or the folder cannot be written.
    """
    base = Path(folder)
    try:
        text = json.dumps(card.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"a card holds plain JSON values only: {error}", base / CARD) from error
    try:
        for name, content in ((CARD, text), ("README.md", card_for_people(card))):
            with replacing(base / name) as fresh:
                fresh.write_text(content, encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"the card cannot be written: {error}", base) from error


def card_from_json(value: Any, path: Path | None = None) -> Card:
    """The card that ``rsground.json`` holds.

    Raises:
        CheckpointError: as :func:`read_card`.
    """
    reader = _Reader(value, "the card", path)
    written = reader.take("format", int)
    if written != FORMAT:
        way_out = "pip install -U rsground" if written > FORMAT else "save it again with the version that wrote it"
        raise CheckpointError(f"the card has format {written}, this rsground reads {FORMAT}: {way_out}", path)
    segmenter = reader.take("segmenter", dict, optional=True)
    card = Card(
        name=reader.take("name", str),
        summary=reader.take("summary", str, ""),
        head=_part(reader.take("head", dict), "head", path),
        backbone=_part(reader.take("backbone", dict), "backbone", path),
        preprocessors=tuple(
            _part(part, f"preprocessors[{place}]", path)
            for place, part in enumerate(reader.take("preprocessors", list, []))
        ),
        segmenter=None if segmenter is None else _part(segmenter, "segmenter", path),
        tokens=tuple(reader.texts("tokens")),
        training=reader.take("training", dict, {}),
        scores=reader.take("scores", dict, {}),
        licence=reader.take("licence", str, ""),
    )
    reader.finish()
    return card


def card_for_people(card: Card) -> str:
    """The card as Markdown."""
    lines = [f"# {card.name}", "", card.summary or "A grounding system.", "", "```", *_usage(card), "```", ""]
    lines += ["## Parts", "", "| part | name | from | options |", "|---|---|---|---|"]
    for kind, part in card.parts():
        options = ", ".join(f"{key}={value!r}" for key, value in part.options.items())
        lines.append(f"| {kind} | `{part.name}` | {part.source or '-'} | {_cell(options)} |")
    if card.tokens:
        lines += ["", f"Added tokens: {', '.join(f'`{token}`' for token in card.tokens)}."]
    for title, facts in (("Training", card.training), ("Scores", card.scores)):
        if facts:
            lines += ["", f"## {title}", "", *_facts(facts)]
    lines += ["", "## Licence", "", card.licence or "Not stated."]
    return "\n".join(lines) + "\n"


def _usage(card: Card) -> list[str]:
    sources = {part.source.split()[0] for _, part in card.parts() if part.source}
    others = sorted(sources - {"rsground"})
    install = [f"pip install {' '.join(others)}"] if others else []
    return [*install, 'rsground predict IMAGE -q "the red car" --system THIS_FOLDER']


def _facts(facts: Mapping[str, Any]) -> list[str]:
    """A table of nested facts, keys joined by " / "."""
    rows = [f"| {_cell(' / '.join(path))} | {_cell(value)} |" for path, value in _leaves(facts)]
    return ["| | |", "|---|---|", *rows]


def _leaves(facts: Mapping[str, Any], above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    rows: list[tuple[tuple[str, ...], str]] = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            rows += _leaves(value, (*above, str(key)))
        else:
            rows.append(((*above, str(key)), f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") or "-"


def _part(value: Any, where: str, path: Path | None) -> PartCard:
    reader = _Reader(value, where, path)
    part = PartCard(reader.take("name", str), reader.take("options", dict, {}), reader.take("from", str, ""))
    reader.finish()
    return part


class _Reader:
    """Takes typed keys out of a JSON object and tells of those nobody took."""

    def __init__(self, value: Any, where: str, path: Path | None) -> None:
        self._where, self._path = where, path
        if not isinstance(value, dict):
            raise self._error(f"must be a JSON object, got {type(value).__name__}")
        self._left = dict(value)
        self._known: list[str] = []

    def take(self, key: str, kind: type[Any], default: Any = None, *, optional: bool = False) -> Any:
        """The value of a key; ``default`` (or None where ``optional``) where it is not there."""
        self._known.append(key)
        value = self._left.pop(key, default)
        if value is None and optional:
            return None
        if value is None:
            raise self._error(f"needs the key {key!r}")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self._error(f"key {key!r} must be {_KINDS[kind]}, got {value!r}")
        return value

    def texts(self, key: str) -> Sequence[str]:
        """A list of texts; empty where the key is not there."""
        values = self.take(key, list, [])
        if not all(isinstance(value, str) for value in values):
            raise self._error(f"key {key!r} must be a list of texts, got {values!r}")
        return [str(value) for value in values]

    def finish(self) -> None:
        """Refuse keys that are left."""
        for key in self._left:
            close = get_close_matches(key, self._known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(self._known)}"
            raise self._error(f"has the unknown key {key!r}{hint}")

    def _error(self, message: str) -> CheckpointError:
        return CheckpointError(f"{self._where} {message}", self._path)


_KINDS: Mapping[type[Any], str] = {int: "a whole number", str: "a text", dict: "an object", list: "a list"}
