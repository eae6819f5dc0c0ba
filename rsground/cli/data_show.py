"""Print the first samples of a split as JSON Lines, in the form that the data set 'jsonl' reads."""

from __future__ import annotations

import argparse
import json
import os
from itertools import islice

from rsground.cli.data_options import add_data_arguments, options_of

EPILOG = """examples:
  rsground data show dior-rsvg /data/DIOR_RSVG --split val --limit 3
  rsground data show dota /data/DOTA -o per=category --limit 1 | python -m json.tool
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show."""
    add_data_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the samples; broken records go to standard error."""
    import sys

    from rsground.datasets.jsonl import sample_to_json
    from rsground.registry import load_dataset, registry

    spec = registry().find("dataset", args.name)
    for split in args.split or spec.splits[:1]:
        dataset = load_dataset(args.name, args.root, split, **options_of(args.option))
        dataset.on_broken = lambda record: sys.stderr.write(f"{record.path}:{record.line}: {record.detail}\n")
        for sample in islice(dataset, args.limit or 5):
            sys.stdout.write(f"{json.dumps(sample_to_json(sample, os.getcwd()), ensure_ascii=True)}\n")
    return 0
