"""What a run's folder keeps of the recipe it is a run of, so that no other recipe goes on in it unnoticed."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rsground.errors import StoreError
from rsground.models.atomic import replacing
from rsground.models.training.recipe import Recipe
from rsground.models.training.schedule import Schedule

RECIPE, DONE = "recipe.json", "done.json"
_ASIDE = frozenset(
    {
        "summary",
        "schedule.save_every",
        "data.workers",
        "model.checkpointing",
        "options.system",
        "options.licence",
    }
)
"""What a recipe may say otherwise and yet give the same weights."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one recipe's run.

    Attributes:
        path: of the folder, which need not be there yet.
    """

    path: Path

    def check(self, recipe: Recipe) -> None:
        """See that what was computed here was computed as the recipe says.

        Raises:
            StoreError: it was not; the first differences are named.
        """
        then = self._said() if self._computed else None
        if then is None:
            return
        lost = [each for each in _differences(then, said_by(recipe)) if _matters(each[0], recipe)]
        if lost:
            told = ", ".join(f"{name} was {_short(was)} and is {_short(now)}" for name, was, now in lost[:_NAMED])
            more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
            raise StoreError(
                f"{self.path} holds the run of another recipe: {told}{more}. {self._ways_out(recipe)}{_on(lost)}"
            )

    def check_images(self, images: int, recipe: Recipe) -> None:
        """See that what was broken off goes on with as many images a step.

        Raises:
            StoreError: it had another number.
        """
        then = self._kept(RECIPE).get("images", images) if self._computed else images
        if then != images:
            raise StoreError(
                f"{self.path} holds a run of {then} images a step, in these processes they are {images}. Start as many "
                f"processes as then. {self._ways_out(recipe)}"
            )

    def check_starts(self, root: Path, recipe: Recipe) -> None:
        """See that what was computed here started from what the recipes before it give now.

        Args:
            root: where the runs lie.
            recipe: of this folder.

        Raises:
            StoreError: one of them, or one before it, was trained anew since, to another result.
        """
        if not self._computed:
            return
        for name, result in self._kept(RECIPE).get("starts", {}).items():
            former = RunFolder(root / name)
            if former.result() not in (None, result):
                raise StoreError(
                    f"{self.path} started from recipe {name!r}, which was trained anew since, to another result. "
                    f"{self._ways_out(recipe)}"
                )
            former.check_starts(root, recipe)

    def is_done(self, recipe: Recipe) -> bool:
        """Whether the recipe was run to its end, word for word as it is."""
        then = self._said()
        return bool(self._kept(DONE)) and then is not None and not _differences(then, said_by(recipe))

    def begin(self, recipe: Recipe, images: int, starts: Mapping[str, str]) -> None:
        """Note what is run from here on.

        Args:
            recipe: the recipe.
            images: of one step.
            starts: recipe → digest of its result, of those that this one starts from.
        """
        kept = {"recipe": said_by(recipe), "images": images, "starts": dict(starts)}
        self._write(RECIPE, kept)
        (self.path / DONE).unlink(missing_ok=True)

    def finish(self, recipe: Recipe, seconds: float) -> None:
        """Note that it was run to its end."""
        result = _digest(self.path / "out")
        self._write(DONE, {"recipe": said_by(recipe), "result": result, "seconds": round(seconds)})

    def result(self) -> str | None:
        """Digest of the weights that came out; None where that was not noted."""
        return self._kept(DONE).get("result")

    @property
    def _computed(self) -> bool:
        return (self.path / DONE).is_file() or any(self.path.glob("iter_*.pth"))

    def _said(self) -> dict[str, Any] | None:
        """What the recipe said, by dotted name; None where nobody noted it."""
        found = self._kept(RECIPE).get("recipe") or self._kept(DONE).get("recipe")
        return _earlier(found) if isinstance(found, str) else found

    def _kept(self, name: str) -> dict[str, Any]:
        try:
            kept = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:  # torn: as if it had not been written
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self, name: str, kept: Mapping[str, Any]) -> None:
        with replacing(self.path / name) as fresh:
            fresh.write_text(json.dumps(kept, indent=1), encoding="utf-8")

    def _ways_out(self, recipe: Recipe) -> str:
        which = self.path.name if recipe.path is None or recipe.name != self.path.name else recipe.path
        return f"Take another --root, forget this run with 'rsground train {which} --fresh', or go back to what was."


def said_by(recipe: Recipe) -> dict[str, Any]:
    """All that a recipe says, by dotted name, and what holds where it is silent."""
    return dict(_said(recipe))


def _said(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    for each in fields(Recipe):
        value = getattr(recipe, each.name)
        if each.name == "schedule":
            told = {one.name: getattr(value, one.name) for one in fields(Schedule)}
            told["batch"] *= not value.images  # which take its place
            yield from ((f"schedule.{name}", one) for name, one in told.items())
        elif each.name != "path" and value is not None and value != {}:
            yield from _flat(each.name, json.loads(json.dumps(value, default=str)))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(f"{name}.{key}", each)
    else:
        yield name, value


def _earlier(text: str) -> dict[str, Any] | None:
    """What an earlier release noted: the recipe as Python writes it. None where that cannot be read."""
    try:
        call = ast.parse(text, mode="eval").body
        told = {each.arg: each.value for each in call.keywords}  # type: ignore[attr-defined]
        schedule = {each.arg: ast.literal_eval(each.value) for each in told.pop("schedule").keywords}
        said = {name: ast.literal_eval(value) for name, value in told.items()}
        return said_by(Recipe(**{**said, "schedule": Schedule(**schedule)}))
    except (SyntaxError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(name, then, now) of what was said otherwise, in the recipe's order; None for what was not said."""
    plain = {f"schedule.{each.name}": each.default for each in fields(Schedule)}  # of what a later release added
    each = [(name, then.get(name, plain.get(name)), now.get(name, plain.get(name))) for name in {**now, **then}]
    return [(name, was, comes) for name, was, comes in each if was != comes]


def _matters(name: str, recipe: Recipe) -> bool:
    """Whether what is said there changes what comes out; pairs do not depend on who makes them, drawn lessons do."""
    return name not in _ASIDE and not (name == "schedule.workers" and recipe.stage == "system")


def _short(value: Any) -> str:
    if value is None:
        return "not said"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _on(lost: list[tuple[str, Any, Any]]) -> str:
    """How to train on, where nothing but more steps was asked for; the rates of all steps would be others."""
    if len(lost) > 1 or lost[0][0] != "schedule.steps" or lost[0][2] < lost[0][1]:
        return ""
    return " To train on from its result, write a recipe that starts from it: init = its name."


def _digest(folder: Path) -> str:
    """Of all weights in a folder, by their names."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.rglob("*.safetensors")):
        digest.update(str(file.relative_to(folder)).encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
