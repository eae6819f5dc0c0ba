"""What ``rsground bench`` tells of a run: scores, report, comparison with a baseline, what went wrong."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsground.cli.comparison_options import print_comparison, rules_of, write_comparison
from rsground.cli.output import print_json, say

if TYPE_CHECKING:
    from rsground.bench.comparison import Comparison
    from rsground.bench.results import Run
    from rsground.bench.runner import RunResult

_BROKEN_SHOWN = 10


def tell(result: RunResult, args: argparse.Namespace) -> Comparison | None:
    """The scores, what went wrong, and where everything is; the comparison, where one was asked for."""
    from rsground.bench.results import Run

    with Run.open(result.folder) as opened:
        compared = None if result.interrupted else _compare(opened, args)
        if args.json:
            facts = _facts(opened, result, _write_report(opened, args))
            print_json(facts if compared is None else facts | {"comparison": compared.to_json()})
        elif not result.interrupted:
            _print_board(opened, args)
            if compared is not None:
                print_comparison(compared)
        _tell_problems(opened)
        stored, wanted = opened.progress()
    if result.interrupted:
        say(f"stopped; {stored:,} answers are kept in {result.folder}, the same command goes on from there")
    elif not result.complete:
        say(f"incomplete: {stored:,} answers of {'an unknown number' if wanted is None else f'{wanted:,}'}; see above")
    elif result.kept or result.reused:
        parts = [(result.kept, "were there already"), (result.reused, "were taken from the cache")]
        told = [f"{count:,} answers {what}" for count, what in parts if count]
        say(f"{', '.join(told)}, {result.answered - result.reused:,} are new")
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

    problems: list[str] = []
    scores = [summary.to_json() for summary in summaries(opened, replicates=1000, problems=problems)]
    for problem in problems:
        say(problem)
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
        "problems": problems,
        "scores": scores,
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
    for what, note in data.run.facts:
        if what == "left out" and note not in opened.notes:
            say(note)
    if not args.no_report:
        path = write_files(data, targets(opened.folder, None, FORMATS))
        console.print(f"report: {path}", markup=False, highlight=False, soft_wrap=True)


def _tell_problems(opened: Run) -> None:
    total = sum(row.broken for row in opened.datasets)
    for place, (label, record) in enumerate(opened.broken):
        if place == _BROKEN_SHOWN:
            say(f"... and {total - _BROKEN_SHOWN:,} more; 'rsground data check' names them all")
            break
        line = "" if record.line is None else f":{record.line}"
        say(f"{label}: {record.path}{line}: {record.code}: {record.detail}")
    if total:
        say(f"{total:,} broken records were skipped")
    for row in opened.datasets:
        if opened.complete and not row.samples:
            say(
                f"{row.label} gave no sample at all: its split {row.split!r} is empty, or nothing in it is of the "
                f"tasks asked for ('rsground data show {row.name}' shows what it holds)"
            )
    for system in opened.systems:
        for row in opened.datasets:
            failed = int(opened.usage(system.label, row.label)["failed"].sum())
            if failed:
                say(f"{system.label} failed to answer {failed:,} samples of {row.label}; they count as wrong")
