"""Ceilings in the suites are those of the systems that ship: the same head, the same segmenter, the right answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsground.bench.plan import make_plan
from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.suite import Entry
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
PERFECT = ", perfect words"
BARE = """
metrics = [
  { name = "rec-hbb", tasks = ["hbb"] },
  { name = "rec-obb", tasks = ["obb"] },
  { name = "res", tasks = ["mask"] },
]
dataset = { name = "scenes", split = "test", tasks = ["hbb", "obb", "mask"], count = 4, per_scene = 3 }
"""


def text_of(name: str) -> str:
    """A suite file."""
    path = BENCHMARKS / name
    if not path.is_file():
        pytest.skip("benchmarks are not part of an installed package")
    return path.read_text(encoding="utf-8")


def entry_text(text: str, wanted: str) -> str:
    """The entries of a suite whose labels end with ``wanted``."""
    entries = text.split("[[entry]]\n")[1:]
    return "".join(f"[[entry]]\n{each}" for each in entries if f'{wanted}"\n' in each.splitlines(keepends=True)[0])


def of_shipped(label: str) -> Entry:
    """The system that ships under the first part of a label."""
    (found,) = read_suite(f'{BARE}entry = {{ system = "tiny/{label.partition(",")[0]}" }}', "one.toml").entries
    return found


@pytest.mark.parametrize("name", ["suites/head_to_head.toml", "real.toml"])
def test_perfect_words_are_in_the_form_of_the_system(name: str) -> None:
    perfect = read_suite(BARE + entry_text(text_of(name), PERFECT), name).entries
    assert {entry.label.partition(",")[0] for entry in perfect} == {"geoground", "box-mask", "georsmllm"}
    for entry in perfect:
        system = of_shipped(entry.label)
        assert entry.backbone.name == "oracle"
        assert entry.head == system.head
        assert (entry.segmenter is None) == (system.segmenter is None)
        if entry.segmenter is not None and system.segmenter is not None:
            tuned = name == "real.toml" and "not tuned" not in entry.label
            assert entry.segmenter.name == system.segmenter.name
            shipped = system.segmenter.options["checkpoint"]
            assert entry.segmenter.options["checkpoint"] == ("mini-sam2" if tuned else shipped)


def test_perfect_words_lose_what_the_form_and_the_segmenter_lose(tmp_path: Path) -> None:
    text = BARE + entry_text(text_of("suites/head_to_head.toml"), PERFECT)
    assert run_plan(make_plan(checked(read_suite(text, "perfect.toml"))), tmp_path, workers=0).complete
    found = {}
    with Run.open(tmp_path) as run:
        for system in run.systems:
            assert not run.usage(system.label, "scenes")["failed"].any()
            for row in run.metrics:
                table = run.columns(system.label, "scenes", row.label)
                if len(table):
                    found[system.family, row.label] = row.load().summarise(table.columns)[row.primary]
    assert found.keys() == {
        ("geoground", "rec-hbb"),
        ("geoground", "rec-obb"),
        ("geoground", "res"),
        ("box-mask", "rec-hbb"),
        ("box-mask", "res"),
        ("georsmllm", "rec-hbb"),
        ("georsmllm", "rec-obb"),
        ("georsmllm", "res"),
    }
    assert all(value == 1.0 for (_, metric), value in found.items() if metric == "rec-hbb")
    assert all(0.3 < value < 1.0 for (_, metric), value in found.items() if metric == "res"), "no mask form is lossless"
