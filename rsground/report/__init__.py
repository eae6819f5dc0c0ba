"""Reports of a run: one self-contained HTML file, Markdown, LaTeX, CSV and JSON.

>>> from rsground.report import write_report
>>> write_report("runs/ceilings-1a2b3c4d")                                       # doctest: +SKIP
PosixPath('runs/ceilings-1a2b3c4d/report/report.html')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsground.report.collect import Options as Options
    from rsground.report.write import FORMATS as FORMATS
    from rsground.report.write import write_report as write_report

_EXPORTS = {"FORMATS": "write", "Options": "collect", "write_report": "write"}

__all__ = ["FORMATS", "Options", "write_report"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
