"""Where suites are: a path, a plugin's resource, the checkout, or what the installation brought."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import rsground
from rsground.errors import SuiteError, UnknownNameError
from rsground.registry import registry


def find_suite(name: str) -> tuple[str, str]:
    """(text, where it was found) of a suite: a path to a TOML file, or a name.

    Raises:
        UnknownNameError: no suite has that name.
        SuiteError: the file is not there or is not UTF-8.
    """
    if name.endswith(".toml") or os.sep in name:
        return _read(Path(name), f"suite file {name!r} is not there"), name
    registered = registry().offers("suite")
    if name in registered:
        return _resource(registered[name].spec.resource)
    for folder in suite_folders():
        path = folder / f"{name}.toml"
        if path.is_file():
            return _read(path, f"suite file {path} is not there"), str(path)
    known = {path.stem for folder in suite_folders() for path in folder.glob("*.toml")}
    raise UnknownNameError("suite", name, known | set(registered), "A path to a .toml file works too.")


def suite_folders() -> Iterator[Path]:
    """Folders with the suites that came with rsground: the checkout's, else the installation's."""
    home = Path(rsground.__file__).resolve().parents[1]
    candidates = [home / "benchmarks" / "suites", home / "share" / "rsground" / "suites"]
    for scheme in (None, f"{os.name}_user"):
        base = sysconfig.get_path("data") if scheme is None else sysconfig.get_path("data", scheme)
        candidates.append(Path(base) / "share" / "rsground" / "suites")
    for folder in dict.fromkeys(candidates):
        if folder.is_dir():
            yield folder


def _resource(resource: str) -> tuple[str, str]:
    package, _, inside = resource.partition(":")
    if package == "rsground":  # our own suites are data files beside the package, not in it
        for folder in suite_folders():
            if (folder / inside).is_file():
                return _read(folder / inside, ""), str(folder / inside)
        raise SuiteError(f"suite {resource!r} did not come with this installation; reinstall rsground")
    try:
        return resources.files(package).joinpath(inside).read_text("utf-8"), resource
    except (OSError, ModuleNotFoundError, UnicodeDecodeError) as error:
        raise SuiteError(f"suite {resource!r} cannot be read: {error}") from error


def _read(path: Path, absent: str) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise SuiteError(f"{absent}; 'rsground list suites' shows the registered ones") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"suite file {path} cannot be read: {error}") from error
