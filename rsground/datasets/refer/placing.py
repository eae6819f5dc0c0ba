"""Images of a written layout: linked, copied, or left where they are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rsground.datasets.refer.records import ImageRecord


def file_name(record: ImageRecord) -> str:
    """What the image is called in a written layout: its unique name and its own ending."""
    ending = Path(record.path).suffix or ".png"
    stem = record.name.replace("/", "__").replace("\\", "__")
    return stem if stem.endswith(ending) else stem + ending


def place_image(record: ImageRecord, folder: Path, how: str) -> None:
    """Put the image into ``folder``; a link becomes a copy where links are not possible, a missing image nothing."""
    source = Path(record.path)
    if how == "none" or not source.is_file():
        return
    target = folder / file_name(record)
    if how == "link":
        try:
            os.symlink(source.resolve(), target)
            return
        except OSError:  # file systems and accounts without symbolic links
            pass
    shutil.copyfile(source, target)
