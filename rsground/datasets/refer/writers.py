"""The layouts a referring data set can be written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from rsground.datasets.refer.records import ImageRecord
from rsground.datasets.refer.write_jsonl import write_jsonl
from rsground.datasets.refer.write_rrsisd import write_rrsisd
from rsground.datasets.refer.write_rsvg import write_dior_rsvg

Writer = Callable[[Path, Iterable[ImageRecord], str], int]
"""(new folder, records, "link" | "copy" | "none") → how many expressions were written."""

WRITERS: dict[str, Writer] = {"jsonl": write_jsonl, "rrsisd": write_rrsisd, "dior-rsvg": write_dior_rsvg}
"""Format → its writer."""
