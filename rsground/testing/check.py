"""``rsground plugins check``: the conformance kit over one installed plugin, as a pytest run of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rsground.errors import MissingExtraError, UnknownNameError
from rsground.registry import Registry, registry

_MODULE = '''"""Conformance of {plugin!r}."""

from rsground.testing import PluginConformance, conformance_classes

globals().update(conformance_classes({plugin!r}))


class TestPlugin(PluginConformance):
    plugin_name = {plugin!r}
    plugin_module = {module!r}
'''


def check_plugin(name: str, *, verbose: bool = False) -> int:
    """Run the kit on a plugin (or ``"all"``); 0 when it keeps every law, 1 when it breaks one.

    Args:
        name: distribution (``"rsground-textmask"``) or entry-point name (``"textmask"``).
        verbose: name every law.

    Raises:
        UnknownNameError: no such plugin is installed.
        MissingExtraError: pytest or hypothesis is not installed.
    """
    try:
        import hypothesis  # noqa: F401
        import pytest
    except ImportError as error:
        raise MissingExtraError("'rsground plugins check'", "test", "pytest") from error
    plugins = sorted(registry().distributions) if name == "all" else [_entry_point(registry(), name)]
    with tempfile.TemporaryDirectory() as folder:
        for plugin in plugins:
            text = _MODULE.format(plugin=plugin, module=_module_of(plugin))
            Path(folder, f"test_{plugin.replace('-', '_')}.py").write_text(text, encoding="utf-8")
        Path(folder, "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        quiet = ["-v"] if verbose else ["-q"]
        options = [*quiet, "--import-mode=importlib", "-p", "no:cacheprovider", "--no-header", "--tb=short"]
        return int(pytest.main([folder, "-c", f"{folder}/pytest.ini", *options]) != 0)


def _entry_point(found: Registry, name: str) -> str:
    for plugin, distribution in found.distributions.items():
        if name in (plugin, distribution.split(" ")[0]):
            return plugin
    raise UnknownNameError("plugin", name, found.distributions)


def _module_of(plugin: str) -> str:
    from importlib.metadata import entry_points

    from rsground.registry import GROUP

    (point,) = entry_points(group=GROUP, name=plugin)
    return point.module
