"""Whatever goes wrong in a training, what was computed is saved; too little memory is no reason to stop."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from divided_fit import Divided, no_memory
from line_fit import Line, fit
from torch import Tensor
from two_processes import in_two_processes

from rsground.errors import CheckpointError, DeviceError
from rsground.models.training import engine
from rsground.models.training.checkpoints import latest_checkpoint, put_back


class Failing(Line):
    """Fails in one forward pass."""

    def __init__(self, at: int, error: Exception | None = None) -> None:
        super().__init__(0.25)
        self.at, self.error = at, error or ValueError("one bad thing")

    def forward(self, x: Tensor, y: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        self.at -= 1
        if self.at == 0:
            torch.rand(3)  # chances drawn in a step that comes to nothing
            raise self.error
        return super().forward(x, y, mode)


@pytest.mark.parametrize(("accumulate", "at", "saved"), [(1, 13, 12), (2, 13, 12), (2, 14, 12), (3, 3, None)])
def test_an_error_saves_the_last_whole_update(tmp_path: Path, accumulate: int, at: int, saved: int | None) -> None:
    whole = fit(tmp_path / "whole", Line(0.25), accumulate=accumulate)
    with pytest.raises(ValueError, match="one bad thing") as caught:
        fit(tmp_path / "run", Failing(at), accumulate=accumulate)
    (note,) = caught.value.__notes__
    kept = latest_checkpoint(tmp_path / "run")
    if saved is None:
        assert kept is None
        assert note == "nothing was saved yet"
    else:
        assert kept == tmp_path / "run" / f"iter_{saved}.pth"
        assert note == f"saved as {kept}; the same command, without --fresh, goes on from there"
    torch.testing.assert_close(fit(tmp_path / "run", Line(0.25), accumulate=accumulate), whole, rtol=0, atol=0)


def test_a_validation_that_failed_is_made_up_for(tmp_path: Path) -> None:
    told: list[float] = []

    def check() -> dict[str, float]:
        told.append(0.1 * len(told))
        if len(told) == 4:
            raise ValueError("no metric")
        return {"score": told[-1]}

    whole = fit(tmp_path / "whole", Line(0.25))
    with pytest.raises(ValueError, match="no metric"):
        fit(tmp_path / "run", Line(0.25), check=check, check_every=5)
    assert latest_checkpoint(tmp_path / "run") == tmp_path / "run" / "iter_20.pth", "the update is whole"
    again = Line(0.25)
    torch.testing.assert_close(fit(tmp_path / "run", again, check=check, check_every=5), whole, rtol=0, atol=0)
    assert again.left == 0, "no step was left"
    assert len(told) == 5, "three before it, the one that failed, and that one again"
    assert torch.load(tmp_path / "run" / "best.pth", weights_only=True)["step"] == 20


def test_half_an_update_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Torn(torch.optim.AdamW):
        made = 0

        def step(self, closure: Any = None) -> Any:
            type(self).made += 1
            if self.made == 8:
                self.param_groups[0]["params"][0].data += 1
                raise RuntimeError("torn")
            return super().step(closure)

    whole = fit(tmp_path / "whole", Line(0.25))
    with monkeypatch.context() as patch:
        patch.setattr(engine.torch.optim, "AdamW", Torn)
        with pytest.raises(RuntimeError, match="torn"):
            fit(tmp_path / "run", Line(0.25))
    assert latest_checkpoint(tmp_path / "run") == tmp_path / "run" / "iter_5.pth", "the one before"
    torch.testing.assert_close(fit(tmp_path / "run", Line(0.25)), whole, rtol=0, atol=0)


def test_a_full_disk_does_not_hide_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any, **named: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(engine.PlacedRunner, "save_checkpoint", full)
    with pytest.raises(ValueError, match="one bad thing") as caught:
        fit(tmp_path / "run", Failing(3))
    assert caught.value.__notes__ == ["nothing could be saved: no space left"]


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_without_memory_a_batch_is_computed_in_parts(tmp_path: Path, where: str, accumulate: int) -> None:
    more: dict[str, Any] = {"batch": 6, "accumulate": accumulate, "steps": 6, "save_every": 3}
    whole = fit(tmp_path / "whole", Divided(6, where), **more)
    model = Divided(2, where)
    torch.testing.assert_close(fit(tmp_path / "run", model, **more), whole, rtol=1e-4, atol=1e-6)
    assert json.loads((tmp_path / "run" / "memory.json").read_text()) == {"at once": 2}
    assert model.sizes[:5] == [6, 3, 2, 2, 2], "halved, and halved again"
    assert set(model.sizes[5:]) == {2}, "and so are all later ones"
    for file in (tmp_path / "run").glob("iter_*.pth"):
        if file.name != f"iter_{3 * accumulate}.pth":
            file.unlink()
    again = Divided(2, where)
    torch.testing.assert_close(fit(tmp_path / "run", again, **more), whole, rtol=1e-4, atol=1e-6)
    assert set(again.sizes) == {2}, "a run that goes on knows"


@pytest.mark.slow
def test_several_processes_go_on_in_parts_when_started_again(tmp_path: Path) -> None:
    """One of two has too little memory: both end, and both know the next time."""
    script = str(Path(__file__).with_name("divided_fit.py"))
    with pytest.raises(AssertionError, match="the same command goes on from the last checkpoint with 2 at once"):
        in_two_processes(script, str(tmp_path))
    in_two_processes(script, str(tmp_path))
    whole = fit(tmp_path / "alone", Divided(99, ""), batch=8, steps=6)
    for rank in (0, 1):
        kept = torch.load(tmp_path / f"weights_{rank}.pt", weights_only=True)
        assert kept["sizes"] == [2] * 12
        torch.testing.assert_close(kept["weights"], whole, rtol=1e-4, atol=1e-5)


def test_memory_that_runs_out_within_an_update(tmp_path: Path) -> None:
    """The batches of the update that were done already are done once more, and count once."""

    class Later(Divided):
        def forward(self, x: Tensor, y: Tensor, mode: str = "loss", of: int = 0) -> dict[str, Tensor]:
            self.where = "backward" if len(self.sizes) == 4 else ""
            return super().forward(x, y, mode, of)

    more: dict[str, Any] = {"batch": 4, "accumulate": 3, "steps": 4}
    whole = fit(tmp_path / "whole", Divided(9, ""), **more)
    model = Later(2, "")
    torch.testing.assert_close(fit(tmp_path / "run", model, **more), whole, rtol=1e-4, atol=1e-6)
    assert model.sizes[:9] == [4, 4, 4, 4, 4, 2, 2, 2, 2]
    assert len(model.sizes) == 5 + 4 + 2 * 6 + 2


@pytest.mark.parametrize("model", [Failing(7, no_memory()), Divided(0, "forward")])
def test_without_any_memory_it_says_what_to_do(tmp_path: Path, model: Line) -> None:
    with pytest.raises(DeviceError, match=re.escape("Tried to allocate 1 GiB")) as caught:
        fit(tmp_path / "run", model)
    assert "model.checkpointing=true" in str(caught.value)
    assert len(caught.value.__notes__) == 1


def test_what_a_checkpoint_lacks_is_told_and_what_it_need_not_hold_is_not(tmp_path: Path) -> None:
    class Half(Line):
        """Trains its bias alone."""

        def state_dict(self, *given: Any, **named: Any) -> dict[str, Tensor]:
            whole: dict[str, Tensor] = super().state_dict(*given, **named)
            return {name: value for name, value in whole.items() if name == "line.bias"}

    file = tmp_path / "iter_1.pth"
    one = torch.ones(1)
    assert put_back(Half(), {"line.bias": one}, file) == ""
    assert put_back(Half(), {}, file) == "lacks 1 weights: line.bias"
    told = put_back(Half(), {"line.bias": one, "old": one}, file)
    assert told == "holds besides 1 weights: old"
    with pytest.raises(CheckpointError, match=r"iter_1\.pth: these weights are of another model.*line.bias"):
        put_back(Half(), {"line.bias": torch.ones(3)}, file)
