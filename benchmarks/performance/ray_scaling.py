"""Two Ray workers against one, with a head that burns and a backbone that sleeps; and what handing out costs a sample.

    python benchmarks/performance/ray_scaling.py
    python benchmarks/performance/ray_scaling.py --samples 400 --rounds 1
    python benchmarks/performance/ray_scaling.py --samples 100 --rounds 2 --hashes 200000

Start-up is left out: the clock runs from the first answer stored to the last. A head that burns needs a core of its own
per worker, so its ratio says as much about the machine as about us (what two plain processes reach is printed beside
it); a backbone that sleeps needs none, so its ratio is ours alone. Overhead: seconds per sample of parts that do
nothing, with one worker, less those of the local executor without processes. RAY_ADDRESS names a Ray that runs already.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import noop

from rsground.bench.plan import make_plan
from rsground.bench.runner import Watcher, run_plan
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite

SUITE = """
metrics = ["noop"]
executor = {executor}
dataset = {{ name = "noop", count = {count} }}
entry = [
    {{ label = "x", head = {{ name = "noop", rounds = {rounds} }}, backbone = {{ name = "noop", nap_s = {nap_s} }} }},
]
"""
HASHES = 40_000
"""About 20 ms on a core of its own."""
NAP_S = 0.02


class Stopwatch(Watcher):
    """When the first and the last answer were stored."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def outcome(self, outcome: Any) -> None:
        self.seen.append(time.perf_counter())

    def each_s(self, skip: int) -> float:
        """Seconds per sample once ``skip`` are stored: every worker is up by then."""
        return (self.seen[-1] - self.seen[skip]) / (len(self.seen) - 1 - skip)


def run(executor: str, workers: int, count: int, rounds: int, nap_s: float) -> float:
    """Seconds per sample of one run."""
    text = SUITE.format(executor=executor, count=count, rounds=rounds, nap_s=nap_s)
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(checked(read_suite(text, "scaling.toml")))
        result = run_plan(plan, Path(folder) / "run", workers=workers, watcher=watch)
    assert result.complete
    return watch.each_s(count // 2)


def plain(hashes: int, processes: int) -> float:
    """Seconds per 25 answers' worth of hashes, each process doing as many, with nothing but hashing."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(burn, [1] * processes, chunksize=1)  # all are up
        began = time.perf_counter()
        pool.map(burn, [25 * hashes] * processes, chunksize=1)
        return (time.perf_counter() - began) / processes


def burn(hashes: int) -> None:
    """So many hashes."""
    word = b""
    for _ in range(hashes):
        word = hashlib.sha256(word).digest()


def main() -> None:
    """Measure, and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=600, help="of each run (600)")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions; the best one counts (3)")
    parser.add_argument("--hashes", type=int, default=HASHES, help="that a head burns a sample (40,000: about 20 ms)")
    args = parser.parse_args()
    took = {processes: min(plain(args.hashes, processes) for _ in range(args.rounds)) for processes in (1, 2)}
    print(f"machine: two plain processes hash {took[1] / took[2]:.2f} times as fast as one", flush=True)
    with noop.installed():
        import ray

        os.environ.setdefault("RAY_worker_niceness", "0")
        address = os.environ.get("RAY_ADDRESS", "local")
        new = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 80 << 20}
        joining = {"runtime_env": {"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}}}
        ray.init(address=address, log_to_driver=False, namespace="rsground", **(new if address == "local" else joining))
        try:
            for what, rounds, nap_s in (("burns", args.hashes, 0.0), ("sleeps", 0, NAP_S)):
                best = {
                    workers: min(run('"ray"', workers, args.samples, rounds, nap_s) for _ in range(args.rounds))
                    for workers in (1, 2)
                }
                print(
                    f"{what}: {1 / best[1]:.1f}/s with one worker, {1 / best[2]:.1f}/s with two: "
                    f"{best[1] / best[2]:.2f} times",
                    flush=True,
                )
            alone = min(run('"local"', 0, 4 * args.samples, 0, 0.0) for _ in range(args.rounds))
            there = min(run('"ray"', 1, 4 * args.samples, 0, 0.0) for _ in range(args.rounds))
            print(
                f"overhead: {1e3 * (there - alone):.2f} ms per sample ({1e3 * there:.2f} there, {1e3 * alone:.2f} here)"
            )
        finally:
            ray.shutdown()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load of the machine over the last minute: {load:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
