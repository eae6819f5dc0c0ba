"""Answers into files: told beforehand where no file can be, written as far as they can be."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rsground.errors import StoreError

if TYPE_CHECKING:
    from rsground.cli.predict_answers import Answer, Scene

SUFFIXES = (".json", ".geojson", ".png")
"""Endings of files that can be written."""


def check_places(files: Sequence[str]) -> None:
    """Look at folders before anything is asked; they are made when the answers are there.

    Raises:
        StoreError: a file cannot be written where it should be; all such files are named.
    """
    faults = [fault for file in files if (fault := _fault(file)) is not None]
    if faults:
        raise StoreError(f"{'; '.join(faults)}. Nothing was asked")


def write_files(files: Sequence[str], system: str, scene: Scene, answers: Sequence[Answer]) -> dict[str, str]:
    """Write every file, each whole or not at all; those that cannot be written, and why."""
    faults = {}
    for file in files:
        try:
            _write(Path(file), system, scene, answers)
        except Exception as error:  # whatever one file meets, the others hold the answers; the reason is handed on
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            faults[file] = f"{file} cannot be written: {reason or type(error).__name__}"
    return faults


def _fault(file: str) -> str | None:
    if os.path.isdir(file):
        return f"{file} cannot be written: there is a folder of that name"
    folder = os.path.dirname(os.path.abspath(file))
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        return f"{file} cannot be written: {folder} is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{file} cannot be written: nothing may be written into {folder}"
    return None


def _write(file: Path, system: str, scene: Scene, answers: Sequence[Answer]) -> None:
    from rsground.models.atomic import replacing

    with replacing(file) as fresh:
        _write_as(file.suffix.lower(), fresh, system, scene, answers)


def _write_as(kind: str, file: Path, system: str, scene: Scene, answers: Sequence[Answer]) -> None:
    if kind == ".png":
        from rsground.cli.predict_png import overlay
        from rsground.images import save_png

        save_png(file, overlay(scene, answers))
    elif kind == ".geojson":
        from rsground.cli.predict_geojson import to_geojson

        file.write_text(json.dumps(to_geojson(system, scene, answers)) + "\n", encoding="utf-8")
    else:
        from rsground.cli.predict_answers import to_json

        file.write_text(json.dumps(to_json(system, scene, answers), indent=2) + "\n", encoding="utf-8")
