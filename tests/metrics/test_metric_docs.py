"""Every registered metric is documented with its conventions."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from rsground.builtin.metrics import METRICS
from rsground.registry import target_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
SECTIONS = dict(
    re.findall(r"^### `([^`]+)`\n(.*?)(?=^##|\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
)


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_every_metric_has_a_section_that_says_something(spec):
    assert spec.name in SECTIONS, f"docs/reference/metrics.md has no section ### `{spec.name}`"
    assert len(SECTIONS[spec.name].split()) >= 10


def test_no_section_outlives_its_metric():
    assert set(SECTIONS) == {spec.name for spec in METRICS}


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_docstrings_tell_the_unparsable_rule(spec):
    text = inspect.getdoc(target_of(spec)) or ""
    assert re.search(r"unparsable|cannot be read|failed answer", text, re.IGNORECASE)


def test_breakdowns_are_documented():
    from rsground.metrics import BREAKDOWNS

    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in BREAKDOWNS)
