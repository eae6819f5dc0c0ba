"""kill -9, then the same command again: three times here, twenty in benchmarks/crash_test.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "crash_test.py"


@pytest.mark.slow
def test_a_killed_run_ends_like_an_undisturbed_one(capfd: pytest.CaptureFixture[str]) -> None:
    if not SCRIPT.is_file():
        pytest.skip("benchmarks are not part of an installed package")
    spec = importlib.util.spec_from_file_location("crash_test", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    status = script.main(["--kills", "3", "--limit", "40", "--seed", "1"])
    out = capfd.readouterr().out
    assert "PASS" in out, out
    assert status == 0
