"""The page on training one's own head: its head reads itself, its recipes are valid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rsground.contracts import TextHead
from rsground.models.training.recipe import read_recipe
from rsground.testing import miniature
from rsground.testing.samples import blank_view
from rsground.types import Generation

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "train.md"


@pytest.fixture(scope="module")
def blocks() -> dict[str, list[str]]:
    if not PAGE.is_file():
        pytest.skip("docs are not part of an installed package")
    found = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return {kind: [text for other, text in found if other == kind] for kind, _ in found}


@pytest.fixture
def head(blocks: dict[str, list[str]]) -> TextHead:
    said: dict[str, Any] = {"__name__": "spans"}
    exec(blocks["python"][0], said)
    made: TextHead = said["SpansHead"]()
    return made


def test_the_head_reads_its_own_right_answer(head: TextHead) -> None:
    sample = miniature("hbb")
    view = blank_view(sample)
    answer = head.target(sample, view)
    assert re.fullmatch(r"x \d+ to \d+, y \d+ to \d+(; x \d+ to \d+, y \d+ to \d+)*", answer)
    found = head.read(Generation(text=answer), sample, view)
    assert found.parsed
    assert sample.targets is not None
    for region, target in zip(found.regions, sample.targets, strict=True):
        assert region.hbb == pytest.approx(target.hbb, abs=max(sample.size) / 1000)


@pytest.mark.parametrize(
    ("text", "parsed", "regions"),
    [("nothing", True, 0), ("", False, 0), ("x 5 to 3, y 1 to 2", False, 0), ("x 0 to 9999, y 0 to 500", True, 1)],
)
def test_the_head_survives_any_answer(head: TextHead, text: str, parsed: bool, regions: int) -> None:
    sample = miniature("hbb")
    found = head.read(Generation(text=text), sample, blank_view(sample))
    assert (found.parsed, len(found.regions)) == (parsed, regions)


def test_the_recipes_are_valid(blocks: dict[str, list[str]], tmp_path: Path) -> None:
    recipes = [text for text in blocks["toml"] if text.startswith("stage = ")]
    assert len(recipes) == 3
    for text in recipes:
        (tmp_path / "some.toml").write_text(text, "utf-8")
        assert read_recipe(tmp_path / "some.toml").stage in ("answer", "system")
