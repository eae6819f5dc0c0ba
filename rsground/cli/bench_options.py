"""The options of ``rsground bench``."""

from __future__ import annotations

import argparse
from typing import Any

from rsground.cli.comparison_options import add_comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to run, on what, where to, how."""
    parser.add_argument("suite", metavar="SUITE", help="a name ('rsground list suites') or a path to a .toml file")
    what = parser.add_argument_group("what to run")
    what.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=ROOT[:SPLIT]",
        help="use this data set instead of the suite's; repeat for several; ?option=value&... sets options",
    )
    what.add_argument("--limit", type=_positive, metavar="N", help="only the first N samples of each data set")
    what.add_argument("--only", action="append", default=[], metavar="LABEL", help="only entries so labelled; * and ?")
    what.add_argument(
        "--seed", action="append", default=[], type=_not_negative, metavar="N", help="instead of the suite's"
    )
    where = parser.add_argument_group("where to")
    where.add_argument("--out", metavar="DIR", help="run folder (default: runs/SUITE-<key of the plan>)")
    kind = where.add_mutually_exclusive_group()
    kind.add_argument("--resume", action="store_true", help="insist that the run folder holds a run to go on with")
    kind.add_argument("--fresh", action="store_true", help="throw away what the run folder holds")
    where.add_argument(
        "--cache",
        metavar="DIR",
        help="take what an earlier run answered, word for word the same, from here, and put new answers here",
    )
    where.add_argument("--retry-failed", action="store_true", help="ask again where a system failed to answer")
    against = parser.add_argument_group("compared with")
    against.add_argument("--baseline", metavar="RUN", help="compare with this run's folder when all is answered")
    add_comparison(against)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--workers",
        "--num-workers",
        type=_not_negative,
        metavar="N",
        help="processes; 0: in this one (default: by suite)",
    )
    how.add_argument("--timeout", type=float, metavar="S", help="longest an answer may take, in worker processes")
    how.add_argument("--executor", metavar="NAME", help="where jobs are worked off (default: the suite's, else local)")
    how.add_argument("--address", metavar="HOST:PORT", help="of the cluster, for executors that use one")
    how.add_argument("--gpus-per-worker", type=float, metavar="F", help="may be a part of one, as 0.25")
    how.add_argument(
        "--executor-option",
        action="append",
        default=[],
        type=_assignment,
        metavar="KEY=VALUE",
        help="any other option of the executor; the value is read as TOML, else as text; repeat for several",
    )
    how.add_argument("--dry-run", action="store_true", help="check everything, print the plan, run nothing")
    how.add_argument("--json", action="store_true", help="print one JSON object on standard output, nothing else")
    how.add_argument("--quiet", action="store_true", help="no progress")
    how.add_argument("--no-report", action="store_true", help="do not write the report")


def _assignment(word: str) -> tuple[str, Any]:
    import tomllib

    name, sign, value = word.partition("=")
    if not sign or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE, got {word!r}")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _positive(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _not_negative(word: str) -> int:
    value = int(word)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {value}")
    return value
