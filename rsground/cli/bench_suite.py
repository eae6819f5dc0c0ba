"""The suite that ``rsground bench`` was asked for: the file's, with the command line's changes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsground.bench.suite import Suite


def suite_of(args: argparse.Namespace) -> Suite:
    """The suite with the command line's changes, checked.

    Raises:
        UnknownNameError: --only names no entry.
    """
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
