"""Every registered head, codec, metric and backbone keeps the laws of its kind."""

from __future__ import annotations

from rsground.testing import conformance_classes

EXCLUDED = {
    "backbone replay": "has no answers of its own: it needs a file of them, and its own tests write one",
    "backbone transformers": "has no weights of its own: it needs a folder of them, and its own tests build some",
    "segmenter sam2": "has no weights of its own: its plugin's tests run the laws on small ones",
    "segmenter weighted-scales": "stands on another segmenter's weights: its plugin's tests run the laws on small ones",
}
"""``"kind name"`` → why it cannot keep a law; empty is best."""

globals().update(conformance_classes(exclude=frozenset(EXCLUDED)))
