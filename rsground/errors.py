"""Every error a user can meet: one family, each also the builtin that fits.

A message names the thing, the rule it broke, what came instead, and the way out. The command line prints that one
line and no traceback; :class:`RsgroundError` is what it catches.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RsgroundError(Exception):
    """The root of the family; never raised itself."""


class UnknownNameError(RsgroundError, LookupError):
    """Nobody registered that name.

    Args:
        kind: what was looked for, in the singular (``"head"``).
        name: the name that was asked for.
        known: the names that would have worked.
        note: a further sentence, such as why a plugin that may hold the name did not load.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], note: str = "") -> None:
        names = sorted(map(str, known))
        close = get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        listing = f" Known: {', '.join(names)}." if names else f" No {kind} is registered at all."
        super().__init__(f"no {kind} named {name!r}.{hint}{listing}{' ' + note if note else ''}")
        self.kind, self.name, self.known, self.note = kind, name, tuple(names), note


class DuplicateNameError(RsgroundError, ValueError):
    """Two plugins offer one name; a table whose rows change meaning with the environment must not exist."""

    def __init__(self, kind: str, name: str, first: str, second: str) -> None:
        super().__init__(
            f"two plugins offer a {kind} named {name!r}: {first} and {second}. "
            f"Uninstall one, or switch one off with RSGROUND_DISABLE=<plugin>."
        )


class PluginError(RsgroundError, ImportError):
    """A plugin did not import, offers something that is no spec, or targets another hook API."""


class ContractError(RsgroundError, TypeError):
    """A plugin's class answered something its contract does not allow."""


class ShapeError(RsgroundError, ValueError):
    """An array or a region has the wrong shape, dtype or range."""


class DataError(RsgroundError, ValueError):
    """A data file, or one record of it, cannot be used.

    Args:
        message: what is wrong and what would be right.
        path: the file, where there is one.
        line: 1-based line (or record number) in that file, where there is one.
    """

    def __init__(self, message: str, path: object = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(f"{where}{message}")
        self.message, self.path, self.line = message, path, line


class ImageError(DataError):
    """An image cannot be opened, decoded or converted to RGB."""


class LayoutError(DataError, FileNotFoundError):
    """A data set root does not have the published layout; the message lists what was expected."""


class UnsafePickleError(DataError):
    """A pickle asks for something that plain data never needs; nothing of it was run."""


class CheckpointError(DataError):
    """Weights, or the folder of a system, cannot be loaded or written; nothing was half loaded.

    Args:
        message: what is wrong and what would be right; keys are named by their first few and their number.
        path: the file or folder, where there is one.
    """


class SuiteError(RsgroundError, ValueError):
    """A suite file says something that cannot be run; found before anything runs."""


class StoreError(RsgroundError, OSError):
    """A run folder cannot be read or written."""


class MissingExtraError(RsgroundError, ImportError):
    """An optional package is needed here.

    Args:
        feature: what the user asked for.
        extra: the extra that brings the package (``"geo"``).
        package: the package itself.
    """

    def __init__(self, feature: str, extra: str, package: str) -> None:
        super().__init__(f"{feature} needs the package {package!r}: pip install 'rsground[{extra}]'")


class WorkerError(RsgroundError, RuntimeError):
    """Worker processes keep dying before they answer anything."""


class DeviceError(RsgroundError, RuntimeError):
    """A device that was asked for is not there, or too small for what it should do."""


class PromptError(RsgroundError, ValueError):
    """A prompt that a backbone cannot take: too long for it, or with marks of its own in the text."""


class ProtocolError(RsgroundError, ValueError):
    """What came through a worker's pipe is no message of the worker protocol, or a message too large."""


class InstallError(RsgroundError, RuntimeError):
    """A plugin's environment cannot be made, changed or used; nothing half made was left behind."""
