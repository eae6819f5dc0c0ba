"""Run a suite: systems x data sets x seeds. Stop it when you like; the same command goes on where it stopped."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsground.cli.comparison_options import add_comparison, print_comparison, rules_of, status_of, write_comparison

if TYPE_CHECKING:
    from rsground.bench.comparison import Comparison
    from rsground.bench.plan import Plan
    from rsground.bench.results import Run
    from rsground.bench.runner import RunResult
    from rsground.bench.suite import Suite

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
_BROKEN_SHOWN = 10


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


def run(args: argparse.Namespace) -> int:
    """Check, run, report."""
    from rsground.bench.plan import make_plan
    from rsground.bench.progress import watcher
    from rsground.bench.runner import run_plan

    if args.baseline is None and (asked := _needs_baseline(args)):
        _say(f"{asked} needs a run to compare with: add --baseline RUN")
        return 2
    plan = make_plan(_suite(args))
    folder = Path(args.out) if args.out else Path("runs") / f"{plan.suite.name}-{plan.key[:8]}"
    if args.baseline is not None:
        from rsground.bench.compare import open_baseline

        open_baseline(args.baseline, folder).close()  # before hours of work, not after
    if args.dry_run:
        _print_plan(plan, folder, args.json)
        return 0
    for note in plan.suite.notes:
        _say(note)
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
        _say(f"the cache {args.cache} was not written to the end: {result.cache_trouble}")
    compared = _tell(result, args)
    failed = 0 if compared is None else status_of(compared, args)
    return result.interrupted or int(not result.complete) or failed


def _needs_baseline(args: argparse.Namespace) -> str:
    """The first option given that only makes sense beside --baseline."""
    names = ("fail_on_regression", "fail_on_cost", "junit", "summary", "score")
    return next((f"--{name.replace('_', '-')}" for name in names if getattr(args, name)), "")


def _suite(args: argparse.Namespace) -> Suite:
    """The suite with the command line's changes, checked."""
    from dataclasses import replace

    from rsground.bench.data_argument import data_choices
    from rsground.bench.suite import Part
    from rsground.bench.suite_check import checked
    from rsground.bench.suite_files import find_suite
    from rsground.bench.suite_reader import read_suite

    suite = read_suite(*find_suite(args.suite))
    if args.data:
        suite = replace(suite, datasets=data_choices(args.data, args.limit))
    elif args.limit is not None:
        suite = replace(suite, datasets=tuple(replace(choice, limit=args.limit) for choice in suite.datasets))
    if args.seed:
        suite = replace(suite, seeds=tuple(dict.fromkeys(args.seed)))
    if args.only:
        suite = _only(suite, args.only)
    if args.executor is not None:
        suite = replace(suite, executor=Part(args.executor))
    options = {**suite.executor.options, **_executor_options(args)}
    suite = replace(suite, executor=replace(suite.executor, options=options))
    return checked(suite)


def _executor_options(args: argparse.Namespace) -> dict[str, Any]:
    named = {"timeout_s": args.timeout, "address": args.address, "gpus_per_worker": args.gpus_per_worker}
    return {name: value for name, value in named.items() if value is not None} | dict(args.executor_option)


def _only(suite: Suite, patterns: list[str]) -> Suite:
    from dataclasses import replace
    from fnmatch import fnmatchcase

    from rsground.errors import UnknownNameError

    labels = [entry.label for entry in suite.entries]
    for pattern in patterns:
        if not any(label == pattern or fnmatchcase(label, pattern) for label in labels):
            raise UnknownNameError(f"entry of {suite.name}", pattern, labels)
    kept = [e for e in suite.entries if any(e.label == p or fnmatchcase(e.label, p) for p in patterns)]
    return replace(suite, entries=tuple(kept))


def _print_plan(plan: Plan, folder: Path, as_json: bool) -> None:
    if as_json:
        _print_json(
            {
                "suite": plan.suite.name,
                "source": plan.suite.source,
                "key": plan.key,
                "folder": str(folder),
                "systems": [{"key": s.key, **s.entry.to_json()} for s in plan.systems],
                "datasets": [
                    {"key": d.key, "size": d.size_hint, "limit": d.choice.limit, **d.choice.to_json()}
                    for d in plan.datasets
                ],
                "metrics": [dict(m.spec) for m in plan.metrics],
                "seeds": list(plan.suite.seeds),
                "jobs": len(plan.jobs),
                "notes": list(plan.suite.notes),
            }
        )
        return
    lines = [f"suite     {plan.suite.name} ({plan.suite.source})", f"folder    {folder}"]
    for data in plan.datasets:
        size = "unknown size" if data.size_hint is None else f"about {data.size_hint:,} samples"
        limit = "" if data.choice.limit is None else f", the first {data.choice.limit:,} asked"
        lines.append(f"data      {data.choice.label}: {data.choice.name} {data.choice.split}, {size}{limit}")
    lines += [f"metric    {metric.label}: {metric.spec['summary']}" for metric in plan.metrics]
    lines += [f"system    {system.entry.label}" for system in plan.systems]
    lines += [f"note      {note}" for note in plan.suite.notes]
    wanted = plan.wanted()
    lines.append(
        f"in all    {len(plan.jobs)} jobs, {'an unknown number of' if wanted is None else f'{wanted:,}'} answers"
    )
    print("\n".join(lines))  # noqa: T201


def _tell(result: RunResult, args: argparse.Namespace) -> Comparison | None:
    """The scores, what went wrong, and where everything is; the comparison, where one was asked for."""
    from rsground.bench.results import Run

    with Run.open(result.folder) as opened:
        compared = None if result.interrupted else _compare(opened, args)
        if args.json:
            facts = _facts(opened, result, _write_report(opened, args))
            _print_json(facts if compared is None else facts | {"comparison": compared.to_json()})
        elif not result.interrupted:
            _print_board(opened, args)
            if compared is not None:
                print_comparison(compared)
        _tell_problems(opened)
        stored, wanted = opened.progress()
    if result.interrupted:
        _say(f"stopped; {stored:,} answers are kept in {result.folder}, the same command goes on from there")
    elif not result.complete:
        _say(f"incomplete: {stored:,} answers of {'an unknown number' if wanted is None else f'{wanted:,}'}; see above")
    elif result.kept or result.reused:
        parts = [(result.kept, "were there already"), (result.reused, "were taken from the cache")]
        told = [f"{count:,} answers {what}" for count, what in parts if count]
        _say(f"{', '.join(told)}, {result.answered - result.reused:,} are new")
    return compared


def _compare(opened: Run, args: argparse.Namespace) -> Comparison | None:
    """The comparison with the baseline, written to the files that were asked for."""
    if args.baseline is None:
        return None
    from rsground.bench.compare import compare_runs, open_baseline

    with open_baseline(args.baseline, opened.folder) as baseline:
        found = compare_runs(opened, baseline, rules_of(args))
    write_comparison(found, args)
    return found


def _facts(opened: Run, result: RunResult, report: Path | None) -> dict[str, Any]:
    from rsground.bench.scores import summaries

    return {
        "suite": opened.name,
        "folder": str(result.folder),
        "report": None if report is None else str(report),
        "complete": result.complete,
        "answered": result.answered,
        "kept": result.kept,
        "reused": result.reused,
        "datasets": [
            {"label": row.label, "samples": row.samples, "images": row.images, "broken": row.broken}
            for row in opened.datasets
        ],
        "notes": list(opened.notes),
        "scores": [summary.to_json() for summary in summaries(opened, replicates=1000)],
    }


def _write_report(opened: Run, args: argparse.Namespace) -> Path | None:
    if args.no_report:
        return None
    from rsground.report.write import write_report

    return write_report(opened)


def _print_board(opened: Run, args: argparse.Namespace) -> None:
    """The leaderboard; what it rests on is computed once for it and the report."""
    from rich.console import Console

    from rsground.report.collect import Options, collect
    from rsground.report.terminal import leaderboard
    from rsground.report.write import FORMATS, targets, write_files

    data = collect(opened, Options(gallery=0) if args.no_report else Options())
    console = Console()
    console.print(leaderboard(data))
    if not args.no_report:
        path = write_files(data, targets(opened.folder, None, FORMATS))
        console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)


def _tell_problems(opened: Run) -> None:
    total = sum(row.broken for row in opened.datasets)
    for place, (label, record) in enumerate(opened.broken):
        if place == _BROKEN_SHOWN:
            _say(f"... and {total - _BROKEN_SHOWN:,} more; 'rsground data check' names them all")
            break
        line = "" if record.line is None else f":{record.line}"
        _say(f"{label}: {record.path}{line}: {record.code}: {record.detail}")
    if total:
        _say(f"{total:,} broken records were skipped")
    for row in opened.datasets:
        if opened.complete and not row.samples:
            _say(
                f"{row.label} gave no sample at all: its split {row.split!r} is empty, or nothing in it is of the "
                f"tasks asked for ('rsground data show {row.name}' shows what it holds)"
            )
    for system in opened.systems:
        for row in opened.datasets:
            failed = int(opened.usage(system.label, row.label)["failed"].sum())
            if failed:
                _say(f"{system.label} failed to answer {failed:,} samples of {row.label}; they count as wrong")


def _say(text: str) -> None:
    print(f"rsground: {text}", file=sys.stderr)  # noqa: T201


def _print_json(value: Any) -> None:
    from rsground.records import dumps

    print(json.dumps(json.loads(dumps(value)), indent=2))  # noqa: T201


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
