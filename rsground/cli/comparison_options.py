"""What ``rsground bench --baseline`` and ``rsground compare`` have in common: the rules, the files, the exit status."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsground.bench.comparison import Comparison, Rules

REGRESSION = 3
"""Exit status where a regression was found and was to fail."""
STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


def add_comparison(group: argparse._ArgumentGroup) -> None:
    """The rules of a comparison, and where to write it."""
    group.add_argument("--fail-on-regression", action="store_true", help="exit with 3 where a score got worse")
    group.add_argument("--fail-on-cost", action="store_true", help="exit with 3 where time, memory or tokens got worse")
    group.add_argument(
        "--alpha",
        type=_share,
        default=0.05,
        metavar="P",
        help="chance of a false claim, over all scores together (0.05)",
    )
    group.add_argument(
        "--tolerance",
        type=_not_negative,
        default=0.0,
        metavar="X",
        help="a score may be worse by so much, on its own scale: 0.01 is one point of a percentage (0)",
    )
    group.add_argument(
        "--cost-tolerance", type=_not_negative, default=0.1, metavar="X", help="a cost likewise: 0.1 is a tenth (0.1)"
    )
    group.add_argument(
        "--score",
        action="append",
        default=[],
        metavar="NAME",
        help="compare these scores too, not just each protocol's primary one; * and ?; repeat for several",
    )
    group.add_argument("--junit", metavar="FILE", help="write the comparison as JUnit XML")
    group.add_argument(
        "--summary",
        metavar="FILE",
        help=f"write it as Markdown (${STEP_SUMMARY} is added to, any other file is written anew)",
    )


def rules_of(args: argparse.Namespace) -> Rules:
    """The rules as the command line gives them."""
    from rsground.bench.comparison import Rules

    return Rules(
        alpha=args.alpha,
        tolerance=args.tolerance,
        cost_tolerance=args.cost_tolerance,
        scores=tuple(args.score),
        costs_count=args.fail_on_cost,
    )


def write_comparison(found: Comparison, args: argparse.Namespace) -> None:
    """Write the files that were asked for.

    Raises:
        StoreError: a file cannot be written.
    """
    if args.junit:
        from rsground.report import junit

        _written(Path(args.junit), junit.render, found, "--junit")
    if args.summary:
        from rsground.report import comparison_markdown

        _written(Path(args.summary), comparison_markdown.render, found, "--summary")


def print_comparison(found: Comparison) -> None:
    """Print it for people."""
    from rich.console import Console

    from rsground.report.comparison_terminal import ComparisonView

    Console().print(ComparisonView(found))


def status_of(found: Comparison, args: argparse.Namespace) -> int:
    """The exit status: 3 where something that is to fail has failed."""
    failed = (args.fail_on_regression and found.score_regressions) or (args.fail_on_cost and found.cost_regressions)
    return REGRESSION if failed else 0


def _written(path: Path, render: Callable[[Comparison], str], found: Comparison, option: str) -> None:
    from rsground.errors import StoreError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a" if _is_step_summary(path) else "w", encoding="utf-8", newline="\n") as file:
            file.write(render(found))
    except OSError as error:
        raise StoreError(
            f"the comparison cannot be written to {path}: {error}; choose another {option} file"
        ) from error


def _is_step_summary(path: Path) -> bool:
    """Whether other steps may have written there too."""
    named = os.environ.get(STEP_SUMMARY)
    return bool(named) and path.resolve() == Path(str(named)).resolve()


def _share(word: str) -> float:
    value = float(word)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, got {word}")
    return value


def _not_negative(word: str) -> float:
    value = float(word)
    if not value >= 0.0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {word}")
    return value
