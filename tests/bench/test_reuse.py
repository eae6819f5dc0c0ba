"""The cache of answers: what is asked again word for word is not answered again, and nothing else is taken from it."""

from __future__ import annotations

import ast
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import rsground
from rsground.bench import answer_cache, keys, work
from rsground.bench.answer_cache import FILE, AnswerCache
from rsground.bench.plan import Plan
from rsground.bench.results import Run
from rsground.bench.reuse import _NOT_ANSWERING
from rsground.bench.runner import RunResult, run_plan
from rsground.bench.sample_keys import SampleKeys, drawing_key
from rsground.errors import StoreError
from rsground.report.collect import Options, collect
from rsground.source_key import code_key
from rsground.types import ImageRef, Region, Sample, Task

TWO = """
metrics = ["rec-hbb", "count"]
dataset = { name = "toy" }
entry = [
    { label = "text", head = { name = "codec", codec = "text-hbb", resolution = 100 } },
    { label = "toy", head = "toy" },
]
"""
Ran = Callable[..., tuple[RunResult, Run]]


class NoFiles:
    """Remembers nothing."""

    def digest_of(self, path: str, size: int, mtime_ns: int) -> str | None:
        return None

    def keep_digest(self, path: str, size: int, mtime_ns: int, digest: str) -> None:
        pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(system, sample) of every question that really was asked."""
    found: list[tuple[str, str]] = []
    answer = work.System.answer

    def spy(self: Any, samples: Any) -> Any:
        found.extend((type(self.head).__name__, sample.id) for sample in samples)
        return answer(self, samples)

    monkeypatch.setattr(work.System, "answer", spy)
    return found


def rows(run: Run) -> list[Any]:
    """Everything scored, with its cost."""
    found = []
    for system in run.systems:
        for metric in run.metrics_of("toy"):
            table = run.columns(system.label, "toy", metric.label)
            found.append({name: column.tolist() for name, column in table.columns.items()})
        usage = run.usage(system.label, "toy")
        found.append({name: usage[name].tolist() for name in ("latency_s", "output_tokens", "chars", "parsed")})
    return found


def facts_of(run: Run) -> list[tuple[str, str]]:
    return list(collect(run, Options(gallery=0, replicates=2, permutations=2)).run.facts)


def test_a_second_run_asks_nothing_and_scores_the_same(ran: Ran, tmp_path: Path, asked: list[Any]) -> None:
    first, one = ran(TWO, "one", cache=tmp_path / "cache")
    assert (first.answered, first.reused, len(asked)) == (40, 0, 40)
    second, two = ran(TWO, "two", cache=tmp_path / "cache")
    assert (second.answered, second.reused, second.complete, len(asked)) == (40, 40, True, 40)
    np.testing.assert_equal(rows(two), rows(one))
    assert two.usage("toy", "toy")["reused"].all()
    assert not one.usage("toy", "toy")["reused"].any()
    assert (one.reused, two.reused) == (0, 40)
    assert ("from the cache", "40 answers, whose time and memory are of an earlier run") in facts_of(two)
    assert "from the cache" not in dict(facts_of(one))
    assert [row.broken for row in two.datasets] == [row.broken for row in one.datasets] == [2]
    texts = [[found.prediction.text for found in run.answers("text", "toy")] for run in (one, two)]
    assert texts[0] == texts[1] != [""] * 20


def test_only_the_system_that_changed_is_asked(ran: Ran, tmp_path: Path, asked: list[Any]) -> None:
    ran(TWO, "one", cache=tmp_path / "cache")
    asked.clear()
    result, run = ran(TWO.replace("resolution = 100", "resolution = 50"), "two", cache=tmp_path / "cache")
    assert (result.answered, result.reused) == (40, 20)
    assert {head for head, _ in asked} == {"CodecHead"}
    assert run.usage("toy", "toy")["reused"].all()
    assert not run.usage("text", "toy")["reused"].any()


def test_more_data_asks_what_is_new(ran: Ran, tmp_path: Path, asked: list[Any]) -> None:
    ran(TWO, "one", cache=tmp_path / "cache")
    asked.clear()
    result, _ = ran(TWO.replace('"toy" }\n', '"toy", count = 23 }\n', 1), "two", cache=tmp_path / "cache")
    assert (result.answered, result.reused) == (46, 40)
    assert sorted({ident for _, ident in asked}) == ["toy-20", "toy-21", "toy-22"]


def test_a_new_protocol_asks_nobody(ran: Ran, tmp_path: Path, asked: list[Any]) -> None:
    ran(TWO.replace(', "count"', ""), "one", cache=tmp_path / "cache")
    asked.clear()
    result, run = ran(TWO, "two", cache=tmp_path / "cache")
    assert (result.reused, asked) == (40, [])
    assert run.columns("toy", "toy", "count").columns["regions"].tolist() == [1.0] * 20
    _, fresh = ran(TWO, "fresh")
    np.testing.assert_equal(rows(run)[:2], rows(fresh)[:2])
    again, _ = ran(TWO, "three", cache=tmp_path / "cache")
    assert again.reused == 40, "what was measured later is remembered too"


def test_other_versions_ask_again(ran: Ran, tmp_path: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from rsground.bench import reuse

    ran(TWO, "one", cache=tmp_path / "cache")
    monkeypatch.setattr(reuse, "_surroundings", lambda: ["another numpy"])
    result, _ = ran(TWO, "two", cache=tmp_path / "cache")
    assert (result.reused, len(asked)) == (0, 80)


def test_failures_are_asked_again(ran: Ran, tmp_path: Path, asked: list[Any]) -> None:
    text = TWO.replace('"toy" },\n]', '{ name = "toy", how = "raise", at = 3 } },\n]')
    result, run = ran(text, "one", cache=tmp_path / "cache")
    assert run.usage("toy", "toy")["failed"].sum() == 1
    asked.clear()
    result, run = ran(text, "two", cache=tmp_path / "cache")
    assert (result.reused, asked) == (39, [("ToyHead", "toy-3")])
    assert run.usage("toy", "toy")["failed"].sum() == 1


def test_tasks_a_head_does_not_serve_are_remembered(ran: Ran, tmp_path: Path, asked: list[Any]) -> None:
    text = TWO.replace('"toy" }\n', '"toy", mixed = true }\n', 1)
    first, one = ran(text, "one", cache=tmp_path / "cache")
    asked.clear()
    second, two = ran(text, "two", cache=tmp_path / "cache")
    assert (second.reused, asked) == (first.answered, [])
    assert two.usage("toy", "toy")["index"].tolist() == one.usage("toy", "toy")["index"].tolist()
    assert len(one.usage("toy", "toy")["index"]) < 20


def test_seeds_are_systems_of_their_own(ran: Ran, tmp_path: Path) -> None:
    ran("seeds = [0]" + TWO, "one", cache=tmp_path / "cache")
    result, run = ran("seeds = [0, 1]" + TWO, "two", cache=tmp_path / "cache")
    assert (result.answered, result.reused) == (80, 40)
    usage = run.usage("toy", "toy")
    assert usage["reused"].tolist() == (usage["seed"] == 0).tolist()


def test_workers_use_the_cache_too(ran: Ran, tmp_path: Path) -> None:
    first, one = ran(TWO, "one", cache=tmp_path / "cache", workers=2)
    second, two = ran(TWO, "two", cache=tmp_path / "cache", workers=2)
    assert (first.reused, second.reused) == (0, 40)
    np.testing.assert_equal(rows(two), rows(one))


def test_without_a_cache_nothing_is_reused(ran: Ran, tmp_path: Path, asked: list[Any]) -> None:
    ran(TWO, "one", cache=tmp_path / "cache")
    result, _ = ran(TWO, "two")
    assert (result.reused, len(asked)) == (0, 80)


def test_changed_pixels_ask_again_and_a_moved_folder_does_not(ran: Ran, tmp_path: Path, asked: list[Any]) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(10):
        Image.fromarray(np.full((48, 64, 3), number, np.uint8)).save(folder / f"{number}.png")
    text = TWO.replace('"toy" }\n', f'"toy", files = "{folder}" }}\n', 1)
    ran(text, "one", cache=tmp_path / "cache")
    asked.clear()
    Image.fromarray(np.full((48, 64, 3), 200, np.uint8)).save(folder / "4.png")
    result, _ = ran(text, "two", cache=tmp_path / "cache")
    assert sorted({ident for _, ident in asked}) == ["toy-8", "toy-9"]
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    result, _ = ran(text.replace(str(folder), str(moved)), "three", cache=tmp_path / "cache")
    assert result.reused == 40


def test_a_plan_may_keep_its_answers_in_its_folder(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    plan = plan_of(TWO)
    run_plan(plan, tmp_path / "run", workers=0, cache=tmp_path / "cache")
    again = run_plan(plan, tmp_path / "run", workers=0, cache=tmp_path / "cache")
    assert (again.answered, again.kept, again.reused) == (0, 40, 0), "what the folder holds is not taken from the cache"


def test_a_store_made_before_there_were_caches_is_read_and_written(
    ran: Ran, as_version_one: Callable[[Path], None], tmp_path: Path
) -> None:
    ran(TWO, "old")
    as_version_one(tmp_path / "old" / "store.sqlite")
    with sqlite3.connect(tmp_path / "old" / "store.sqlite") as store:
        store.execute("DROP TABLE reused")
        store.execute("DELETE FROM answers WHERE idx = 3")
        store.execute("DELETE FROM scores WHERE idx = 3")
    store.close()
    with Run.open(tmp_path / "old") as run:
        assert run.reused == 0
        assert not run.usage("toy", "toy")["reused"].any()
    ran(TWO, "cached", cache=tmp_path / "cache")
    result, run = ran(TWO, "old", cache=tmp_path / "cache")
    assert (result.kept, result.reused, run.reused) == (38, 2, 2)


# keys of samples ------------------------------------------------------------------------------------------------------

SAMPLE = Sample("a", (ImageRef("toy:0", 4, 5, partial(np.zeros, (4, 5, 3))),), "the ship", Task.HBB, (), None, {"k": 1})


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "b"},
        {"expression": "the ships"},
        {"task": Task.MASK},
        {"targets": None},
        {"targets": (Region(hbb=(0.0, 0.0, 1.0, 1.0)),)},
        {"answer": "yes"},
        {"meta": {"k": 2}},
        {"images": (ImageRef("toy:0", 4, 5, partial(np.ones, (4, 5, 3))),)},
    ],
)
def test_whatever_a_sample_says_changes_its_key(changed: dict[str, Any]) -> None:
    samples = SampleKeys(NoFiles())
    assert SampleKeys(NoFiles()).of(replace(SAMPLE, **changed)) != samples.of(SAMPLE)


@given(a=st.integers(0, 3), b=st.integers(0, 3))
def test_drawings_are_equal_where_their_arguments_are(a: int, b: int) -> None:
    assert (drawing_key(partial(shade, a)) == drawing_key(partial(shade, b))) == (a == b)
    assert (drawing_key(lambda: shade(a)) == drawing_key(lambda: shade(b))) == (a == b), "told by the pixels"


def shade(value: int) -> np.ndarray:
    return np.full((2, 3, 3), value, np.uint8)


def test_an_image_that_is_not_there_has_no_key(tmp_path: Path) -> None:
    gone = replace(SAMPLE, images=(ImageRef(str(tmp_path / "gone.png"), 4, 5),))
    assert SampleKeys(NoFiles()).of(gone) is None


def test_files_are_read_once_until_they_change(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "cache")
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    sample = replace(SAMPLE, images=(ImageRef(str(path), 4, 5),))
    first = SampleKeys(cache).of(sample)
    cache.flush()
    known = cache.digest_of(str(path.resolve()), 3, path.stat().st_mtime_ns)
    assert known is not None
    path.write_bytes(b"two!")
    assert SampleKeys(cache).of(sample) != first
    cache.close()


def test_the_rooms_left_out_of_a_systems_key_are_used_by_none(tmp_path: Path) -> None:
    """A change of a metric asks no model again; that is right only while nothing that answers imports them."""
    home = Path(rsground.__file__).parent
    others = {"bench", "cli", "report", "testing", "isolation", *_NOT_ANSWERING}
    seen = 0
    for path in home.rglob("*.py"):
        inside = path.relative_to(home)
        if inside.parts[0] in others or inside.parts[:2] == ("models", "training") or inside.name == "__init__.py":
            continue
        seen += 1
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            rooms = {module.split(".")[1] for module in modules if module.startswith("rsground.")}
            assert not rooms & _NOT_ANSWERING, f"{inside} imports {rooms & _NOT_ANSWERING}"
    assert seen > 50


def test_a_change_of_the_core_changes_the_keys_of_plugins_too(
    plan_of: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = plan_of(TWO)
    monkeypatch.setattr(
        keys,
        "code_key",
        lambda module, without=frozenset(): (
            f"new {code_key(module, without)}" if module == "rsground" else code_key(module, without)
        ),
    )
    assert plan_of(TWO).systems[1].key != before.systems[1].key


# the file -------------------------------------------------------------------------------------------------------------


def test_what_is_no_cache_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"some text that is no database at all, and long enough to look like one" * 9)
    with pytest.raises(StoreError, match=r"cannot be used.*delete the folder"):
        AnswerCache(tmp_path)
    (tmp_path / FILE).unlink()
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(StoreError, match=r"no cache of answers.*choose another --cache"):
        AnswerCache(tmp_path)


def test_two_runs_may_share_a_cache(tmp_path: Path) -> None:
    one, two = AnswerCache(tmp_path), AnswerCache(tmp_path)
    ident = one.system("k", "a")
    assert two.system("k", "renamed") == ident
    one.put(ident, "s", {"text": "x"}, {"m": {"iou": float("nan"), "n": 0.1 + 0.2}})
    assert two.get(ident, "s") is None
    one.flush()
    found = two.get(ident, "s")
    assert found is not None
    assert found.prediction == {"text": "x"}
    np.testing.assert_equal(dict(found.scores["m"]), {"iou": float("nan"), "n": 0.1 + 0.2})
    one.close()
    two.close()


def test_what_nobody_uses_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = AnswerCache(tmp_path)
    old, new = cache.system("old", "old"), cache.system("new", "new")
    for ident in (old, new):
        cache.put(ident, "s", None, {})
    cache.flush()
    with cache._db:
        cache._db.execute("UPDATE systems SET used = '2001-01-01' WHERE id = ?", (old,))
    cache.close()
    cache = AnswerCache(tmp_path)
    assert (cache.knows(old), cache.knows(new)) == (False, True)
    cache.close()


def test_a_cache_that_cannot_be_written_stops_no_run(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "_FLUSH", 4)

    class Full:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def __enter__(self) -> Any:
            return self.inner.__enter__()

        def __exit__(self, *reason: Any) -> Any:
            return self.inner.__exit__(*reason)

        def executemany(self, query: str, values: Any) -> Any:
            if "answers" in query and "INSERT" in query:
                raise sqlite3.OperationalError("database or disk is full")
            return self.inner.executemany(query, values)

    connected = answer_cache._connected
    monkeypatch.setattr(answer_cache, "_connected", lambda path: Full(connected(path)))
    result, _ = ran(TWO, "one", cache=tmp_path / "cache")
    assert result.complete
    assert "disk is full" in result.cache_trouble
