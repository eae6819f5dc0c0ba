"""A table of a TOML file, taken apart key by key: wrong types and keys nobody asked for are errors that say where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from rsground.errors import SuiteError

_WORDS = {str: "a string", int: "a whole number", bool: "true or false", dict: "a table", list: "a list"}
_REQUIRED = object()


class Section:
    """One table. Take what you know with :meth:`take`, then call :meth:`finish` or :meth:`rest`.

    Args:
        values: the table.
        where: how an error names it: ``'ceilings.toml: entry 2 "text-hbb"'``.
    """

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.where = where
        self._left = dict(values)
        self._known: list[str] = []

    def take(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        """The value of ``key``.

        Raises:
            SuiteError: it is missing and has no default, or is no ``kind``.
        """
        self._known.append(key)
        if key not in self._left:
            if default is _REQUIRED:
                self._check_names(f"needs the key {key!r}")
                raise self.error(f"needs the key {key!r}")
            return default
        value = self._left.pop(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(f"{key!r} must be {_WORDS[kind]}, got {value!r}")
        return value

    def take_any(self, key: str, default: Any = None) -> Any:
        """The value of ``key`` whatever it is."""
        self._known.append(key)
        return self._left.pop(key, default)

    def rest(self) -> dict[str, Any]:
        """What is left: options of the thing that the table names."""
        left, self._left = self._left, {}
        return left

    def finish(self, more: Iterable[str] = ()) -> None:
        """Pass when nothing is left.

        Raises:
            SuiteError: a key nobody knows, with the nearest known one.
        """
        self._known += list(more)
        for key in self._left:
            raise self.error(unknown_key(key, self._known))

    def _check_names(self, missing: str) -> None:
        """A required key that is missing may be there under a misspelt name: say so."""
        for key in self._left:
            if close := get_close_matches(key, self._known[-1:], n=1, cutoff=0.7):
                raise self.error(f"{missing}; is {key!r} meant to be {close[0]!r}?")

    def error(self, message: str) -> SuiteError:
        """The error, with where it is."""
        return SuiteError(f"{self.where}: {message}")


def unknown_key(key: str, known: Iterable[str], what: str = "key") -> str:
    """``unknown key 'x'`` with the nearest known one and all of them."""
    names = sorted(set(known))
    close = get_close_matches(key, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listing = f" Known: {', '.join(names)}." if names else ""
    return f"unknown {what} {key!r}.{hint}{listing}"
