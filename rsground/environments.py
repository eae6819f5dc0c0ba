"""Isolated environments as they lie on disk: which there are, and what the plugins in them offer.

An environment is a folder with a virtual environment and ``environment.json``, which was written when the plugin was
installed: listing starts no process and imports nothing of the plugin. Making, changing and using environments is the
work of :mod:`rsground.isolation`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsground import __version__
from rsground.errors import InstallError, UnknownNameError
from rsground.specs import BackboneSpec, CodecSpec, HeadSpec, PreprocessorSpec, SegmenterSpec, Spec, SystemSpec

RECORD = "environment.json"
FORMAT = 1
"""Of the record; one of another format is made anew by ``rsground plugins refresh``."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SPECS: Mapping[str, type[Spec]] = {
    "head": HeadSpec,
    "preprocessor": PreprocessorSpec,
    "backbone": BackboneSpec,
    "segmenter": SegmenterSpec,
    "codec": CodecSpec,
}
STAND_IN = "rsground.isolation.stand_in:StandIn"
"""Target of every spec whose real target is in another interpreter."""


@dataclass(frozen=True, slots=True)
class AwayOffer:
    """A part, or a system, that an environment offers.

    Attributes:
        spec: named ``part@environment``; a part's target stands in for the real one, a system's parts are named so too.
        plugin, distribution: that bring it, there.
        missing: modules that it needs and the environment lacks.
        parameters: names of the options it takes; None where it takes any, or nobody knows.
    """

    spec: Spec | SystemSpec
    plugin: str
    distribution: str
    missing: tuple[str, ...]
    parameters: tuple[str, ...] | None

    @property
    def is_core(self) -> bool:
        """Whether it ships in the core, so that it is found but not listed."""
        return self.distribution.partition(" ")[0] == "rsground"


@dataclass(frozen=True, slots=True)
class Environment:
    """An isolated environment.

    Attributes:
        name: what stands behind the ``@``.
        folder: that holds it.
        record: what was written when it was made; empty where that cannot be read.
        trouble: why it cannot be used; empty where it can.
    """

    name: str
    folder: Path
    record: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return python_of(self.folder)

    @property
    def logs(self) -> Path:
        """Folder for what its workers write to standard error."""
        return self.folder / "logs"

    def offers(self) -> list[AwayOffer]:
        """Systems, and everything that can be part of one there, the core's own parts included.

        Raises:
            InstallError: the record does not hold what it must.
        """
        try:
            parts = [self._offer(row) for row in self.record.get("offers", ())]
            return parts + [self._system(row) for row in self.record.get("systems", ())]
        except (LookupError, TypeError, ValueError) as error:
            raise InstallError(f"{self.folder / RECORD} cannot be used: {error!r}; {_refresh(self.name)}") from error

    def _offer(self, row: Mapping[str, Any]) -> AwayOffer:
        spec = _SPECS[row["kind"]](
            name=self._away(row["name"]),
            target=STAND_IN,
            summary=row["summary"],
            tasks=tuple(row["tasks"]),
            options={"environment": self.name, "kind": row["kind"], "part": row["name"], "code": row["code"]},
        )
        known = row["parameters"]
        missing = tuple(row["missing"])
        return AwayOffer(spec, row["plugin"], row["distribution"], missing, None if known is None else tuple(known))

    def _system(self, row: Mapping[str, Any]) -> AwayOffer:
        spec = SystemSpec(
            name=self._away(row["name"]),
            summary=row["summary"],
            head=self._away(row["head"]),
            head_options=row["head_options"],
            backbone=self._away(row["backbone"]),
            backbone_options=row["backbone_options"],
            preprocessors=tuple((self._away(name), options) for name, options in row["preprocessors"]),
            segmenter=None if row["segmenter"] is None else self._away(row["segmenter"]),
            segmenter_options=row["segmenter_options"],
            checkpoint=row["checkpoint"],
        )
        return AwayOffer(spec, row["plugin"], row["distribution"], (), None)

    def _away(self, name: str) -> str:
        return f"{name}@{self.name}"


def environments_root() -> Path | None:
    """Folder of all environments: ``RSGROUND_ENVS``, else one for this user; None where that variable is empty."""
    given = os.environ.get("RSGROUND_ENVS")
    if given is not None:
        return Path(given).expanduser() if given else None
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "rsground" / "environments"


def read_environments() -> Iterator[Environment]:
    """All environments, by name. One that cannot be used comes with its trouble."""
    root = environments_root()
    try:
        names = sorted(os.listdir(root)) if root is not None else []
    except OSError:
        return
    for name in names:
        assert root is not None
        if _NAME.fullmatch(name) and (root / name).is_dir():
            yield read_environment(name)


def find_environment(name: str) -> Environment:
    """The environment of that name.

    Raises:
        UnknownNameError: there is none.
        InstallError: it cannot be used; the message says why.
    """
    known = {each.name: each for each in read_environments()}
    if name not in known:
        raise UnknownNameError("environment", name, known, "'rsground plugins install DIST --env NAME' makes one.")
    if known[name].trouble:
        raise InstallError(f"environment {name!r} cannot be used: {known[name].trouble}")
    return known[name]


def read_environment(name: str) -> Environment:
    """The environment of that name as it lies on disk, whatever state it is in.

    Raises:
        InstallError: the name cannot be an environment's, or environments are switched off.
    """
    folder = folder_of(name)
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        if not isinstance(record, dict):
            raise ValueError("no JSON object")
    except FileNotFoundError:
        return Environment(name, folder, {}, f"it is half made; 'rsground plugins remove {name}' clears it away")
    except (OSError, ValueError) as error:
        return Environment(name, folder, {}, f"{RECORD} cannot be read ({error}); {_refresh(name)}")
    return Environment(name, folder, record, _trouble(name, folder, record))


def folder_of(name: str) -> Path:
    """Where the environment of that name lies, or would.

    Raises:
        InstallError: the name cannot be an environment's, or environments are switched off.
    """
    if not _NAME.fullmatch(name):
        raise InstallError(f"{name!r} cannot name an environment: use lower case letters, digits and . _ -")
    root = environments_root()
    if root is None:
        raise InstallError("there are no environments here: RSGROUND_ENVS is set to nothing")
    return root / name


def python_of(folder: Path) -> Path:
    """The interpreter of an environment's folder."""
    inside = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return folder.joinpath("venv", *inside)


def stamp(packages: str | Path) -> int | None:
    """When the set of packages in a site-packages folder changed last, nanoseconds; None where it is not there."""
    try:
        return os.stat(packages).st_mtime_ns
    except OSError:
        return None


def _trouble(name: str, folder: Path, record: Mapping[str, Any]) -> str:
    if record.get("format") != FORMAT:
        return f"its record has format {record.get('format')!r}, this rsground reads {FORMAT}; {_refresh(name)}"
    if not python_of(folder).exists():
        return f"its interpreter {python_of(folder)} is gone; remove it and install again"
    if record.get("core") != __version__:
        return (
            f"it holds rsground {record.get('core')}, this is {__version__}; remove it and install "
            f"{record.get('requirement')!r} again"
        )
    if stamp(record.get("packages", "")) != record.get("stamp"):
        return f"its packages were changed since they were looked at; {_refresh(name)}"
    return ""


def _refresh(name: str) -> str:
    return f"'rsground plugins refresh {name}' looks again"
