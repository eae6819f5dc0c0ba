"""Run a suite: systems x data sets x seeds. Stop it when you like; the same command goes on where it stopped."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rsground.cli.bench_options import add_arguments
from rsground.cli.bench_output import tell
from rsground.cli.bench_plan import print_plan
from rsground.cli.bench_suite import suite_of
from rsground.cli.comparison_options import status_of
from rsground.cli.output import say

SUMMARY = "run a suite: systems x data sets x seeds, with intervals and cost"
EPILOG = """examples:
  rsground bench ceilings                                   on generated scenes
  rsground bench ceilings --data vhr10=/data/NWPU --data dota=/data/DOTA:val
  rsground bench ceilings --data scenes:val?count=50 --only 'text-mask*' --limit 100
  rsground bench my_suite.toml --out runs/mine --workers 4
  rsground bench my_suite.toml --out runs/mine --resume     go on, or fail if there is nothing to go on with
  rsground bench my_suite.toml --executor ray --num-workers 4 --gpus-per-worker 0.5
  rsground bench my_suite.toml --dry-run                    what would be run
  rsground bench my_suite.toml --baseline runs/main --fail-on-regression --cache ~/.cache/rsground-answers \\
      --junit regressions.xml --summary "$GITHUB_STEP_SUMMARY"

exit status: 0 every answer is there, 1 an error or a data set that could not be read to its end,
2 a bad command line, 3 a regression against the baseline (with --fail-on-regression or --fail-on-cost),
130 Ctrl-C, 143 SIGTERM (what was answered is kept).
"""

__all__ = ["EPILOG", "SUMMARY", "add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Check, run, report."""
    from rsground.bench.plan import make_plan
    from rsground.bench.progress import watcher
    from rsground.bench.runner import run_plan

    if args.baseline is None and (asked := _needs_baseline(args)):
        say(f"{asked} needs a run to compare with: add --baseline RUN")
        return 2
    plan = make_plan(suite_of(args))
    folder = Path(args.out) if args.out else Path("runs") / f"{plan.suite.name}-{plan.key[:8]}"
    if args.baseline is not None:
        from rsground.bench.compare import open_baseline

        open_baseline(args.baseline, folder).close()  # before hours of work, not after
    if args.dry_run:
        print_plan(plan, folder, args.json)
        return 0
    for note in plan.suite.notes:
        say(note)
    result = run_plan(
        plan,
        folder,
        workers=args.workers,
        fresh=args.fresh,
        resume=args.resume,
        retry_failed=args.retry_failed,
        watcher=watcher(quiet=args.quiet),
        command=["rsground", *sys.argv[1:]],
        cache=None if args.cache is None else Path(args.cache).expanduser(),
    )
    if result.cache_trouble:
        say(f"the cache {args.cache} was not written to the end: {result.cache_trouble}")
    compared = tell(result, args)
    failed = 0 if compared is None else status_of(compared, args)
    return result.interrupted or int(not result.complete) or failed


def _needs_baseline(args: argparse.Namespace) -> str:
    """The first option given that only makes sense beside --baseline."""
    names = ("fail_on_regression", "fail_on_cost", "junit", "summary", "score")
    return next((f"--{name.replace('_', '-')}" for name in names if getattr(args, name)), "")
