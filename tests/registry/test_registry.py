"""Discovery: broken, clashing and outdated plugins are named, and the rest works."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from rsground.errors import DuplicateNameError, PluginError, UnknownNameError
from rsground.registry import KINDS, Registry, construct, registry
from rsground.specs import CodecSpec, HeadSpec

GOOD = """
from rsground import HeadSpec, hookimpl

@hookimpl
def rsground_heads():
    return [HeadSpec(name="{head}", target="collections:OrderedDict", summary="a head for a test")]
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a module and get the entry point that names it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written: list[str] = []

    def write(name: str, source: str) -> EntryPoint:
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        written.append(name)
        return EntryPoint(name, name, "rsground")

    yield write
    for name in written:
        sys.modules.pop(name, None)


def test_finds_what_a_plugin_offers(plugin) -> None:
    found = Registry([plugin("good", GOOD.format(head="a-head"))], disabled=[])
    assert list(found.offers("head")) == ["a-head"]
    assert found.load("head", "a-head") == {}
    assert not found.broken


def test_a_plugin_that_does_not_import_is_named_and_the_rest_works(plugin) -> None:
    found = Registry([plugin("bad", "import not_there_at_all"), plugin("good", GOOD.format(head="h"))], disabled=[])
    assert list(found.offers("head")) == ["h"]
    assert "not_there_at_all" in found.broken["bad"]
    with pytest.raises(UnknownNameError, match=r"plugin 'bad' is not in use: ModuleNotFoundError"):
        found.find("head", "x")


def test_a_plugin_that_exits_in_its_hook_costs_only_itself(plugin) -> None:
    source = "from rsground import hookimpl\n@hookimpl\ndef rsground_heads():\n    raise RuntimeError('boom')\n"
    found = Registry([plugin("boom", source), plugin("good", GOOD.format(head="h"))], disabled=[])
    assert "boom" in found.broken["boom"]
    assert list(found.offers("head")) == ["h"]


def test_two_plugins_with_one_name_are_both_named(plugin) -> None:
    found = Registry([plugin("one", GOOD.format(head="h")), plugin("two", GOOD.format(head="h"))], disabled=[])
    assert not found.offers("head"), "an ambiguous name must not resolve to either"
    with pytest.raises(DuplicateNameError, match=r"named 'h'.*plugin 'one'.*plugin 'two'"):
        found.find("head", "h")
    assert any("head h" in name for name in found.broken)


def test_another_hook_api_is_refused_with_both_versions(plugin) -> None:
    source = GOOD.format(head="old").replace("summary=", "api=0, summary=")
    found = Registry([plugin("old", source)], disabled=[])
    assert "written for hook API 0, this rsground has 1" in found.broken["old"]
    assert not found.offers("head")


def test_a_misspelt_hook_is_an_error(plugin) -> None:
    source = "from rsground import hookimpl\n@hookimpl\ndef rsground_haeds():\n    return []\n"
    found = Registry([plugin("typo", source)], disabled=[])
    assert "rsground_haeds" in found.broken["typo"]


def test_something_that_is_no_spec_is_an_error(plugin) -> None:
    source = "from rsground import hookimpl\n@hookimpl\ndef rsground_heads():\n    return ['a-head']\n"
    found = Registry([plugin("strings", source)], disabled=[])
    assert "must answer HeadSpec records, got str" in found.broken["strings"]


def test_disabled_plugins_stay_out(plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSGROUND_DISABLE", "good, other")
    found = Registry([plugin("good", GOOD.format(head="h"))])
    assert not found.offers("head")
    assert not found.broken
    with pytest.raises(UnknownNameError, match="switched off by RSGROUND_DISABLE"):
        found.find("head", "h")


def test_an_unknown_name_gets_the_nearest_right_one() -> None:
    with pytest.raises(UnknownNameError, match=r"no codec named 'text-maks'\. Did you mean 'text-mask'\?"):
        registry().find("codec", "text-maks")


def test_wrong_options_name_the_thing(plugin) -> None:
    source = GOOD.format(head="h").replace("collections:OrderedDict", "fractions:Fraction")
    found = Registry([plugin("good", source)], disabled=[])
    with pytest.raises(PluginError, match=r"head 'h' does not take these options: .*wrong"):
        found.load("head", "h", wrong=1)


def test_a_target_that_is_not_there_says_what_it_needs() -> None:
    spec = HeadSpec(name="h", target="not_there:Head", summary="s", requires=("torch",))
    with pytest.raises(PluginError, match=r"cannot be loaded from 'not_there:Head'.*It needs torch"):
        construct(spec)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"name": "Has Blanks"}, "must be lower case"),
        ({"target": "no-colon"}, "must read"),
        ({"summary": "two\nlines"}, "one non-empty line"),
    ],
)
def test_a_spec_checks_itself(fields: dict[str, str], match: str) -> None:
    good = {"name": "n", "target": "m:C", "summary": "s"}
    with pytest.raises(ValueError, match=match):
        CodecSpec(**{**good, **fields})


def test_every_first_party_plugin_is_in_use() -> None:
    assert not registry().broken
    assert {"builtin", "textmask", "pointset"} <= set(registry().distributions)


def test_every_hook_has_a_kind() -> None:
    from rsground import hookspecs

    hooks = {name for name in vars(hookspecs) if name.startswith("rsground_")}
    assert hooks == {hook for hook, _ in KINDS.values()}
