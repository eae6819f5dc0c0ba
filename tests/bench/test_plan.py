"""Keys: equal for equal work, different as soon as an answer could differ."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rsground.bench.keys import code_key, content_key
from rsground.bench.plan import NO_LIMIT, Plan
from rsground.errors import SuiteError

BASE = """
metrics = ["rec-hbb"]
dataset = { name = "toy" }
entry = [ { label = "a", head = { name = "codec", codec = "text-hbb", resolution = 100 } } ]
"""


def keys(plan: Plan) -> list[str]:
    return [planned.job.key for planned in plan.jobs]


def test_a_plan_is_the_same_in_every_process(plan_of: Callable[..., Plan], toys: Path) -> None:
    code = (
        "import sys; from rsground.bench.plan import make_plan; from rsground.bench.suite_check import checked;"
        "from rsground.bench.suite_reader import read_suite;"
        "print(make_plan(checked(read_suite(sys.argv[1], 'toys.toml'))).key)"
    )
    done = subprocess.run([sys.executable, "-c", code, BASE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == plan_of(BASE).key


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('label = "a"', 'label = "b", family = "boxes"'),
        ('name = "toy"', 'name = "toy", label = "other"'),
        ('name = "toy"', 'name = "toy", limit = 5'),
        ('label = "a"', 'label = "a", batch = 4'),
        ("metrics", 'summary = "x"\nexecutor = {name = "local", workers = 3}\nmetrics'),
    ],
)
def test_names_limits_and_workers_decide_no_answer(plan_of: Callable[..., Plan], old: str, new: str) -> None:
    assert keys(plan_of(BASE.replace(old, new, 1))) == keys(plan_of(BASE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("resolution = 100", "resolution = 1000"),
        ('"text-hbb"', '"qwen-vl"'),
        ('name = "toy"', 'name = "toy", split = "val"'),
        ('name = "toy"', 'name = "toy", count = 21'),
        ('name = "toy"', 'name = "toy", tasks = ["hbb"]'),
        ('label = "a"', 'label = "a", backbone = {name = "oracle", slips = 0.1}'),
        ('label = "a"', 'label = "a", preprocess = ["shift"]'),
        ("metrics", "seeds = [1]\nmetrics"),
        ('["rec-hbb"]', '["rec-hbb", "count"]'),
    ],
)
def test_whatever_decides_an_answer_changes_the_key(plan_of: Callable[..., Plan], old: str, new: str) -> None:
    assert set(keys(plan_of(BASE.replace(old, new, 1)))).isdisjoint(keys(plan_of(BASE)))


def test_files_count_by_content_wherever_they_lie(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    def key(path: Path, text: str) -> list[str]:
        path.write_text(json.dumps({"id": "toy-0", "text": text}))
        entry = f'label = "a", backbone = {{name = "replay", path = "{path}"}}'
        return keys(plan_of(BASE.replace('label = "a"', entry)))

    first = key(tmp_path / "one.jsonl", "x")
    assert key(tmp_path / "two.jsonl", "x") == first
    assert key(tmp_path / "one.jsonl", "y") != first


def test_code_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_plugin"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "head.py").write_text("x = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code_key("some_plugin.head")
    (package / "deep.py").write_text("y = 2")
    code_key.cache_clear()
    assert code_key("some_plugin.head") != before
    code_key.cache_clear()
    assert code_key("no_such_module_at_all") == ""


def test_content_keys_ignore_the_order_of_keys() -> None:
    assert content_key({"a": 1, "b": [2.5, None]}) == content_key({"b": [2.5, None], "a": 1})
    assert content_key([1, 2]) != content_key([2, 1])


def test_the_same_system_twice_is_refused(plan_of: Callable[..., Plan]) -> None:
    twice = 'entry = [{label = "a", head = "toy"}, {label = "b", head = "toy"}]'
    with pytest.raises(SuiteError, match="entries 'a' and 'b' are the same; remove one"):
        plan_of(f'metrics = ["count"]\ndataset = "toy"\n{twice}')
    data = 'dataset = [{name = "toy"}, {name = "toy", label = "again"}]\nentry = [{head = "toy"}]'
    with pytest.raises(SuiteError, match="data sets 'toy' and 'again' are the same"):
        plan_of(f'metrics = ["count"]\n{data}')


def test_jobs_say_what_is_asked(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(BASE.replace("metrics", "seeds = [4, 2]\nmetrics"))
    assert [(p.job.seed, p.job.start, p.job.stop) for p in plan.jobs] == [(4, 0, NO_LIMIT), (2, 0, NO_LIMIT)]
    assert plan.wanted() == 40
    limited = plan_of(BASE.replace('name = "toy"', 'name = "toy", limit = 7'))
    assert limited.wanted() == 7
    assert limited.key != plan_of(BASE).key, "another limit is another run, with the same answers"
