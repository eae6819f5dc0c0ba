"""What CI runs, one session each; `nox` runs them all, `nox -s tests` one."""

from __future__ import annotations

from pathlib import Path

import nox

PLUGINS = sorted(path.name for path in Path("plugins").iterdir() if (path / "setup.cfg").is_file())

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests", "docs"]


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite over the core and every first-party plugin, installed as a user would."""
    session.install("-r", "plugins/all.txt", ".[test,train,ap,captions,geo,tokens]")
    session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize("name", PLUGINS, ids=PLUGINS)
def plugin(session: nox.Session, name: str) -> None:
    """One plugin beside the core and no other, so none leans on a neighbour."""
    session.install(".[test]", f"./plugins/{name}")
    session.run("pytest", "-c", "setup.cfg", f"plugins/{name}", *session.posargs)


@nox.session
def minimums(session: nox.Session) -> None:
    """The oldest supported versions: numpy 1.26 must do, because old plugin environments need it."""
    session.install("-r", "plugins/all.txt", ".[test]", "numpy==1.26.*", "opencv-python-headless<4.12")
    session.run("pytest", "-m", "not slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and the layers."""
    session.install(".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--config", "setup.cfg")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict over core and plugins."""
    session.install("-r", "plugins/all.txt", ".[lint,test,train]")
    session.run("mypy", "rsground")
    for name in PLUGINS:
        session.run("mypy", f"plugins/{name}/src")


@nox.session
def docs(session: nox.Session) -> None:
    """The site; a broken link or an undocumented name is an error."""
    session.install("-r", "plugins/all.txt", ".[docs,train]")
    session.run("mkdocs", "build", "--strict")


@nox.session
def performance(session: nox.Session) -> None:
    """Every timing in benchmarks/performance, as ratios."""
    session.install("-r", "plugins/all.txt", ".[test]")
    for script in sorted(Path("benchmarks/performance").glob("*.py")):
        session.run("python", str(script))
