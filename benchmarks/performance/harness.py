"""What the harness costs: per sample on top of a head that does nothing, in memory over a long run, with two workers.

python benchmarks/performance/harness.py                  all three
python benchmarks/performance/harness.py cost --samples 5000
python benchmarks/performance/harness.py memory --samples 100000
python benchmarks/performance/harness.py workers
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import noop

SUITE = """
metrics = ["{metric}"]
dataset = {{ name = "noop", count = {count} }}
entry = [ {{ label = "noop", head = {{ name = "noop", rounds = {rounds} }}, backbone = "noop" }} ]
"""
MIB = 1 << 20


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["cost", "memory", "workers", []], help="default: all")
    parser.add_argument("--samples", type=int, help="samples of each run")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions; the best one counts")
    parser.add_argument("--run-one", nargs=4, metavar=("COUNT", "ROUNDS", "WORKERS", "METRIC"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    with noop.installed():
        if args.run_one:
            count, rounds, workers, metric = args.run_one
            print(json.dumps(run_one(int(count), int(rounds), int(workers), metric)))
            return
        wanted = args.what or ["cost", "memory", "workers"]
        if "cost" in wanted:
            cost(args.samples or 5000, args.rounds)
        if "memory" in wanted:
            memory(args.samples or 100_000)
        if "workers" in wanted:
            speed_up(args.samples or 1500, args.rounds)


def cost(samples: int, rounds: int) -> None:
    """Seconds of a whole run less those of the head, the backbone and the metric alone, per sample."""
    for metric in ("noop", "rec-hbb"):
        both = [(run_one(samples, 0, 0, metric)["run_s"], bare(samples, metric)) for _ in range(rounds)]
        run_s, bare_s = min(run for run, _ in both), min(alone for _, alone in both)
        each = (run_s - bare_s) / samples
        print(
            f"cost, metric {metric}: {1e3 * each:.3f} ms per sample on top of the parts' "
            f"own {1e3 * bare_s / samples:.3f} ms"
        )


def bare(samples: int, metric_name: str) -> float:
    """The parts in a plain loop: nothing stored, nothing checked."""
    from rsground.contracts import Prompt
    from rsground.registry import load
    from rsground.types import Generation, Prediction

    head, metric = noop.NoopHead(), load("metric", metric_name)
    backbone = noop.NoopBackbone()
    began = time.perf_counter()
    for sample in noop.NoopData(count=samples):
        (generation,) = backbone._generate([Prompt(sample.expression)])
        found: Prediction = head._read(generation, sample, None)  # type: ignore[arg-type]
        metric.measure(sample, found)
    assert isinstance(generation, Generation)
    return time.perf_counter() - began


def memory(samples: int) -> None:
    """Resident memory of a run's process, watched from outside: at a tenth of the way, and its peak."""
    command = [sys.executable, __file__, "--run-one", str(samples), "0", "0", "noop"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        seen = []
        while child.poll() is None:
            rss = resident(child.pid)
            if rss:
                seen.append(rss)
            time.sleep(0.1)
        assert child.stdout is not None
        facts = json.loads(child.stdout.read())
    early = statistics.median(seen[len(seen) // 10 : len(seen) // 5 + 1])
    late = statistics.median(seen[-len(seen) // 5 :])
    print(
        f"memory, {facts['answered']:,} samples in {facts['run_s']:.0f} s: {early / MIB:.0f} MiB early, "
        f"{late / MIB:.0f} MiB late, peak {max(seen) / MIB:.0f} MiB (limit 600)"
    )


def speed_up(samples: int, rounds: int) -> None:
    """Samples a second with two worker processes and with one, start-up left out."""
    hashes = 20_000  # about 10 ms: small beside any model, large beside the harness
    best: dict[int, float] = {}
    shares = []
    for _ in range(rounds):
        for workers in (1, 2):
            short, long = (run_one(count, hashes, workers, "noop") for count in (samples // 10, samples))
            extra = samples - samples // 10
            best[workers] = max(best.get(workers, 0.0), extra / (long["run_s"] - short["run_s"]))
            own, theirs = (long[name] - short[name] for name in ("parent_cpu_s", "workers_cpu_s"))
            shares.append((own / extra, theirs / extra))
    print(f"workers: {best[1]:.0f}/s with one, {best[2]:.0f}/s with two: {best[2] / best[1]:.2f} times by the clock")
    own, theirs = (statistics.median(share) for share in zip(*shares, strict=True))
    print(
        f"workers: processor time per sample {1e3 * own:.2f} ms in the parent, {1e3 * theirs:.2f} ms in workers: "
        f"{2 * theirs / (own + theirs):.2f} times on two cores that nobody else uses"
    )


def run_one(count: int, rounds: int, workers: int, metric: str) -> dict[str, float]:
    """One run into a temporary folder."""
    from rsground.bench.plan import make_plan
    from rsground.bench.runner import run_plan
    from rsground.bench.suite_check import checked
    from rsground.bench.suite_reader import read_suite

    plan = make_plan(checked(read_suite(SUITE.format(count=count, rounds=rounds, metric=metric), "harness.toml")))
    with tempfile.TemporaryDirectory() as folder:
        before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        began = time.perf_counter()
        result = run_plan(plan, Path(folder) / "run", workers=workers)
        took = time.perf_counter() - began
        after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    assert result.complete
    own, theirs = (b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    return {"run_s": took, "answered": result.answered, "parent_cpu_s": own, "workers_cpu_s": theirs}


def resident(pid: int) -> int:
    """Resident memory of a process, bytes; 0 when it is gone (Linux)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)


if __name__ == "__main__":
    main()
