"""kill -9 a run at random moments, resume it each time, and compare with a run that nobody disturbed.

    python benchmarks/crash_test.py                       twenty kills
    python benchmarks/crash_test.py --kills 3 --limit 40

Passes when the final scores are identical, and no sample is lost or counted twice. Exit status 0 or 1.
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
from contextlib import closing
from pathlib import Path
from typing import Any

from rsground.bench.results import Run
from rsground.bench.schema import STORE

ONLY = ("text-hbb*", "text-obb oc*", "text-mask 16*", "box-mask 8", "polygon-box 0.9")


def main(argv: Sequence[str] | None = None) -> int:
    """Do it; 0 when the verdict is good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how often (20)")
    parser.add_argument("--limit", type=int, default=400, help="samples asked (400)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes, killed runs only (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        whole, torn = Path(folder) / "whole", Path(folder) / "torn"
        wanted = scores_of(command(whole, args.limit, 0))
        landed = torment(torn, args)
        found = scores_of(command(torn, args.limit, args.workers))
        problems = compare(wanted, found, whole, torn)
        print(f"{landed} of {args.kills} kills landed in a run that was going on")
    for problem in problems:
        print(f"FAIL: {problem}")
    if not problems:
        print(f"PASS: {len(found['scores'])} scores identical; every sample once")
    return int(bool(problems))


def torment(folder: Path, args: argparse.Namespace) -> int:
    """Start the run, kill it and its workers' parent without warning, start it again; how many kills landed."""
    rng, landed = random.Random(args.seed), 0
    for number in range(args.kills):
        before = stored(folder)
        began = time.monotonic()
        with subprocess.Popen(command(folder, args.limit, args.workers), stdout=subprocess.PIPE) as child:
            wait = rng.choice([rng.uniform(0.0, 1.0), rng.uniform(1.0, 3.0)])  # some while it is still starting
            more = rng.randrange(1, max(2, total(folder, args.limit) // (args.kills + 2)))
            while child.poll() is None and time.monotonic() - began < wait + 60:
                if time.monotonic() - began >= wait and (number % 4 == 0 or stored(folder) - before >= more):
                    break
                time.sleep(0.005)
            if child.poll() is None:
                os.kill(child.pid, signal.SIGKILL)
                landed += 1
        print(
            f"kill {number + 1}: after {time.monotonic() - began:.2f} s, {before} -> {stored(folder)} answers",
            flush=True,
        )
    return landed


def command(folder: Path, limit: int, workers: int) -> list[str]:
    """The run, as a user would start it."""
    words = [sys.executable, "-m", "rsground", "bench", "ceilings", "--out", str(folder), "--limit", str(limit)]
    for label in ONLY:
        words += ["--only", label]
    return [*words, "--workers", str(workers), "--json", "--quiet", "--no-report"]


def scores_of(words: list[str]) -> Any:
    """Run to the end; what ``--json`` says."""
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)


def stored(folder: Path) -> int:
    """Answers in the store right now."""
    try:
        with closing(
            sqlite3.connect((folder / STORE).resolve().as_uri() + "?mode=ro", uri=True, timeout=5)
        ) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
    except sqlite3.Error:
        return 0


def total(folder: Path, limit: int) -> int:
    """Answers of the whole run, once it has begun."""
    try:
        with Run.open(folder) as run:
            return limit * len(run.systems)
    except OSError:
        return limit


def compare(wanted: Any, found: Any, whole: Path, torn: Path) -> list[str]:
    """What differs between the two runs."""
    problems = []
    if not found["complete"]:
        problems.append("the tormented run is incomplete")
    if json.dumps(wanted["scores"], sort_keys=True) != json.dumps(found["scores"], sort_keys=True):
        for one, other in zip(wanted["scores"], found["scores"], strict=False):
            if one != other:
                problems.append(f"scores of {one['system']} under {one['metric']} differ: {one} and {other}")
    with Run.open(whole) as first, Run.open(torn) as second:
        for system in first.systems:
            for dataset in first.datasets:
                indexes = [run.usage(system.label, dataset.label)["index"].tolist() for run in (first, second)]
                if indexes[0] != indexes[1]:
                    problems.append(f"{system.label}: {len(indexes[0])} samples became {len(indexes[1])}")
                if len(set(indexes[1])) != len(indexes[1]):
                    problems.append(f"{system.label}: samples count twice")
                if second.usage(system.label, dataset.label)["failed"].any():
                    problems.append(f"{system.label}: a killed run left failures behind")
    return problems


if __name__ == "__main__":
    sys.exit(main())
