"""Conformance of a whole plugin: found, light to list, and one conformance class per thing it offers."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from rsground.registry import KINDS, registry
from rsground.testing.codecs import CodecConformance
from rsground.testing.heads import HeadConformance
from rsground.testing.metrics import MetricConformance
from rsground.testing.parts import BackboneConformance, PreprocessorConformance, SegmenterConformance

_CLASSES: dict[str, tuple[type, str]] = {
    "head": (HeadConformance, "head_name"),
    "codec": (CodecConformance, "codec_name"),
    "metric": (MetricConformance, "metric_name"),
    "backbone": (BackboneConformance, "backbone_name"),
    "preprocessor": (PreprocessorConformance, "preprocessor_name"),
    "segmenter": (SegmenterConformance, "segmenter_name"),
}

HEAVY = ("numpy", "torch", "transformers", "PIL", "shapely", "pycocotools", "cv2", "jinja2")
"""Modules that listing a plugin must not import."""


class PluginConformance:
    """Subclass as ``TestMyPlugin`` and set ``plugin_name`` (the entry point) and ``plugin_module``."""

    plugin_name: str
    plugin_module: str

    def test_is_in_use(self) -> None:
        assert self.plugin_name in registry().distributions, f"plugin {self.plugin_name!r} is not installed"
        assert self.plugin_name not in registry().broken, registry().broken.get(self.plugin_name)

    def test_offers_something(self) -> None:
        assert any(offer.plugin == self.plugin_name for kind in KINDS for offer in registry().offers(kind).values())

    def test_listing_imports_nothing_heavy(self) -> None:
        code = f"import sys, {self.plugin_module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not done.stdout.strip(), f"importing {self.plugin_module} pulls {done.stdout.strip()}"

    def test_every_target_imports(self) -> None:
        from rsground.registry import target_of

        for kind in KINDS:
            for name, offer in registry().offers(kind).items():
                if offer.plugin == self.plugin_name and hasattr(offer.spec, "target"):
                    if offer.missing:
                        pytest.skip(f"{kind} {name} needs {', '.join(offer.missing)}")
                    target_of(offer.spec)


def conformance_classes(plugin: str | None = None, *, exclude: frozenset[str] = frozenset()) -> dict[str, type]:
    """Test classes, ``{"TestHeadGeoground": ...}``, for everything a plugin (or everyone) offers.

    Put them into a test module's globals. ``exclude`` names things as ``"kind name"``.
    """
    classes: dict[str, type] = {}
    for kind, (base, attribute) in _CLASSES.items():
        for name, offer in registry().offers(kind).items():
            if plugin not in (None, offer.plugin) or offer.missing or f"{kind} {name}" in exclude:
                continue
            title = "Test" + kind.capitalize() + "".join(part.capitalize() for part in re.split(r"\W+", name))
            classes[title] = type(title, (base,), {attribute: name, "__doc__": f"{kind} {name!r}"})
    return classes
