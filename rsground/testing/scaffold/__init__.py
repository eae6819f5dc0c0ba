"""``rsground plugins new``: a head plugin that works, has tests, and says where to go on."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from rsground import __version__
from rsground.errors import RsgroundError

_FILES = {
    "setup.cfg.tmpl": "setup.cfg",
    "pyproject.toml.tmpl": "pyproject.toml",
    "README.md.tmpl": "README.md",
    "init.py.tmpl": "src/{package}/__init__.py",
    "head.py.tmpl": "src/{package}/head.py",
    "test_head.py.tmpl": "tests/test_{package}.py",
}
"""Template beside this file → path in the new plugin."""


class ScaffoldError(RsgroundError, ValueError):
    """The name cannot be a distribution's, or the folder is taken."""


def write_plugin(name: str, out: str | Path | None = None) -> Path:
    """Write a plugin named ``name`` and return its folder.

    Raises:
        ScaffoldError: the name is no distribution name, or the folder exists and is not empty.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ScaffoldError(f"{name!r} cannot name a plugin: use lower case words joined by '-', like rsground-myhead")
    folder = Path(out if out is not None else name)
    if folder.exists() and any(folder.iterdir()):
        raise ScaffoldError(f"{folder} exists and is not empty; choose another --out")
    short = name.removeprefix("rsground-")
    words = {
        "name": name,
        "head": short,
        "package": name.replace("-", "_"),
        "plugin": short,
        "title": "".join(word.capitalize() for word in short.split("-")),
        "version": __version__,
    }
    for template, target in _FILES.items():
        path = folder / target.format(package=words["package"])
        path.parent.mkdir(parents=True, exist_ok=True)
        text = files(__package__).joinpath(template).read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    return folder
