"""Kernels against plain NumPy: the same bytes, whatever the size, whoever compiled them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rsground.datasets.scenes import ChangeScene, Scene
from rsground.datasets.scenes.archetypes import ARCHETYPES
from rsground.datasets.scenes.compiled.switch import SWITCH, has_numba, is_compiled
from rsground.datasets.scenes.paints import Ground, Paint
from rsground.datasets.scenes.render import draw
from rsground.datasets.scenes.shapes import Disc, Shape

needs_numba = pytest.mark.skipif(not has_numba(), reason="numba is not installed (extra 'fast')")

SIZES = {64: range(24), 256: range(24), 257: range(24, 30), 301: range(30, 36), 512: range(6)}
"""Side in pixels -> indices drawn: together every kind of place."""


@pytest.fixture
def plainly(monkeypatch):
    """Calls a function with the kernels switched off."""

    def call(function, *args):
        with monkeypatch.context() as patch:
            patch.setenv(SWITCH, "0")
            assert not is_compiled()
            return function(*args)

    return call


def everything(seed: int, index: int, size: int) -> dict[str, object]:
    """All that a scene gives."""
    scene = Scene(seed, index, size)
    return {
        "pixels": scene.render().tobytes(),
        "labels": scene.labels.tobytes(),
        "labels alone": draw(scene.plan, pixels=False).labels.tobytes(),
        "objects": [repr(item) for item in scene.graph.objects],
        "places": [repr(item) for item in scene.graph.places],
    }


@needs_numba
@pytest.mark.parametrize(("size", "indices"), SIZES.items(), ids=map(str, SIZES))
def test_kernels_draw_the_same_bytes(size, indices, plainly, monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    assert is_compiled()
    for index in indices:
        fast, plain = everything(11, index, size), plainly(everything, 11, index, size)
        assert [name for name in plain if fast[name] != plain[name]] == [], (size, index)


def test_the_scenes_compared_are_many_and_of_every_kind():
    assert sum(map(len, SIZES.values())) >= 60
    kinds = {Scene(11, index, size).plan.archetype for size, indices in SIZES.items() for index in indices}
    assert kinds == set(ARCHETYPES)


@needs_numba
def test_kernels_draw_the_same_pairs(plainly):
    def pictures(index: int) -> list[bytes]:
        pair = ChangeScene(11, index, 160)
        return [pair.render(0).tobytes(), pair.render(1).tobytes(), pair.mask.tobytes()]

    for index in range(8):
        assert pictures(index) == plainly(pictures, index)


class Oval(Disc):
    """A shape without a kernel."""


class Plaster(Ground):
    """A paint without a kernel."""


def plastered(paint: Paint) -> Paint:
    return Plaster(paint.material, paint.gain) if isinstance(paint, Ground) else paint


def ovals(shape: Shape) -> Shape:
    return Oval(shape.frame, shape.half_u, shape.half_u) if type(shape) is Disc else shape


@needs_numba
def test_shapes_and_paints_without_a_kernel_are_drawn_plainly(plainly):
    plans = (Scene(3, k, 128).plan for k in range(80))
    plan = next(plan for plan in plans if any(type(thing.shape) is Disc for thing in plan.things))
    things = [thing._replace(paint=plastered(thing.paint), shape=ovals(thing.shape)) for thing in plan.things]
    assert any(type(thing.paint) is Plaster and thing.shape.is_plain_box for thing in things)
    plan = replace(plan, things=tuple(things))
    fast, plain = draw(plan, True), plainly(draw, plan, True)
    np.testing.assert_array_equal(fast.planes, plain.planes)
    np.testing.assert_array_equal(fast.labels, plain.labels)


COMPILE = """
import sys, warnings
warnings.simplefilter("error")
import numpy as np
import rsground.datasets.scenes
assert "numba" not in sys.modules
from rsground.datasets.scenes.compiled import shadows
planes, shade = np.ones((3, 4, 4), np.float32), np.eye(4, dtype=np.uint8)
shadows.darken(planes, shade, np.array([-0.5, -0.25, 0], np.float32))
print(planes.sum(axis=(1, 2)).tolist())
"""


@needs_numba
def test_two_processes_may_compile_at_once_into_an_empty_cache_and_numba_is_imported_late(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", COMPILE]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate()[0].strip() for process in both]
    later = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert {*answers, later} == {"[14.0, 15.0, 16.0]"}
    assert list(Path(tmp_path).rglob("*.nbi"))


@needs_numba
def test_a_kernel_without_a_file_to_cache_beside_is_compiled_all_the_same():
    from rsground.datasets.scenes.compiled.toolchain import compiled

    names: dict[str, object] = {"compiled": compiled}
    exec('@compiled("int64(int64)")\ndef double(x):\n    return 2 * x', names)
    assert names["double"](4) == 8


@needs_numba
@pytest.mark.parametrize("error", [RuntimeError("no locator available"), OSError("read-only file system")])
def test_a_kernel_is_compiled_without_a_cache_where_none_can_be_written(error, monkeypatch):
    import numba

    from rsground.datasets.scenes.compiled.toolchain import compiled

    plain = numba.njit

    def strict(signature, *, cache, **options):
        if cache:
            raise error
        return plain(signature, **options)

    monkeypatch.setattr(numba, "njit", strict)

    @compiled("int64(int64)")
    def double(x):
        return 2 * x

    assert double(4) == 8
