"""Write the report of a run: one HTML file that needs no network, and the same as Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import argparse

SUMMARY = "write the report of a run: HTML, Markdown, LaTeX, CSV, JSON"
EPILOG = """examples:
  rsground report runs/ceilings-1a2b3c4d
  rsground report runs/mine --out mine.html --format html --gallery 30
  rsground report runs/mine --baseline "tiny/geoground" --format latex,csv --out tables/

The run may still be going on; the report says how far it got.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and what to write where."""
    parser.add_argument("run", metavar="RUN", help="folder that 'rsground bench' wrote")
    parser.add_argument("--out", metavar="DIR|FILE", help="folder, or a file such as mine.html (default: RUN/report)")
    parser.add_argument(
        "--format",
        metavar="NAMES",
        help="comma-separated: html, md, latex, csv, json (default: all, or the one that --out is named after)",
    )
    parser.add_argument("--gallery", metavar="N", type=_count, default=12, help="samples drawn per data set (12)")
    parser.add_argument("--baseline", metavar="LABEL", help="compare every system with this one, not with the best")
    parser.add_argument("--replicates", metavar="N", type=_positive, default=1000, help="bootstrap samples (1000)")


def run(args: argparse.Namespace) -> int:
    """Write the report and say where it is."""
    from rsground.report.write import write_report

    path = write_report(
        args.run,
        out=args.out,
        formats=_formats(args.format, args.out),
        gallery=args.gallery,
        baseline=args.baseline,
        replicates=args.replicates,
    )
    print(path)  # noqa: T201
    return 0


def _formats(words: str | None, out: str | None) -> tuple[str, ...]:
    from rsground.report.write import FORMATS

    if words is not None:
        return tuple(word.strip() for word in words.split(",") if word.strip())
    named = [name for name, (_, suffix) in FORMATS.items() if out is not None and out.lower().endswith(suffix)]
    return tuple(named) or tuple(FORMATS)


def _count(word: str) -> int:
    value = int(word)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {value}")
    return value


def _positive(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value
