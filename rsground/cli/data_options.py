"""What the subcommands about a data set share: naming it, opening a split, passing its reader's options."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Name, root, split, reader options."""
    parser.add_argument("name", metavar="NAME", help="registered data set; 'rsground data list' knows them")
    parser.add_argument("root", nargs="?", metavar="ROOT", help="its folder (none for generated data)")
    parser.add_argument("--split", action="append", metavar="S", help="a split; may be repeated (all published ones)")
    parser.add_argument(
        "-o", "--option", action="append", default=[], metavar="KEY=VALUE", help="option of the reader; may be repeated"
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="stop after N samples of a split")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def options_of(words: list[str]) -> dict[str, Any]:
    """``["per=image", "need_images=false"]`` → ``{"per": "image", "need_images": False}``; values are JSON or text.

    Raises:
        SuiteError: a word has no ``=``.
    """
    from rsground.errors import SuiteError

    options: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise SuiteError(f"--option takes KEY=VALUE, got {word!r}")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options
