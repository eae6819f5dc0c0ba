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
    session.install("-r", "plugins/all.txt", "./plugins/rsground-ray", ".[test,train,ap,captions,geo,tokens,fast]")
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


_MM = "plugins/rsground-mmrotate"
_MM_CONSTRAINTS = f"{_MM}/constraints.txt"


def _wheels(session: nox.Session) -> str:
    """Folder with wheels of what has none on an index; mmcv is built from its source against the torch it runs with."""
    folder = str(Path("wheelhouse").resolve())
    if not list(Path(folder).glob("mmcv-2.1.0-*.whl")):
        session.install("setuptools<70", "wheel", "ninja", "psutil", "-c", _MM_CONSTRAINTS)
        session.install("torch==2.1.2", "torchvision==0.16.2", "numpy<2", "-c", _MM_CONSTRAINTS)
        build = {"MMCV_WITH_OPS": "1", "FORCE_CUDA": "0", "MAX_JOBS": "2"}
        packages = ("mmcv==2.1.0", "mmrotate-dev==1.0.1")
        options = ("--no-build-isolation", "--no-deps", "--wheel-dir", folder)
        session.run("python", "-m", "pip", "wheel", *options, *packages, env=build)
    return folder


@nox.session(python="3.11", venv_backend="virtualenv")
def mmrotate_wheels(session: nox.Session) -> None:
    """Build mmcv and mmrotate-dev (about 7 minutes on two cores), for 'rsground plugins install' to find."""
    session.log(f"wheels in {_wheels(session)}: set PIP_FIND_LINKS to it")


@nox.session(python="3.11", venv_backend="virtualenv")
def mmrotate(session: nox.Session) -> None:
    """The tests of rsground-mmrotate where MMRotate is: detectors, training, and its own evaluation as the oracle."""
    wheels = _wheels(session)
    session.install("--find-links", wheels, "-c", _MM_CONSTRAINTS, ".[test]", f"./{_MM}[mm]")
    session.run("pytest", "-c", "setup.cfg", _MM, *session.posargs)


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
