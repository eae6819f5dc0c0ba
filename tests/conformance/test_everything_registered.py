"""Every registered head, codec, metric and backbone keeps the laws of its kind."""

from __future__ import annotations

from rsground.testing import conformance_classes

EXCLUDED: dict[str, str] = {}
"""``"kind name"`` → why it cannot keep a law; empty is best."""

globals().update(conformance_classes(exclude=frozenset(EXCLUDED)))
