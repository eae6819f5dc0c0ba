"""Writing a report's files."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from rsground.bench.results import Run
from rsground.errors import StoreError, UnknownNameError
from rsground.report.collect import Options, collect
from rsground.report.model import ReportData

FORMATS: Mapping[str, tuple[str, str]] = {
    "html": ("html", ".html"),
    "md": ("markdown", ".md"),
    "latex": ("latex", ".tex"),
    "csv": ("table_csv", ".csv"),
    "json": ("data_json", ".json"),
}
"""Format → (module of this package with ``render(data) -> str``, suffix)."""


def write_report(
    run: str | Path | Run,
    *,
    out: str | Path | None = None,
    formats: Iterable[str] = tuple(FORMATS),
    gallery: int = 12,
    baseline: str | None = None,
    replicates: int = 1000,
) -> Path:
    """Write the report of a run; the path of its first file.

    Args:
        run: a run folder, or an open run; it may be unfinished.
        out: a folder, or a file whose suffix says its format (the other formats stand beside it under the same
            name); by default the folder ``report`` inside the run.
        formats: any of :data:`FORMATS`.
        gallery: samples drawn per data set.
        baseline: label that the others are compared with; the best system otherwise.
        replicates: bootstrap samples behind each interval, at most.

    Raises:
        StoreError: there is no run, or the files cannot be written.
        UnknownNameError: no such format, or no such system for a baseline.
    """
    wanted = _checked(formats)
    options = Options(gallery=gallery, baseline=baseline, replicates=replicates)
    if isinstance(run, Run):
        return write_files(collect(run, options), targets(run.folder, out, wanted))
    with Run.open(run) as opened:
        return write_files(collect(opened, options), targets(opened.folder, out, wanted))


def targets(folder: Path, out: str | Path | None, formats: Iterable[str]) -> dict[str, Path]:
    """Format → file: the format that ``out`` is named after first, the others beside it."""
    place = folder / "report" if out is None else Path(out)
    known = {suffix: name for name, (_, suffix) in FORMATS.items()} | {".htm": "html"}
    named = known.get(place.suffix.lower())
    if named is None or place.is_dir():
        return {name: place / f"report{FORMATS[name][1]}" for name in formats}
    others = {name: place.with_suffix(FORMATS[name][1]) for name in formats if name != named}
    return {named: place} | others


def write_files(data: ReportData, files: Mapping[str, Path]) -> Path:
    """Write each format to its file, whole or not at all; the first file."""
    for name, path in files.items():
        module = importlib.import_module(f"rsground.report.{FORMATS[name][0]}")
        _replace(path, module.render(data))
    return next(iter(files.values()))


def _checked(formats: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(formats))
    for name in wanted:
        if name not in FORMATS:
            raise UnknownNameError("report format", name, FORMATS)
    return wanted or tuple(FORMATS)


def _replace(path: Path, text: str) -> None:
    """Write beside and rename, so that a reader never meets half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            file.write(text)
        try:
            os.chmod(file.name, 0o666 & ~_umask())
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise
    except OSError as error:
        raise StoreError(f"cannot write the report to {path}: {error}; choose another place with --out") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
