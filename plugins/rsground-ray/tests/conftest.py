"""Ray on this machine, the toy plugin installed for its workers, and shorthands to run suites."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure: no test of ours has a deadline by the wall clock.
settings.register_profile("rsground", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rsground")

HERE = Path(__file__).parent
# The plugin is large (Ray) and not in plugins/all.txt; the README's test command installs it beside, others may not.
collect_ignore_glob = [] if importlib.util.find_spec("rsground_ray") else ["test_*.py"]
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_worker_niceness": "0"}
LEFT = "ignore:subprocess .* is still running:ResourceWarning"
"""Ray ends its processes, and does not wait for them."""
RAYS_OWN = ("ignore:.*:DeprecationWarning:ray", "ignore:.*:FutureWarning:ray", "ignore::ResourceWarning:ray", LEFT)
"""Warnings about Ray's own code; ours stay errors."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for rule in RAYS_OWN:
                item.add_marker(pytest.mark.filterwarnings(rule))


@pytest.fixture(scope="session")
def toy_plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The toy plugin in use, here and in child processes."""
    from rsground.registry import registry

    folder = tmp_path_factory.mktemp("ray-toys")
    shutil.copy(HERE / "ray_toys.py", folder)
    info = folder / "rsground_ray_toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rsground-ray-toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rsground]\nray_toys = ray_toys\n")
    path, before = sys.path[:], {name: os.environ.get(name) for name in ("PYTHONPATH", *QUIET)}
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), before["PYTHONPATH"]]))
    os.environ.update(QUIET)
    registry.cache_clear()
    yield folder
    sys.path[:] = path
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    registry.cache_clear()


@pytest.fixture(scope="module")
def ray_here(toy_plugin: Path) -> Iterator[Any]:
    """One Ray for a module's tests: four CPUs and one GPU by its count, whatever the machine has.

    ``RAY_ADDRESS`` names one that runs already (started with at least that), for a machine where starting takes long.
    """
    import ray

    address = os.environ.get("RAY_ADDRESS", "local")
    new = {"num_cpus": 4, "num_gpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20}
    joining = {"runtime_env": {"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}}}
    ray.init(address=address, log_to_driver=False, namespace="rsground", **(new if address == "local" else joining))
    yield ray
    ray.shutdown()
    gc.collect()


class Bench:
    """Suites of the toys, run into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, text: str, folder: str = "run", workers: int = 2) -> tuple[Any, Any]:
        """The result, and the run open for reading."""
        from rsground.bench.plan import make_plan
        from rsground.bench.results import Run
        from rsground.bench.runner import run_plan
        from rsground.bench.suite_check import checked
        from rsground.bench.suite_reader import read_suite

        plan = make_plan(checked(read_suite(text, "toys.toml")))
        result = run_plan(plan, self.folder / folder, workers=workers)
        return result, Run.open(self.folder / folder)

    def suite(self, *entries: str, count: int = 20, executor: str = '"local"', seeds: str = "[0]") -> str:
        """A suite's text."""
        return (
            f'metrics = ["rec-hbb"]\nseeds = {seeds}\ndataset = {{name = "ray-toy", count = {count}}}\n'
            f"entry = [{', '.join(entries)}]\nexecutor = {executor}\n"
        )

    def entry(self, label: str, backbone: str = "writer", batch: int = 1, **options: Any) -> str:
        """An entry of :meth:`suite`; the backbone may leave things in this folder (no path, so no part of its key)."""
        words = [f'name = "{backbone}"', f'folder = "at:{self.folder}"']
        for name, value in options.items():
            quoted = (
                str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else value
            )
            words.append(f"{name} = {quoted}")
        return f'{{label = "{label}", head = "ray-toy", batch = {batch}, backbone = {{{", ".join(words)}}}}}'

    def content(self, run: Any) -> dict[tuple[str, int, int], Any]:
        """Everything the answers say, but for how long they took."""
        from rsground.records import USAGE, prediction_to_json

        found = {}
        for system in run.systems:
            for answer in run.answers(system.label, "ray-toy"):
                record = prediction_to_json(answer.prediction)
                for name in ("latency_s", "time_s"):
                    record["usage"][USAGE.index(name)] = None
                found[system.label, answer.seed, answer.index] = record
        return found

    def scores(self, run: Any) -> list[Any]:
        """Every score with its interval."""
        from rsground.bench.scores import summaries

        return [summary.to_json() for summary in summaries(run, replicates=50)]

    def notes(self, name: str) -> list[list[int]]:
        """What backbones noted in this folder."""
        lines = [line for path in self.folder.glob(f"{name}-*.jsonl") for line in path.read_text().splitlines()]
        return [json.loads(line) for line in lines]


@pytest.fixture
def bench(toy_plugin: Path, tmp_path: Path) -> Bench:
    """Suites of the toys, run into a folder of this test's own."""
    return Bench(tmp_path)
