"""The toy plugin, installed for this room's tests only, and shorthands to run suites."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rsground.bench.plan import Plan, make_plan
from rsground.bench.results import Run
from rsground.bench.runner import RunResult, run_plan
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite
from rsground.registry import registry


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on ``sys.path``, is an installed distribution with the toy plugin."""
    folder = tmp_path_factory.mktemp("toys")
    shutil.copy(Path(__file__).parent / "toys.py", folder)
    info = folder / "rsground_toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rsground-toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rsground]\ntoys = toys\n")
    return folder


@pytest.fixture
def toys(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The toy plugin in use, here and in worker processes."""
    monkeypatch.syspath_prepend(str(toy_folder))
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(toy_folder), before])))
    registry.cache_clear()
    yield toy_folder
    sys.modules.pop("toys", None)
    registry.cache_clear()


@pytest.fixture(scope="session")
def as_version_one() -> Callable[[Path], None]:
    """Rewrites a store as version 1 had it; see ``version_one.py``."""
    spec = importlib.util.spec_from_file_location("version_one", Path(__file__).parent / "version_one.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rewrite: Callable[[Path], None] = module.as_version_one
    return rewrite


SUITE = """
summary = "toys"
metrics = ["rec-hbb"]
dataset = { name = "toy" }
entry = [ { label = "right", head = "toy" } ]
"""


@pytest.fixture
def plan_of(toys: Path) -> Callable[..., Plan]:
    """A checked plan of a suite's text."""

    def make(text: str = SUITE) -> Plan:
        return make_plan(checked(read_suite(text, "toys.toml")))

    return make


@pytest.fixture
def ran(plan_of: Callable[..., Plan], tmp_path: Path) -> Callable[..., tuple[RunResult, Run]]:
    """Run a suite's text into a folder; by default in this process."""

    def run(text: str = SUITE, folder: str = "run", **options: Any) -> tuple[RunResult, Run]:
        result = run_plan(plan_of(text), tmp_path / folder, **{"workers": 0, **options})
        return result, Run.open(tmp_path / folder)

    return run
