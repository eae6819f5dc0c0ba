"""Untrusted text and plain numbers, made fit for people before any output format escapes them."""

from __future__ import annotations

import math
import re
import unicodedata

_ELLIPSIS = "…"
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_HARMLESS = {"\n", "\r", "\t", "\u200d"}  # a zero-width joiner is part of ordinary text (emoji, Indic scripts)


def visible(text: str) -> str:
    """``text`` with control, bidirectional and other invisible characters spelled as ``<U+202E>`` (in angle marks).

    A right-to-left override could otherwise make a table row read as another one; a lone surrogate could not even be
    written to a file. Line ends and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    if char in _HARMLESS or unicodedata.category(char) not in _INVISIBLE:
        return char
    return f"⟨U+{ord(char):04X}⟩"


def one_line(text: str, limit: int = 200) -> str:
    """``text`` as a single line of at most ``limit`` characters; a cut shows as an ellipsis."""
    flat = re.sub(r"\s+", " ", visible(text[: 4 * limit])).strip()
    return shorten(flat, limit)


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters of ``text``; a cut shows as an ellipsis."""
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + _ELLIPSIS


def middle(text: str, limit: int) -> str:
    """At most ``limit`` characters with the middle left out, so that both ends of a long label stay readable."""
    if len(text) <= limit:
        return text
    head = (limit - 1 + 1) // 2
    return text[:head] + _ELLIPSIS + text[len(text) - (limit - 1 - head) :]


_AMOUNTS = "count|chars|tokens|length|cider|seconds|ms|bytes|px|samples|objects"
_AMOUNT = re.compile(rf"(^|[^a-z])({_AMOUNTS})([^a-z]|$)|^n$|_n$")


def is_share(name: str) -> bool:
    """Whether a score called ``name`` lives in [0, 1] and is printed in percent.

    Counts, lengths and CIDEr are told by their names; all else (IoU, accuracy, recall, BLEU) is a share.
    """
    return not _AMOUNT.search(name.lower())


def number(value: float | None, share: bool = True) -> str:
    """A score for a table: percent with two decimals for a share, four significant digits otherwise, ``–`` for none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if share:
        return _signed_right(f"{100 * value:.2f}")
    return significant(value)


def _signed_right(shown: str) -> str:
    """A typographic minus, and none before a zero."""
    return shown.replace("-", "−") if shown.strip("-0.") else shown.lstrip("-")


def significant(value: float | None, digits: int = 4) -> str:
    """``value`` with thousands separators or ``digits`` significant digits, never in scientific notation below 1e6."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size >= 12:
        return f"{value:.2e}"
    decimals = max(0, digits - 1 - size) if size < digits else 0
    shown = f"{value:,.{min(decimals, 6)}f}"
    return (shown.rstrip("0").rstrip(".") if "." in shown else shown).replace("-", "−")


def seconds(value: float | None) -> str:
    """A duration in the unit that reads best: ``12.3 ms``, ``1.84 s``."""
    if value is None or math.isnan(value):
        return "–"
    if value < 1e-3:
        return f"{significant(value * 1e6, 3)} µs"
    if value < 1:
        return f"{significant(value * 1e3, 3)} ms"
    return f"{significant(value, 3)} s"


def memory(value: float | None) -> str:
    """Bytes in the binary unit that reads best: ``512 MiB``."""
    if value is None or math.isnan(value):
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{significant(value, 3)} {unit}"
        value /= 1024
    return f"{significant(value, 3)} TiB"


def p_value(value: float) -> str:
    """A p value: ``< 0.001`` below that, three decimals otherwise."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval(low: float | None, high: float | None, share: bool = True) -> str:
    """``[61.20, 64.85]``, empty where there is no interval."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, share)}, {number(high, share)}]"
