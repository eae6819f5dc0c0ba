"""A comparison in every format: what each shows, that each is valid, and that no text of others is taken for markup."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from rsground.bench.comparison import Change, Comparison, Missing, Rules, RunName, Verdict
from rsground.report import comparison_markdown, comparison_words, junit
from rsground.report.comparison_terminal import ComparisonView
from rsground.report.comparison_words import headline, sentence

WORSE = Change(
    system="tiny/geoground",
    dataset="scenes",
    metric="rec-hbb",
    name="Acc@0.5",
    before=0.612,
    after=0.55,
    change=-0.062,
    low=-0.081,
    high=-0.0432,
    p=0.0001,
    p_adjusted=0.0004,
    n=150,
    images=38,
    higher_is_better=True,
    verdict=Verdict.WORSE,
    regression=True,
)
SAME = replace(
    WORSE, name="mIoU", change=0.0, low=0.0, high=0.0, p_adjusted=1.0, verdict=Verdict.SAME, regression=False
)
UNTESTED = replace(
    WORSE,
    name="AP",
    after=math.nan,
    change=math.nan,
    low=None,
    high=None,
    p=None,
    p_adjusted=None,
    verdict=Verdict.UNTESTED,
    regression=False,
)
BETTER = replace(SAME, system="b", change=0.1, p_adjusted=0.01, verdict=Verdict.BETTER)
SLOWER = replace(
    SAME,
    metric="cost",
    name="latency",
    before=0.010,
    after=0.0125,
    change=1.25,
    low=1.2,
    high=1.3,
    p_adjusted=0.001,
    verdict=Verdict.WORSE,
    higher_is_better=False,
)
FOUND = Comparison(
    run=RunName("runs/mine", "daily", "2026-01-02T03:04:05+00:00", "rsground 0.1.0 (abc)"),
    baseline=RunName("runs/main", "daily", "2026-01-01T03:04:05+00:00", "rsground 0.1.0"),
    rules=Rules(),
    scores=(SAME, WORSE, UNTESTED, BETTER),
    costs=(SLOWER,),
    missing=(Missing("system", ("gone",), 1, "baseline"), Missing("samples", ("s1", "s2"), 9, "run", "scenes")),
    notes=("the suite file is not the baseline's",),
)


def shown(found: Comparison, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    console.print(ComparisonView(found))
    return console.export_text()


def test_junit_has_a_case_per_score_and_cost() -> None:
    root = ET.fromstring(junit.render(FOUND))
    assert root.tag == "testsuites"
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "7",
        "failures": "1",
        "errors": "0",
        "skipped": "3",
    }
    assert [suite.get("name") for suite in root] == ["scenes / rec-hbb", "scenes / cost", "not compared"]
    for suite in root:
        cases = suite.findall("testcase")
        assert suite.get("tests") == str(len(cases))
        assert suite.get("failures") == str(sum(case.find("failure") is not None for case in cases))
        assert suite.get("skipped") == str(sum(case.find("skipped") is not None for case in cases))
        assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    (failure,) = root.iter("failure")
    text = failure.text or ""
    for part in ("61.20 before", "55.00 after", "−6.20", "[−8.10, −4.32]", "p < 0.001", "150 answers on 38 images"):
        assert part in text
    assert failure.get("message") == "Acc@0.5 61.20 → 55.00 (−6.20), p < 0.001"
    (case,) = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert (case.get("classname"), case.get("name")) == ("daily.scenes.rec-hbb", "tiny/geoground: Acc@0.5")
    messages = [skipped.get("message") or "" for skipped in root.iter("skipped")]
    assert any("1 system only in the baseline: gone" in message for message in messages)
    assert any("scenes: 9 samples only in the run: s1, s2 and 7 more" in message for message in messages)


def test_markdown_shows_what_moved_first() -> None:
    text = comparison_markdown.render(FOUND)
    places = [
        text.index(part) for part in ("1 regression", "### Worse", "### Better", "<details>", "### Cost", "### Not")
    ]
    assert places == sorted(places)
    numbers = "61.20 | 55.00 | −6.20 \\[−8.10, −4.32\\] | < 0.001 | 38"
    assert f"| tiny/geoground | scenes | rec-hbb | Acc@0.5 | {numbers} | **regression** |" in text
    assert (
        "| tiny/geoground | scenes | latency | 10 ms | 12.5 ms | ×1.25 \\[×1.2, ×1.3\\] | 0.001 | 38 | worse |" in text
    )
    assert "- 1 system only in the baseline: gone" in text
    assert "- the suite file is not the baseline's" in text
    widths = {
        tuple(line.count("|") for line in block.splitlines() if line.startswith("|"))
        for block in re.split(r"\n\n", text)
        if block.startswith("|")
    }
    assert all(len(set(counts)) == 1 for counts in widths), "every row of a table has as many cells"


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_terminal_shows_the_same(width: int) -> None:
    text = shown(FOUND, width)
    assert "1 regression against runs/main" in text
    for part in ("61.20", "55.00", "−6.20", "[−8.10, −4.32]", "×1.25", "< 0.001", "regression"):
        assert part in text
    assert text.index("regression  ") < text.index("better ") < text.index("same ")
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("verdict", [Verdict.WORSE, Verdict.BETTER])
def test_what_is_no_system_is_marked_and_comes_last(verdict: Verdict) -> None:
    ceiling = replace(WORSE, system="a top", role="ceiling", verdict=verdict)
    found = replace(FOUND, scores=(ceiling, replace(WORSE, verdict=verdict)))
    for text in (comparison_markdown.render(found), shown(found, 140)):
        assert 0 < text.index("tiny/geoground") < text.index("a top (ceiling)")
    assert "Acc@0.5 of a top (ceiling) on scenes" in sentence(ceiling)
    assert 'name="a top: Acc@0.5"' in junit.render(found), "a case keeps its name"
    assert found.to_json()["scores"][0]["role"] == "ceiling"


def test_nothing_worse_says_so() -> None:
    fine = replace(FOUND, scores=(SAME,), costs=(), missing=(), notes=())
    assert headline(fine) == "no regression"
    assert comparison_markdown.render(fine).startswith("## rsground: no regression\n")
    assert ET.fromstring(junit.render(fine)).get("failures") == "0"


def test_a_stand_in_is_named() -> None:
    assert "tested by the mean of miou" in sentence(replace(WORSE, name="AP", tested="miou"))


def test_a_long_table_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_markdown, "MOST_ROWS", 3)
    many = replace(FOUND, scores=tuple(replace(SAME, system=f"s{n}") for n in range(5)))
    text = comparison_markdown.render(many)
    assert "2 more rows" in text
    assert "s4" not in text


TEXTS = st.text(min_size=1, max_size=30) | st.sampled_from(
    [
        "a|b",
        "<script>",
        "]]>",
        "`x`",
        "</details>",
        "@someone",
        "\x00\x08",
        "\u202e",
        "\ud800",
        "\ufffe",
        "a\nb",
        "[red]x",
    ]
)


@settings(max_examples=60, deadline=None)
@given(system=TEXTS, dataset=TEXTS, name=TEXTS, note=TEXTS)
def test_any_label_leaves_every_format_valid(system: str, dataset: str, name: str, note: str) -> None:
    change = replace(WORSE, system=system, dataset=dataset, name=name)
    found = replace(FOUND, scores=(change, SAME), notes=(note,), missing=(Missing("system", (system,), 1, "run"),))
    root = ET.fromstring(junit.render(found).encode("utf-8"))
    assert (root.get("tests"), root.get("failures")) == ("4", "1")
    text = comparison_markdown.render(found)
    text.encode("utf-8")
    assert "<script>" not in text
    assert text.count("<details>") == text.count("</details>") == 1
    (row,) = [line for line in text.splitlines() if line.endswith("| **regression** |")]
    assert row.count("|") == 11
    shown(found, 100)


@pytest.mark.parametrize("name", ["latency", "time per answer"])
def test_times_are_told_in_the_unit_that_reads_best(name: str) -> None:
    assert comparison_words.before_after(replace(SLOWER, name=name)) == ("10 ms", "12.5 ms")
