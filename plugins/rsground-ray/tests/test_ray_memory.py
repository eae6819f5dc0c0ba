"""Free memory: asked of the machine and of the driver's own tool, and waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rsground.errors import DeviceError, ShapeError
from rsground.registry import load
from rsground.testing import PluginConformance
from rsground_ray.memory import GIB, Need, Room, free_room, shortage, wait_for_room
from rsground_ray.processes import Life, end, is_alive, this_life


class TestPlugin(PluginConformance):
    plugin_name = "ray"
    plugin_module = "rsground_ray"


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands for the driver's tool")
def test_cards_are_asked_of_the_drivers_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\n[ "$1" = --id=2,5 ] && printf "1024, 4096\\n3072, 8192\\n"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    room = free_room(["2", "5"])
    assert room.cards == (("2", GIB, 4 * GIB), ("5", 3 * GIB, 8 * GIB))
    assert room.ram is None or room.ram > 0
    assert shortage(room, Need(0, None, 0.25)) is None
    assert shortage(room, Need(0, None, 0.3)) == "1.0 GiB of GPU 2 are free, 1.2 are needed"
    assert shortage(room, Need(0, 2 * GIB)) == "1.0 GiB of GPU 2 are free, 2.0 are needed"


def test_a_worker_waits_until_there_is_room() -> None:
    rooms = [Room(GIB), Room(2 * GIB), Room(5 * GIB)]
    slept: list[float] = []
    assert wait_for_room(lambda: rooms[len(slept)], Need(4 * GIB), 60, slept.append) == 2.0
    assert len(slept) == 2


def test_patience_ends_in_words() -> None:
    with pytest.raises(DeviceError, match=r"after waiting 3 s: 1.0 GiB of memory are free, 4.0 are needed"):
        wait_for_room(lambda: Room(GIB), Need(4 * GIB), 3, lambda seconds: None)


def test_what_cannot_be_told_does_not_stop_anybody() -> None:
    assert shortage(Room(None), Need(4 * GIB, 4 * GIB)) is None


def test_a_process_is_known_by_its_birth() -> None:
    me = this_life()
    assert is_alive(me)
    if me.birth is not None:
        assert not is_alive(Life(me.pid, me.birth - 1))
        assert not end(Life(me.pid, me.birth - 1)), "the number is ours, the life is not"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "'workers' must be above 0, got 0"),
        ({"timeout_s": 0}, "'timeout_s' must be above 0"),
        ({"retries": -1}, "'retries' must be 0 or more, got -1"),
        ({"gpus_per_worker": 1.5}, "a part of one or a whole number, got 1.5"),
        ({"lease": "maybe"}, "'lease' must be 'auto', 'all' or 'off', got 'maybe'"),
    ],
)
def test_executor_refuses_senseless_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        load("executor", "ray", **options)
