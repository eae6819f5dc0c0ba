"""Compare a run with a baseline on the samples both answered: what got worse, what got better, and is it chance?"""

from __future__ import annotations

import argparse
import json

from rsground.cli.comparison_options import add_comparison

SUMMARY = "compare a run with a baseline: what got worse beyond chance"
EPILOG = """examples:
  rsground compare runs/mine runs/main
  rsground compare runs/mine runs/main --fail-on-regression --tolerance 0.005
  rsground compare runs/mine runs/main --score 'Acc@*' --score mIoU --alpha 0.01
  rsground compare runs/mine runs/main --junit regressions.xml --summary "$GITHUB_STEP_SUMMARY"

A regression is a score that is significantly worse (paired permutation test by image, Holm's correction over all
scores) and worse by more than --tolerance. Costs are shown, and fail only with --fail-on-cost: runners are noisy.

exit status: 0 compared (and nothing that is to fail has failed), 1 an error, also where the runs share nothing to
compare, 2 a bad command line, 3 a regression, with --fail-on-regression or --fail-on-cost.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two runs, and the rules."""
    parser.add_argument("run", metavar="RUN", help="folder that 'rsground bench' wrote")
    parser.add_argument("baseline", metavar="BASELINE", help="folder of the run to hold it against")
    add_comparison(parser.add_argument_group("comparison"))
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output, nothing else")


def run(args: argparse.Namespace) -> int:
    """Compare, write, say."""
    from pathlib import Path

    from rsground.bench.compare import compare_runs, open_baseline
    from rsground.bench.results import Run
    from rsground.cli.comparison_options import print_comparison, rules_of, status_of, write_comparison

    with Run.open(args.run) as opened, open_baseline(args.baseline, Path(args.run)) as baseline:
        found = compare_runs(opened, baseline, rules_of(args))
    write_comparison(found, args)
    if args.json:
        print(json.dumps(found.to_json(), indent=2))  # noqa: T201
    else:
        print_comparison(found)
    return status_of(found, args)
