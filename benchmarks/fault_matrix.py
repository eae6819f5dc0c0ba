"""Make workers fail at random moments, and compare each run with one that nobody disturbed.

    python benchmarks/fault_matrix.py                       every fault, 20 hits each
    python benchmarks/fault_matrix.py kill hang --times 3

Workers of isolated environments are killed, stopped (a hang), driven out of memory, and made to send a corrupted frame;
workers of the local executor are killed and stopped. A row passes when every run ends by itself, no sample is lost or
counted twice, none has failed, and all scores are identical. Exit status 0 or 1. Linux.

The other rows have scripts of their own: crash_test.py (SIGKILL of the run itself), disk_full.py (of the store), and
fault_matrix_ray.py (workers, nodes and drivers on Ray).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import bare_environment

from rsground.bench import process
from rsground.bench.plan import make_plan
from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.scores import summaries
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite
from rsground.registry import registry

SUITE = """
metrics = ["rec-hbb"]
dataset = {{ name = "scenes", limit = {samples}, tasks = ["hbb"] }}
executor = {{ name = "local"{timeout} }}
entry = [ {{ label = "head", batch = {batch}, head = {head} }} ]
"""
HANG_S = 2.0
"""Deadline of an answer in the runs that are made to hang."""
LOAD_S = 20.0
"""Deadline of building the system there."""
GRACE_S = 3.0
"""What a worker of the local executor is given there while none of its calls runs. It is a minute otherwise, which a
worker that is stopped while it starts, as most are in runs so short, would take each time."""


class Fault(NamedTuple):
    """A row of the matrix.

    Attributes:
        summary: what happens to whom.
        inside: the head's own fault; empty where a signal comes from outside.
        number: the signal.
        workers: of the local executor; 0 for an isolated head's worker.
    """

    summary: str
    inside: str = ""
    number: int = 0
    workers: int = 0


FAULTS = {
    "kill": Fault("isolated worker: SIGKILL", number=signal.SIGKILL),
    "hang": Fault("isolated worker: hang (SIGSTOP)", number=signal.SIGSTOP),
    "oom": Fault("isolated worker: out of memory", inside="oom"),
    "garbage": Fault("isolated worker: corrupted frame", inside="garbage"),
    "local-kill": Fault("local worker: SIGKILL", number=signal.SIGKILL, workers=2),
    "local-hang": Fault("local worker: hang (SIGSTOP)", number=signal.SIGSTOP, workers=2),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Do it; 0 when every row passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)} (all)")
    parser.add_argument("--times", type=int, default=20, help="hits of each fault (20)")
    parser.add_argument("--samples", type=int, default=40, help="samples of each run (40)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    args = parser.parse_args(argv)
    if unknown := set(args.faults) - set(FAULTS):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        os.environ["RSGROUND_ENVS"] = str(root / "environments")
        limits = {"sample_s": HANG_S, "load_s": LOAD_S, "start_s": 20.0, "memory_bytes": 600 << 20}
        bare_environment.make(root / "environments", "faults", Path(__file__).with_name("faulty.py"), limits)
        registry.cache_clear()
        rows = [row_of(name, args, root) for name in args.faults or FAULTS]
    return int(not all(rows))


def row_of(name: str, args: argparse.Namespace, root: Path) -> bool:
    """One fault at all its moments; whether every run was as it should be."""
    fault, rng = FAULTS[name], random.Random(f"{args.seed} {name}")
    undisturbed(fault, args.samples, root / f"{name}-first")  # the first run takes longer than the others will
    wanted, took = undisturbed(fault, args.samples, root / f"{name}-whole")
    hits, rounds, problems = 0, 0, []
    while hits < args.times and rounds < 3 * args.times:  # a run may be over before its moment comes
        rounds += 1
        landed, wrong = disturbed(fault, args.samples, root / f"{name}-{rounds}", rng, took, wanted)
        hits += landed
        problems += wrong
    verdict = "PASS" if not problems and hits >= args.times else "FAIL"
    print(f"{verdict}  {fault.summary}: {hits} of {args.times} hits, in {rounds} runs", flush=True)
    for problem in problems[:5]:
        print(f"      {problem}")
    return verdict == "PASS"


def undisturbed(fault: Fault, samples: int, folder: Path) -> tuple[dict[str, Any], float]:
    """What a run finds when nothing happens, and how many seconds it takes."""
    began = time.monotonic()
    found = result_of(fault, samples, folder, "")
    return found, time.monotonic() - began


def disturbed(
    fault: Fault, samples: int, folder: Path, rng: random.Random, took: float, wanted: dict[str, Any]
) -> tuple[bool, list[str]]:
    """Run while the fault happens; whether it hit, and what differs from the undisturbed run."""
    mark = folder.with_suffix(".mark")
    if fault.inside:
        mark.write_text(str(rng.randrange(1, samples + 1)))
        found = result_of(fault, samples, folder, str(mark))
        hit = not mark.exists()
    else:
        striker = Striker(fault, rng.uniform(0.05, 0.8) * took)
        striker.start()
        found = result_of(fault, samples, folder, "")
        striker.over.set()
        striker.join()
        hit = striker.hit
    return hit, [f"{key}: {wanted[key]} became {found[key]}" for key in wanted if wanted[key] != found[key]]


class Striker(threading.Thread):
    """Sends a signal to a worker after some seconds, as soon as there is one."""

    def __init__(self, fault: Fault, after_s: float) -> None:
        super().__init__(daemon=True)
        self.fault, self.after_s, self.hit = fault, after_s, False
        self.over = threading.Event()

    def run(self) -> None:
        self.over.wait(self.after_s)
        word = b"rsground.bench.worker" if self.fault.workers else b"rsground.isolation.worker"
        while not self.over.is_set() and not self.hit:
            for pid in children(word):
                with suppress(ProcessLookupError):
                    os.kill(pid, self.fault.number)
                    self.hit = True
                    break
            self.over.wait(0.01)


def children(word: bytes) -> list[int]:
    """Processes started by this one whose command line has a word in it."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with suppress(OSError, ValueError):
            parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and word in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(int(entry))
    random.shuffle(found)
    return found


def result_of(fault: Fault, samples: int, folder: Path, mark: str) -> dict[str, Any]:
    """Run to the end: which samples were answered, which failed, and every score."""
    if fault.workers:
        head = '{ name = "codec", codec = "text-mask" }'
    else:
        options = f'fault = "{fault.inside}", mark = {json.dumps(mark)}, pace_s = 0.02'
        head = f'{{ name = "faulty@faults", {options} }}'
    timeout = f", timeout_s = {HANG_S}, load_s = {LOAD_S}" if fault.workers and fault.number == signal.SIGSTOP else ""
    text = SUITE.format(samples=samples, head=head, timeout=timeout, batch=1 if fault.workers else 4)
    plan = make_plan(checked(read_suite(text, "faults.toml")))
    process.GRACE_S = GRACE_S
    result = run_plan(plan, folder, workers=fault.workers)
    with Run.open(folder) as run:
        usage = run.usage("head", "scenes")
        failures = [a.prediction.error for a in run.answers("head", "scenes") if a.prediction.error is not None]
        return {
            "complete": result.complete,
            "samples": usage["index"].tolist(),
            "failures": failures,
            "scores": [summary.to_json() for summary in summaries(run, replicates=50)],
        }


if __name__ == "__main__":
    sys.exit(main())
