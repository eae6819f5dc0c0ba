"""A worker may do anything: it costs the sample that caused it, with the reason, and nobody else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsground.environments import python_of
from rsground.errors import WorkerError
from rsground.images import save_png
from rsground.isolation import client as client_module
from rsground.isolation.client import Client
from rsground.isolation.process import CallError, Limits
from rsground.pipeline import Images
from rsground.types import ImageRef, Prediction, Region, Sample, Task


def draw(shade: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A plain picture."""
    return np.full((*size, 3), shade, np.uint8)


def sample(number: int, image: ImageRef | None = None) -> Sample:
    """A sample with one box, which is different for every number."""
    box = Region(hbb=(number + 0.1, 5.0, number + 20.3, 30.0))
    image = image or ImageRef(f"drawn:{number // 2}", 48, 64, partial(draw, number // 2))
    return Sample(f"s{number}", (image,), f"thing {number}", Task.HBB, (box,))


SAMPLES = [sample(number) for number in range(8)]


@pytest.fixture
def client_of(wild: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    """A client of the wild head; closed when the test is over."""
    monkeypatch.setattr(client_module, "_PAUSE_S", 0.001)
    opened: list[Client] = []

    def make(how: str = "", backbone: str = "oracle", limits: Limits | None = None, **options: Any) -> Client:
        system = {
            "head": {"name": "wild", "options": {"how": how, **options}},
            "backbone": {"name": backbone, "options": {}},
            "segmenter": None,
            "preprocess": [],
            "checkpoint": None,
        }
        logs = wild / "logs"
        opened.append(Client(python_of(wild), system, limits=limits or Limits(sample_s=60.0), logs=logs))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def right(found: list[Prediction], but: int | None = None) -> bool:
    """Whether every answer is the annotated box, except at one place, which failed."""
    return all(
        (answer.error is not None and not answer.parsed)
        if place == but
        else (answer.error is None and answer.regions[0].hbb == (SAMPLES[place].targets or ())[0].hbb)
        for place, answer in enumerate(found)
    )


def test_answers_come_in_order_and_alone_they_are_the_same(client_of: Callable[..., Client]) -> None:
    client = client_of()
    together = client.answer(SAMPLES)
    assert len(together) == 8
    assert right(together)
    alone = [client.answer([each])[0] for each in SAMPLES]
    assert right(alone)
    assert all(each.usage.latency_s is not None for each in alone), "one sample alone is measured"
    assert len({each.usage.time_s for each in together} - {None}) == 1, "of a batch all have the same share"
    assert client.answer([]) == []
    assert client.usage()["answered"] == 16
    assert client.restarts == 0
    assert client.tasks == {Task.HBB, Task.MASK}


def test_pictures_arrive_drawn_or_by_path(client_of: Callable[..., Client], tmp_path: Path) -> None:
    save_png(tmp_path / "file.png", draw(77))
    images = [ImageRef(f"drawn:{shade}", 48, 64, partial(draw, shade)) for shade in (1, 2, 3, 4, 5, 6, 250)]
    images.append(ImageRef(str(tmp_path / "file.png"), 48, 64))
    asked = [sample(place, image) for place, image in enumerate(images)]
    client = client_of(backbone="wild-looker")
    seen = [answer.regions[0].hbb[0] for answer in client.answer(asked) if answer.regions[0].hbb]
    assert seen == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 250.0, 77.0]
    backwards = [answer.regions[0].hbb[0] for answer in client.answer(asked[::-1]) if answer.regions[0].hbb]
    assert backwards == seen[::-1], "what the worker holds already is not sent, and is the right picture"


def test_a_picture_that_cannot_be_drawn_costs_its_sample(client_of: Callable[..., Client]) -> None:
    broken = ImageRef("broken", 48, 64, partial(draw, 1, (3, 3)))
    asked = [sample(0), sample(1, broken), sample(2)]
    found = client_of(backbone="wild-looker").answer(asked)
    assert [answer.error is None for answer in found] == [True, False, True]
    assert "must be drawn as uint8 (48, 64, 3)" in (found[1].error or "")


REASONS = {
    "raise": "RuntimeError: the head gave up in two lines",
    "exit": "ended with exit code 3; its last words: going now",
    "leave": "ended with exit code 4",
    "kill": "ended by SIGKILL (out of memory?)",
    "segv": "ended by SIGSEGV",
    "garbage": "garbage instead of a frame: b'\\x00garbage on the pipe",
    "announce": "a frame of 2,048.0 MiB, more than the limit of 64.0",
    "fork": "ended with exit code 5",
    "large": "a frame of 65.0 MiB, more than the limit of 64.0",
}


@pytest.mark.parametrize("how", REASONS)
def test_what_a_head_does_costs_its_sample(client_of: Callable[..., Client], how: str) -> None:
    found = client_of(how, at=3).answer(SAMPLES)
    assert right(found, but=3)
    assert REASONS[how] in (found[3].error or "")


@pytest.mark.parametrize("how", ["hang", "stop"])
def test_a_hang_is_cut_off(client_of: Callable[..., Client], how: str) -> None:
    client = client_of(how, at=1, limits=Limits(sample_s=1.5))
    found = client.answer(SAMPLES[:2])
    assert right(found, but=1)
    assert found[1].error == "no answer within 1.5 s"


def test_memory_is_bounded(client_of: Callable[..., Client]) -> None:
    found = client_of("eat", at=1, limits=Limits(memory_bytes=400 << 20)).answer(SAMPLES[:3])
    assert right(found, but=1)
    assert "MemoryError" in (found[1].error or "") or "out of memory" in (found[1].error or "")


@pytest.mark.parametrize("how", ["print", "fork_and_return"])
def test_what_a_head_prints_or_forks_costs_nothing(client_of: Callable[..., Client], how: str) -> None:
    client = client_of(how, at=2)
    assert right([*client.answer(SAMPLES), *client.answer(SAMPLES)][:8])
    assert client.restarts == 0
    if how == "print":
        told = client.stderr()
        for line in ("RSG1 printed by a plugin", "an error line", "straight to descriptor one", "from a shell"):
            assert line in told


def test_a_worker_that_was_killed_for_no_fault_of_the_sample_costs_nothing(
    client_of: Callable[..., Client], tmp_path: Path
) -> None:
    client = client_of("garbage", at=5, once=str(tmp_path / "once"))
    assert right(client.answer(SAMPLES))
    assert client.restarts == 1
    assert client.pid is not None
    os.kill(client.pid, signal.SIGKILL)
    assert right(client.answer(SAMPLES))


def test_forks_do_not_outlive_the_worker(client_of: Callable[..., Client], wild: Path) -> None:
    client = client_of("fork", at=0)
    client.answer(SAMPLES[:1])
    client.close()
    until = time.monotonic() + 60
    while (left := _processes_of(wild)) and time.monotonic() < until:  # a killed process takes a moment to go
        time.sleep(0.05)
    assert not left


def _processes_of(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


def test_the_environment_of_a_worker_holds_no_secrets(
    client_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("SOME_SETTING", "hunter2")
    monkeypatch.setenv("RSGROUND_API_TOKEN", "hunter2")
    monkeypatch.setenv("RSGROUND_HARMLESS", "plain")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    (found,) = client_of("environment").answer(SAMPLES[:1])
    assert "hunter2" not in found.text
    assert "RSGROUND_HARMLESS=plain" in found.text
    assert "CUDA_VISIBLE_DEVICES=1" in found.text
    assert "PATH=" in found.text


def test_an_answer_of_two_gigabytes_is_refused(client_of: Callable[..., Client]) -> None:
    client = client_of("huge", at=1, limits=Limits(memory_bytes=1 << 30))
    found = client.answer(SAMPLES[:2])
    assert right(found, but=1)
    assert "MemoryError" in (found[1].error or "") or "out of memory" in (found[1].error or "")


def test_right_answers_go_only_to_who_repeats_them(client_of: Callable[..., Client]) -> None:
    found = client_of(backbone="blind").answer(SAMPLES[:2])
    assert [answer.regions for answer in found] == [(), ()]
    from rsground.isolation.messages import samples_to_message

    message, _ = samples_to_message(SAMPLES, None, (), with_targets=False)
    assert all(row["targets"] is None and row["answer"] is None for row in message["samples"])
    assert not message["pictures"], "and pictures only to who looks"


def test_workers_that_always_die_are_given_up(
    client_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "LIVES", 4)
    client = client_of("exit")
    found = client.answer([sample(number) for number in range(6)])
    assert all(answer.error for answer in found)
    assert "workers died 4 times in a row without an answer; none is started again" in (found[-1].error or "")
    assert client.restarts <= 4


def test_a_system_that_cannot_be_built_says_why(client_of: Callable[..., Client]) -> None:
    with pytest.raises(CallError, match="ValueError: this head is never built"):
        client_of("unbuildable")
    with pytest.raises(WorkerError, match=r"no worker lives to build the system: .*exit code 9"):
        client_of("dies-in-init")
    with pytest.raises(CallError, match="no backbone named 'nobody'"):
        client_of(backbone="nobody")


def test_a_worker_ends_when_nobody_is_there_to_ask(client_of: Callable[..., Client], wild: Path) -> None:
    client = client_of()
    worker = client._worker
    assert worker is not None
    process = worker._link._process
    assert process.stdin is not None
    process.stdin.close()  # what the end of the asking process does
    assert process.wait(timeout=60) != 0


def test_rendered_pictures_survive_the_pipe() -> None:
    from rsground.isolation.messages import from_png, to_png

    rng = np.random.default_rng(0)
    for shape in ((1, 1), (3, 5), (257, 129)):
        pixels = rng.integers(0, 256, (*shape, 3), np.uint8)
        assert (from_png(to_png(pixels)) == pixels).all()
    assert Images().held == {}
