"""The plugin is found, light to list, and everything it names can be imported."""

from __future__ import annotations

from rsground.testing import PluginConformance


class TestPlugin(PluginConformance):
    plugin_name = "segtoken"
    plugin_module = "rsground_segtoken"
