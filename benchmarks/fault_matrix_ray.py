"""Break runs on a Ray cluster at random moments, in every way we know, and compare with a run that nobody disturbed.

    python benchmarks/fault_matrix_ray.py                              five faults, twenty moments each
    python benchmarks/fault_matrix_ray.py --moments 2 --only node-loss driver-kill

Faults: ``worker-kill`` (SIGKILL), ``worker-hang`` (SIGSTOP, as a stuck driver call looks from outside), ``worker-oom``
(the process is killed over every batch that is too large, as the kernel does), ``node-loss`` (a node's processes are
killed; another joins later), ``driver-kill`` (SIGKILL, then the same command again). A moment is good when the run ends
complete, every sample is stored once, none failed, and all scores are those of the undisturbed run. Exit status 0 or 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "performance"))
import noop

from rsground.bench.plan import make_plan
from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.schema import STORE
from rsground.bench.scores import summaries
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite

FAULTS = ("worker-kill", "worker-hang", "worker-oom", "node-loss", "driver-kill")
MARK = "RSGROUND_FAULT_MATRIX"
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}
SUITE = """
metrics = ["rec-hbb"]
executor = {executor}
dataset = {{ name = "noop", count = {count} }}
entry = [
    {{ label = "one by one", head = {{ name = "noop", rounds = {rounds} }}, backbone = "noop" }},
    {{ label = "in batches", batch = 8, head = {{ name = "noop", rounds = {more} }}, backbone = {{ {backbone} }} }},
]
"""


def suite(args: argparse.Namespace, executor: str, room: int) -> str:
    """The suite; with ``room`` a batch of more prompts kills its process."""
    backbone = f'name = "noop", room = {room}'
    return SUITE.format(
        executor=executor, count=args.count, rounds=args.rounds, more=args.rounds + 1, backbone=backbone
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Do it; 0 when the verdict is good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=20, help="of each fault (20)")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=FAULTS, metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--count", type=int, default=300, help="samples (300)")
    parser.add_argument("--rounds", type=int, default=20_000, help="hashes per answer (20,000: about 10 ms)")
    parser.add_argument("--timeout", type=float, default=10.0, help="after which a hung worker is ended, s (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--drive", nargs=3, metavar=("ADDRESS", "FOLDER", "ROOM"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.drive:
        return drive(args, *args.drive)
    os.environ[MARK] = f"matrix-{os.getpid()}"
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0", RAY_worker_niceness="0")
    with noop.installed(), tempfile.TemporaryDirectory() as folder:
        return matrix(args, Path(folder))


def matrix(args: argparse.Namespace, folder: Path) -> int:
    """All faults, a cluster for all of them."""
    from ray.cluster_utils import Cluster

    plan = make_plan(checked(read_suite(suite(args, '"local"', 0), "calm.toml")))
    run_plan(plan, folder / "calm", workers=0)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(**NODE) for _ in range(2)]
    rng, bad = random.Random(args.seed), 0
    try:
        for fault in args.only:
            problems: list[str] = []
            landed = 0
            for moment in range(args.moments):
                torn = folder / f"{fault}-{moment}"
                landed += inflict(args, fault, rng.uniform(0.02, 0.8), torn, cluster, nodes, rng)
                problems += [f"moment {moment + 1}: {found}" for found in compare(folder / "calm", torn)]
            bad += len(problems)
            for problem in problems:
                print(f"FAIL {fault}: {problem}", flush=True)
            print(
                f"{fault}: {landed} of {args.moments} landed in a run that was going on, {len(problems)} problems",
                flush=True,
            )
    finally:
        cluster.shutdown()
    print("FAIL" if bad else "PASS: every run complete, nothing lost, nothing twice, scores identical")
    return int(bad > 0)


def inflict(
    args: argparse.Namespace,
    fault: str,
    share: float,
    folder: Path,
    cluster: Any,
    nodes: list[Any],
    rng: random.Random,
) -> bool:
    """One run, broken when ``share`` of its answers are there; whether it was still going on."""
    wanted = 2 * args.count
    room = rng.choice([1, 2, 4]) if fault == "worker-oom" else 0
    words = [sys.executable, __file__, "--count", str(args.count), "--rounds", str(args.rounds)]
    words += ["--timeout", str(args.timeout), "--drive", cluster.address, str(folder), str(room)]
    landed = False
    lost = False
    with subprocess.Popen(words, start_new_session=True) as child:
        while child.poll() is None:
            if not landed and share * wanted <= stored(folder) < wanted:
                landed = True
                if fault in ("worker-kill", "worker-hang"):
                    landed = signalled(rng, signal.SIGKILL if fault == "worker-kill" else signal.SIGSTOP)
                elif fault == "node-loss":
                    cluster.remove_node(nodes.pop(0), allow_graceful=False)
                    lost = True
                elif fault == "driver-kill":
                    child.kill()
            elif lost and stored(folder) > (share + 0.1) * wanted:
                nodes.append(cluster.add_node(**NODE))
                lost = False
            time.sleep(0.01)
    if lost:
        nodes.append(cluster.add_node(**NODE))
    if fault == "driver-kill":
        subprocess.run(words, check=True, start_new_session=True)
    return landed


def signalled(rng: random.Random, number: int) -> bool:
    """Send a signal to one of our workers at work; false when there is none."""
    found = workers()
    if not found:
        return False
    with suppress(ProcessLookupError):
        os.kill(rng.choice(found), number)
        return True
    return False


def workers() -> list[int]:
    """Process numbers of this matrix's workers (Linux)."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = []
    for path in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            is_worker = (path / "cmdline").read_bytes().startswith(b"ray::Worker")
            if is_worker and mark in (path / "environ").read_bytes():
                found.append(int(path.name))
    return found


def drive(args: argparse.Namespace, address: str, folder: str, room: str) -> int:
    """The run that is broken; a process of its own."""
    with noop.installed():
        executor = f'{{ name = "ray", address = "{address}", timeout_s = {args.timeout}, lease = "all" }}'
        plan = make_plan(checked(read_suite(suite(args, executor, int(room)), "torn.toml")))
        result = run_plan(plan, Path(folder), workers=2)
    return 0 if result.complete else 1


def stored(folder: Path) -> int:
    """Answers in the store right now."""
    uri = (folder / STORE).resolve().as_uri() + "?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(uri, uri=True, timeout=5)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
    return 0


def compare(calm: Path, torn: Path) -> list[str]:
    """What differs between the two runs."""
    problems = []
    with Run.open(calm) as first, Run.open(torn) as second:
        if not second.complete:
            problems.append("incomplete")
        ours, theirs = ([found.to_json() for found in summaries(run, replicates=100)] for run in (first, second))
        if json.dumps(ours, sort_keys=True, default=str) != json.dumps(theirs, sort_keys=True, default=str):
            problems.append("scores differ")
        for system in first.systems:
            usages = [run.usage(system.label, first.datasets[0].label) for run in (first, second)]
            places = [usage["index"].tolist() for usage in usages]
            if places[0] != places[1]:
                problems.append(f"{system.label}: {len(places[0])} samples became {len(places[1])}")
            if usages[1]["failed"].any():
                problems.append(f"{system.label}: {int(usages[1]['failed'].sum())} answers failed")
    return problems


if __name__ == "__main__":
    sys.exit(main())
