"""Several processes: each on its own GPU, patient with each other, and no more images a step than one alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsground.errors import DeviceError, SuiteError
from rsground.models.training.processes import join, own_device
from rsground.models.training.schedule import Schedule
from rsground.models.training.ways import Ways, training_in


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize("asked", ["auto", "cuda", "cuda:1"])
def test_each_process_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("LOCAL_RANK", "2")
    with training_in(Ways(asked, "pytorch")):
        assert own_device() == torch.device("cuda:2")
    with training_in(Ways(asked)):
        assert own_device() == torch.device("cuda:1" if asked == "cuda:1" else "cuda:0"), "one alone"
    with training_in(Ways("cpu", "pytorch")):
        assert own_device() == torch.device("cpu")
    monkeypatch.setenv("LOCAL_RANK", "4")
    with training_in(Ways(asked, "pytorch")), pytest.raises(DeviceError, match=r"cuda:4.*there are 4"):
        own_device()


@pytest.mark.parametrize(("asked", "backend"), [("cpu", "gloo"), ("auto", "nccl")])
@pytest.mark.usefixtures("four_gpus")
def test_processes_wait_for_a_long_validation(monkeypatch: pytest.MonkeyPatch, asked: str, backend: str) -> None:
    met: list[Any] = []
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "set_device", met.append)
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda kind, timeout: met.extend((kind, timeout >= timedelta(hours=2)))
    )
    with training_in(Ways(asked, "pytorch")):
        join()
    assert met == ([] if backend == "gloo" else [torch.device("cuda:3")]) + [backend, True]


@given(st.integers(1, 64), st.integers(1, 8), st.integers(1, 4))
def test_images_of_a_step_are_shared_out(images: int, processes: int, accumulate: int) -> None:
    schedule = Schedule(1, images=images, accumulate=accumulate)
    if images % (processes * accumulate):
        with pytest.raises(
            SuiteError, match=f"images = {images} cannot be shared out evenly among {processes} process"
        ):
            schedule.batch_of(processes)
    else:
        assert schedule.batch_of(processes) * processes * accumulate == images == schedule.step_images(processes)
    by_batch = Schedule(1, batch=images, accumulate=accumulate)
    assert by_batch.batch_of(processes) == images
    assert by_batch.step_images(processes) == images * processes * accumulate
