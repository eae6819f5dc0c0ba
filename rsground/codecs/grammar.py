"""Grammar of a codec's answers (interface; see the concrete grammars beside each codec)."""

from __future__ import annotations


class Grammar:
    """Placeholder interface."""
