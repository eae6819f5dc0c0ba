"""Which entries compete, and which are what others are held against."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from rsground.bench.roles import Role, role_of, rulers
from rsground.bench.suite import Entry, Part

HOME = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("backbone", "preprocess", "role"),
    [
        ("transformers", (), Role.SYSTEM),
        ("replay", ("magcrop", "hd-tiles"), Role.SYSTEM),
        ("oracle", (), Role.CEILING),
        ("oracle", ("blindfold",), Role.CEILING),
        ("oracle@old", ("hd-tiles",), Role.CEILING),
        ("blind", (), Role.BLIND),
        ("transformers", ("hd-tiles", "blindfold"), Role.BLIND),
        ("transformers@old", ("blindfold@old",), Role.BLIND),
        ("oracle-of-mine", ("blindfolded",), Role.SYSTEM),
    ],
)
def test_a_role_follows_from_the_parts(backbone: str, preprocess: tuple[str, ...], role: Role) -> None:
    entry = Entry("x", Part("codec"), Part(backbone), preprocess=tuple(Part(name) for name in preprocess))
    assert role_of(entry.to_json()) is role


@pytest.mark.parametrize(
    "spec", [{}, {"backbone": None, "preprocess": None}, {"backbone": "a model", "preprocess": [3]}]
)
def test_what_says_nothing_of_its_parts_is_a_system(spec: dict[str, Any]) -> None:
    assert role_of(spec) is Role.SYSTEM


def test_rulers_compete_where_nothing_else_does() -> None:
    assert rulers({"a": Role.CEILING, "b": Role.BLIND}) == {}
    assert rulers({"a": Role.CEILING, "b": Role.SYSTEM, "c": Role.BLIND}) == {"a": Role.CEILING, "c": Role.BLIND}


@pytest.mark.parametrize("file", ["suites/head_to_head.toml", "suites/quick.toml", "real.toml"])
def test_labels_of_the_suites_that_ship_say_what_the_report_says(file: str) -> None:
    entries = tomllib.loads((HOME / "benchmarks" / file).read_text("utf-8"))["entry"]
    told = {", perfect words": Role.CEILING, ", blindfolded": Role.BLIND}
    for entry in entries:
        expected = next((role for suffix, role in told.items() if entry["label"].endswith(suffix)), Role.SYSTEM)
        assert role_of(entry) is expected, entry["label"]
