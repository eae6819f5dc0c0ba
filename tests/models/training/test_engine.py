"""The loop: it resumes, accumulates, works in half precision and with several processes, and keeps the best."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from line_fit import Line, fit
from two_processes import in_two_processes

from rsground.errors import DeviceError, SuiteError
from rsground.models.training.checkpoints import latest_checkpoint

SCRIPT = Path(__file__).with_name("line_fit.py")


def start(folder: Path, at: int, what: str) -> int:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(at), what, "none"],
        capture_output=True,
        env=environment,
        check=False,
        timeout=240,
    )
    return done.returncode


def test_killed_run_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", Line(0.25))
    assert start(tmp_path / "run", 13, "kill") == -signal.SIGKILL
    assert latest_checkpoint(tmp_path / "run") == tmp_path / "run" / "iter_10.pth"
    resumed = Line(0.25)
    again = fit(tmp_path / "run", resumed)
    assert resumed.left == -10, "ten steps were left"
    torch.testing.assert_close(again, whole, rtol=0, atol=0)


def test_interrupt_saves_where_it_stands(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", Line(0.25), accumulate=2)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "run", Line(0.25, 13, signal.SIGINT), accumulate=2)
    assert signal.getsignal(signal.SIGINT) is before
    assert latest_checkpoint(tmp_path / "run") == tmp_path / "run" / "iter_14.pth", "after the update of both batches"
    torch.testing.assert_close(fit(tmp_path / "run", Line(0.25), accumulate=2), whole, rtol=0, atol=0)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_very_short_run_is_a_run(tmp_path: Path, steps: int) -> None:
    line = Line()
    before = fit(tmp_path / "none", Line(), steps=1, rate=0.0)
    after = fit(tmp_path / "run", line, steps=steps)
    assert line.left == -steps
    assert not torch.equal(after, before)


def test_training_leaves_tiny_numbers_to_others(tmp_path: Path) -> None:
    """Denormal numbers are zero while it runs, and never after it, however it ends."""
    seen: list[float] = []

    def check() -> dict[str, float]:
        seen.append(float(torch.tensor(1e-40) * 1.0))
        return {"accuracy": 1.0}

    fit(tmp_path / "run", Line(), check=check)
    assert set(seen) == {0.0}
    assert float(torch.tensor(1e-40) * 1.0) > 0
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "broken", Line(0.25, 13, signal.SIGINT))
    assert float(torch.tensor(1e-40) * 1.0) > 0


def test_torn_checkpoint_is_passed_over(tmp_path: Path) -> None:
    whole = fit(tmp_path / "run", Line())
    last, before = tmp_path / "run" / "iter_20.pth", tmp_path / "run" / "iter_15.pth"
    last.write_bytes(last.read_bytes()[:2000])
    (tmp_path / "run" / "last_checkpoint").write_text("")
    assert latest_checkpoint(tmp_path / "run") == before
    torch.testing.assert_close(fit(tmp_path / "run", Line()), whole, rtol=0, atol=0)


def test_checkpoint_with_foreign_code_is_not_run(tmp_path: Path) -> None:
    fit(tmp_path / "run", Line())
    file = tmp_path / "run" / "iter_20.pth"
    kept = torch.load(file, weights_only=False)
    torch.save({**kept, "meta": {**kept["meta"], "more": Path("x")}}, file)
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        fit(tmp_path / "run", Line())


def test_accumulating_equals_a_larger_batch(tmp_path: Path) -> None:
    large = fit(tmp_path / "large", Line(), batch=8)
    parts = fit(tmp_path / "parts", Line(), batch=2, accumulate=4)
    torch.testing.assert_close(parts, large, rtol=1e-5, atol=1e-6)
    assert latest_checkpoint(tmp_path / "parts").name == "iter_80.pth"  # type: ignore[union-attr]


def test_half_precision_on_the_cpu(tmp_path: Path) -> None:
    model = Line()
    found = fit(tmp_path / "half", model, precision="bfloat16")
    assert model.precisions == {torch.bfloat16}
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, fit(tmp_path / "full", Line()), rtol=0.1, atol=0.05)
    with pytest.raises(DeviceError, match="float16"):
        fit(tmp_path / "no", Line(), precision="float16")


def test_best_weights_are_kept_and_events_written(tmp_path: Path) -> None:
    model, told = Line(), iter([0.5, -0.25, 0.75, 0.25])
    seen: list[Any] = []

    def check() -> dict[str, float]:
        seen.append(model.line.weight.detach().clone())
        return {"score": next(told), "other": 1.0}

    fit(tmp_path / "run", model, check=check, check_every=5)
    best = torch.load(tmp_path / "run" / "best.pth", weights_only=True)
    assert len(seen) == 4
    assert (best["step"], best["score"], best["scores"]["other"]) == (15, 0.75, 1.0)
    torch.testing.assert_close(best["state_dict"]["line.weight"], seen[2])
    events = list((tmp_path / "run").rglob("events.out.tfevents*"))
    assert events
    assert b"val/score" in events[0].read_bytes()


def test_negative_scores_and_a_second_run_in_one_process(tmp_path: Path) -> None:
    fit(tmp_path / "a" / "run", Line(), check=lambda: {"score": 2.0})
    fit(tmp_path / "b" / "run", Line(), check=lambda: {"score": -3.0})
    assert torch.load(tmp_path / "b" / "run" / "best.pth", weights_only=True)["score"] == -3.0


def test_several_processes_need_their_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(SuiteError, match="torchrun"):
        fit(tmp_path / "run", Line(), launcher="pytorch")


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    in_two_processes(str(SCRIPT), str(tmp_path), "0", "none", "pytorch")
    first, second = (torch.load(tmp_path / f"weights_{rank}.pt", weights_only=True) for rank in (0, 1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not torch.equal(first, fit(tmp_path / "alone", Line(0.25)))
