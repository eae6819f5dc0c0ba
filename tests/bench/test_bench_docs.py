"""The reference pages name every key of a suite and every column of the store."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from rsground.bench import suite_reader
from rsground.bench.schema import TABLES
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"


def page(name: str) -> str:
    path = DOCS / name
    if not path.is_file():
        pytest.skip("docs are not part of an installed package")
    return path.read_text("utf-8")


def test_every_key_of_a_suite_is_described() -> None:
    source = Path(suite_reader.__file__).read_text("utf-8")
    keys = set(re.findall(r"""(?:take|take_any)\(\s*["'](\w+)["']""", source))
    keys |= set(re.findall(r"""_several\(top, ["'](\w+)["']\)""", source))
    assert len(keys) > 20
    text = page("suite_file.md")
    assert not {key for key in keys if f"`{key}`" not in text}


def test_the_example_is_a_valid_suite(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", page("suite_file.md"), re.DOTALL)
    (tmp_path / "answers.jsonl").write_text("")
    example = example.replace("answers.jsonl", str(tmp_path / "answers.jsonl"))
    without_dota = re.sub(r'\[\[dataset\]\]\nname = "dota".*?\n\n', "", example, flags=re.DOTALL)
    suite = checked(read_suite(without_dota, "boxes.toml"))
    assert [entry.label for entry in suite.entries] == ["box 100", "box 1000", "my model"]
    assert len(read_suite(example, "boxes.toml").datasets) == 2


def test_every_column_of_the_store_is_described() -> None:
    text = page("store.md")
    with sqlite3.connect(":memory:") as connection:
        connection.executescript(TABLES)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            (row,) = [line for line in text.splitlines() if line.startswith(f"| `{table}` |")]
            columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
            missing = [name for name in columns if name != "id" and f"`{name}`" not in row]
            assert not missing, f"{table}: {missing}"
    connection.close()
