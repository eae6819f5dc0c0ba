"""The registry: finds plugins, checks what they offer, resolves names to classes.

A plugin that does not import, offers no spec, clashes or targets another hook API is kept with its reason (see
:attr:`Registry.broken`) and the rest works.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from rsground import hookspecs
from rsground.environments import Environment, read_environments
from rsground.errors import DuplicateNameError, InstallError, PluginError, UnknownNameError
from rsground.specs import (
    HOOK_API,
    BackboneSpec,
    CodecSpec,
    CommandSpec,
    DatasetSpec,
    ExecutorSpec,
    HeadSpec,
    MetricSpec,
    PreprocessorSpec,
    SegmenterSpec,
    SuiteSpec,
    SystemSpec,
)

GROUP = "rsground"
"""Entry-point group that plugins register in."""

KINDS: Mapping[str, tuple[str, type[Any]]] = {
    "head": ("rsground_heads", HeadSpec),
    "preprocessor": ("rsground_preprocessors", PreprocessorSpec),
    "backbone": ("rsground_backbones", BackboneSpec),
    "segmenter": ("rsground_segmenters", SegmenterSpec),
    "codec": ("rsground_codecs", CodecSpec),
    "dataset": ("rsground_datasets", DatasetSpec),
    "metric": ("rsground_metrics", MetricSpec),
    "executor": ("rsground_executors", ExecutorSpec),
    "system": ("rsground_checkpoints", SystemSpec),
    "suite": ("rsground_suites", SuiteSpec),
    "command": ("rsground_commands", CommandSpec),
}
"""Kind → (hook that offers it, spec class)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A spec and who offers it.

    Attributes:
        spec: the record.
        plugin: entry-point name of the plugin.
        distribution: the installed distribution with its version, ``"rsground 0.1.0"``.
        environment: name of the isolated environment it lives in, None for a part of this interpreter.
        away: modules it requires that are not installed there.
    """

    spec: Any
    plugin: str
    distribution: str
    environment: str | None = None
    away: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Modules the spec requires that are not installed where it runs."""
        if self.environment is not None:
            return self.away
        required = getattr(self.spec, "requires", ())
        return tuple(name for name in required if importlib.util.find_spec(name.split(".")[0]) is None)


class Registry:
    """Everything that is registered. Plugins load at construction, specs are asked for once.

    Args:
        points: entry points to load; by default those installed, in the group ``rsground``.
        disabled: plugin names to leave out; by default those in ``RSGROUND_DISABLE`` (comma separated). ``@NAME``
            leaves out an isolated environment.
        environments: isolated environments; by default those of this user, and none where ``points`` are given.
    """

    def __init__(
        self,
        points: Iterable[EntryPoint] | None = None,
        disabled: Iterable[str] | None = None,
        environments: Iterable[Environment] | None = None,
    ) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self.broken: dict[str, str] = {}
        """Plugin name → why it is not in use."""
        self.disabled: frozenset[str] = frozenset(_disabled_by_environment() if disabled is None else disabled)
        """Plugins left out on request."""
        self.distributions: dict[str, str] = {}
        """Plugin name → distribution that brings it."""
        self._offers: dict[str, dict[str, Offer]] = {kind: {} for kind in KINDS}
        self._clashes: dict[tuple[str, str], DuplicateNameError] = {}
        self._unlisted: dict[tuple[str, str], Offer] = {}
        found = entry_points(group=GROUP) if points is None else points
        for point in sorted(found, key=lambda point: point.name):
            self.distributions[point.name] = _distribution(point)
            if point.name in self.disabled:
                continue
            try:
                self._add(point)
            except Exception as error:  # a plugin may fail in any way; listings and doctor tell which and why
                self.broken[point.name] = f"{type(error).__name__}: {error}"
        if environments is None:
            environments = read_environments() if points is None else ()
        for environment in environments:
            if f"@{environment.name}" not in self.disabled:
                self._add_environment(environment)

    def _add_environment(self, environment: Environment) -> None:
        home = environment.name
        try:
            offers = [] if environment.trouble else environment.offers()
        except InstallError as error:
            offers, trouble = [], str(error)
        else:
            trouble = environment.trouble
        if trouble:
            self.broken[f"@{home}"] = trouble
        for each in offers:
            offer = Offer(each.spec, f"{each.plugin}@{home}", f"{each.distribution} @{home}", home, each.missing)
            if each.is_core:
                self._unlisted[each.spec.kind, each.spec.name] = offer
            elif offer.plugin not in self.disabled:
                self._offer(offer)
                self.distributions[offer.plugin] = offer.distribution

    def _add(self, point: EntryPoint) -> None:
        if point.name in {name for name, plugin in self._manager.list_name_plugin() if plugin is not None}:
            raise PluginError(f"two distributions register the entry point {point.name!r}; uninstall one")
        plugin = point.load()
        self._manager.register(plugin, point.name)
        try:
            self._manager.check_pending()
            offers = [offer for kind in KINDS for offer in self._ask(point.name, plugin, kind)]
        except Exception:
            self._manager.unregister(plugin)
            raise
        for offer in offers:
            self._offer(offer)

    def _ask(self, name: str, plugin: Any, kind: str) -> list[Offer]:
        hook, spec_class = KINDS[kind]
        callers = self._manager.subset_hook_caller(
            hook, [other for _, other in self._manager.list_name_plugin() if other is not plugin]
        )
        offers = []
        for spec in (spec for answer in callers() for spec in answer):
            if not isinstance(spec, spec_class):
                raise PluginError(f"{hook} must answer {spec_class.__name__} records, got {type(spec).__name__}")
            if "@" in spec.name:
                raise PluginError(f"{kind} {spec.name!r}: '@' is for names of isolated environments")
            if spec.api != HOOK_API:
                raise PluginError(
                    f"{kind} {spec.name!r} was written for hook API {spec.api}, this rsground has {HOOK_API}; "
                    f"install a matching version of {self.distributions[name]}"
                )
            offers.append(Offer(spec, name, self.distributions[name]))
        return offers

    def _offer(self, offer: Offer) -> None:
        kind, name = offer.spec.kind, offer.spec.name
        first = self._offers[kind].get(name)
        if first is None:
            self._offers[kind][name] = offer
            return
        clash = DuplicateNameError(kind, name, _who(first), _who(offer))
        self._clashes[kind, name] = clash
        self.broken[f"{offer.plugin} ({kind} {name})"] = str(clash)

    def offers(self, kind: str) -> dict[str, Offer]:
        """All offers of a kind, by name in alphabetical order; clashing names are left out."""
        if kind not in KINDS:
            raise UnknownNameError("kind", kind, KINDS)
        return {name: offer for name, offer in sorted(self._offers[kind].items()) if (kind, name) not in self._clashes}

    def find(self, kind: str, name: str) -> Any:
        """The spec of that kind and name.

        Raises:
            UnknownNameError, DuplicateNameError: as :meth:`offer`.
        """
        return self.offer(kind, name).spec

    def offer(self, kind: str, name: str) -> Offer:
        """The offer of that kind and name. The core's parts in isolated environments are found, though not listed.

        Raises:
            UnknownNameError: nobody offers it; the message has the nearest name and any broken plugin.
            DuplicateNameError: two plugins offer it.
        """
        if (kind, name) in self._clashes:
            raise self._clashes[kind, name]
        if (kind, name) in self._unlisted:
            return self._unlisted[kind, name]
        offers = self.offers(kind)
        if name not in offers:
            reasons = dict.fromkeys(sorted(self.disabled), "switched off by RSGROUND_DISABLE") | self.broken
            note = "; ".join(f"plugin {plugin!r} is not in use: {why}" for plugin, why in reasons.items())
            raise UnknownNameError(kind, name, offers, note)
        return offers[name]

    def load(self, kind: str, name: str, /, **options: Any) -> Any:
        """The thing itself: the spec's target, imported and called with its options and yours.

        Raises:
            UnknownNameError, DuplicateNameError: as :meth:`find`.
            PluginError: the target does not import, or does not take these options.
        """
        spec = self.find(kind, name)
        return construct(spec, **options)


def target_of(spec: Any) -> Any:
    """The class or function a spec names, imported.

    Raises:
        PluginError: module or attribute is not there; names the spec and what it needs.
    """
    module, _, attribute = spec.target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        needs = f" It needs {', '.join(spec.requires)}." if spec.requires else ""
        raise PluginError(
            f"{spec.kind} {spec.name!r} cannot be loaded from {spec.target!r}: {error}.{needs}"
        ) from error


def construct(spec: Any, /, *args: Any, **options: Any) -> Any:
    """Call a spec's target with its own options, overridden by ``options``."""
    target = target_of(spec)
    try:
        return target(*args, **{**spec.options, **options})
    except TypeError as error:
        raise PluginError(f"{spec.kind} {spec.name!r} does not take these options: {error}") from error


@cache
def registry() -> Registry:
    """The registry of this process, built at the first call."""
    return Registry()


def load(kind: str, name: str, /, **options: Any) -> Any:
    """Load a registered thing by kind and name: ``load("codec", "text-mask", resolution=16)``."""
    return registry().load(kind, name, **options)


def load_dataset(name: str, root: str | os.PathLike[str] | None = None, split: str = "test", **options: Any) -> Any:
    """Open a registered data set: ``load_dataset("rrsis-d", "/data/rrsisd", "val")``."""
    return construct(registry().find("dataset", name), root, split, **options)


def _disabled_by_environment() -> list[str]:
    return [name.strip() for name in os.environ.get("RSGROUND_DISABLE", "").split(",") if name.strip()]


def _distribution(point: EntryPoint) -> str:
    dist = point.dist
    return f"{dist.name} {dist.version}" if dist is not None else point.value


def _who(offer: Offer) -> str:
    return f"{offer.distribution} (plugin {offer.plugin!r})"
