"""A bounded run of the fuzzing script: broken answers of every kind, through every reader."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.builtin.codecs import CODECS
from rsground.codecs import read_any, sniff
from rsground.codecs.scan import MAX_FOUND, MAX_ISSUES
from rsground.registry import construct


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz_codecs.py"
    spec = importlib.util.spec_from_file_location("fuzz_codecs", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_codecs"] = module
    spec.loader.exec_module(module)
    return module


def test_two_thousand_broken_answers(fuzz: ModuleType) -> None:
    counts, failures, _ = fuzz.run(2000, seed=3, deadline=float("inf"), hostile_texts=False)
    assert failures == []
    assert counts["(parsed)"] > 100
    assert counts["(not parsed)"] > 100


@pytest.mark.parametrize("spec", CODECS, ids=lambda spec: spec.name)
def test_hostile_texts(spec, fuzz: ModuleType) -> None:
    codec = construct(spec)
    for text in fuzz.hostile()[::3]:
        reading = codec.read(text[:30_000], (50, 60))
        assert fuzz.complaint(reading) is None, text[:60]
        assert len(reading.issues) <= MAX_ISSUES + 1
        assert len(reading.regions) <= MAX_FOUND


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_any_text_at_all(text: str) -> None:
    sniff(text, (40, 30))
    reading = read_any(text, (40, 30), scale="auto")
    assert reading.parsed or reading.issues
