"""A node that is lost: nothing is missing, nothing counts twice. A module of its own: it needs a cluster of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


@pytest.mark.skipif("RAY_ADDRESS" in os.environ, reason="needs a cluster of its own")
def test_a_lost_node_costs_nothing(bench: Any, toy_plugin: Path) -> None:
    import ray
    from ray.cluster_utils import Cluster

    from rsground.bench.plan import make_plan
    from rsground.bench.results import Run
    from rsground.bench.runner import Watcher, run_plan
    from rsground.bench.suite_check import checked
    from rsground.bench.suite_reader import read_suite

    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        lost = cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False, namespace="rsground")

        class Breaker(Watcher):
            seen = 0

            def outcome(self, outcome: Any) -> None:
                self.seen += 1
                if self.seen == 10:
                    cluster.remove_node(lost, allow_graceful=False)

        text = bench.suite(bench.entry("x", busy_s=0.02), count=60, executor='{name = "ray"}')
        watcher = Breaker()
        result = run_plan(
            make_plan(checked(read_suite(text, "toys.toml"))), bench.folder / "run", workers=2, watcher=watcher
        )
        assert result.complete
        assert watcher.seen == 60, "every answer was stored once"
        with Run.open(bench.folder / "run") as run:
            calm, quiet = bench.run(bench.suite(bench.entry("x"), count=60), "undisturbed", workers=0)
            assert calm.complete
            assert bench.content(run) == bench.content(quiet)
    finally:
        ray.shutdown()
        cluster.shutdown()
