"""Pages that list what there is list all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rsground
from rsground.cli import COMMANDS
from rsground.cli.data import SUBCOMMANDS
from rsground.registry import registry

CHECKOUT = Path(__file__).resolve().parents[1]
OURS = {"scenes", "jsonl", "class-folders"}
"""Data sets that are no published layout: drawn, our own form, any folder of images."""


def page(name: str) -> str:
    path = CHECKOUT / name
    if not path.is_file():
        pytest.skip("pages are not part of an installed package")
    return path.read_text("utf-8")


def test_the_command_line_page_has_every_command() -> None:
    rows = [line for line in page("docs/reference/cli.md").splitlines() if line.startswith("| `rsground ")]
    named = " ".join(row.split("|")[1] for row in rows)
    wanted = [name for name in COMMANDS if name not in ("data", "plugins")]
    wanted += [f"data {name}" for name in SUBCOMMANDS]
    wanted += [f"plugins {name}" for name in ("list", "new", "check", "install", "remove", "refresh")]
    offered = registry().offers("command").values()
    wanted += [each.spec.name for each in offered if (CHECKOUT / "plugins" / each.distribution.split()[0]).is_dir()]
    assert not [name for name in wanted if f"rsground {name}" not in named]


def test_the_architecture_page_has_every_room() -> None:
    text = page("docs/explanation/architecture.md")
    home = Path(rsground.__file__).parent
    rooms = [f"{place.name}/" for place in home.iterdir() if (place / "__init__.py").is_file()]
    rooms += [place.name for place in home.glob("*.py") if not place.name.startswith("__")]
    assert len(rooms) > 15
    assert not [room for room in rooms if f"`{room}`" not in text]


def test_the_benchmarks_page_has_every_script_suite_and_recipe() -> None:
    text = page("benchmarks/README.md")
    folder = CHECKOUT / "benchmarks"
    names = [place.name for place in (*folder.glob("*.py"), *folder.glob("*.toml"), *folder.glob("performance/*.py"))]
    names += [f"suites/{place.name}" for place in folder.glob("suites/*.toml")]
    names += [place.stem for place in folder.glob("recipes/*.toml")]
    assert len(names) > 70
    assert not [name for name in names if f"`{name}`" not in text]


def test_the_front_page_counts_the_layouts() -> None:
    (said,) = re.findall(r"(\d+) published layouts", page("README.md"))
    offered = registry().offers("dataset").values()
    ours = [each.spec.name for each in offered if each.distribution.startswith("rsground ")]
    assert set(ours) > OURS
    assert int(said) == len(set(ours) - OURS)
