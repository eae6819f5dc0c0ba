"""A few hundred rounds of ``benchmarks/fuzz_data_files.py``: damaged files load, are reported, or are refused."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz_data_files.py"


@pytest.fixture(scope="module")
def fuzz_files():
    spec = importlib.util.spec_from_file_location("fuzz_data_files", FUZZ)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_data_files"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", [11, 12])
def test_damaged_files_break_nothing_else(fuzz_files, tmp_path, seed):
    outcomes, findings = fuzz_files.fuzz(150, seed, tmp_path)
    assert findings == []
    assert sum(outcomes.values()) == 150
    assert outcomes["reported"] > 30  # the damage is felt


def test_the_fuzzer_finds_what_it_looks_for(fuzz_files, tmp_path, monkeypatch):
    """A reader that fails in a way of its own is a finding."""
    monkeypatch.setattr(fuzz_files, "read_all", lambda case, root: 1 / 0)
    outcomes, findings = fuzz_files.fuzz(3, 0, tmp_path)
    assert outcomes == {"FINDING": 3}
    assert all("ZeroDivisionError" in finding for finding in findings)


def test_every_way_of_damaging_changes_something(fuzz_files):
    data = b'{"images": [{"id": 1, "width": 40}], "b": 2}\nsecond\n'
    for how in fuzz_files.BYTES:
        assert any(how(data, random.Random(seed)) != data for seed in range(8)), how.__name__
    assert fuzz_files.damage_json(data.splitlines()[0], random.Random(1)) != data
