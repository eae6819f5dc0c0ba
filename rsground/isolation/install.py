"""Make, look at again, and remove isolated environments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rsground import __version__
from rsground.environments import Environment, folder_of, python_of, read_environment, read_environments
from rsground.errors import InstallError, UnknownNameError
from rsground.isolation.core import core
from rsground.isolation.records import write_record

Say = Callable[[str], None]
_TAIL = 12


def install(
    requirement: str,
    name: str,
    *,
    python: str | None = None,
    constraint: str | None = None,
    limits: Mapping[str, Any] | None = None,
    say: Say = lambda line: None,
) -> Environment:
    """Make an environment with the core and a plugin.

    Args:
        requirement: what pip installs: a distribution, with version and extras as wanted, or a folder or wheel.
        name: of the environment.
        python: interpreter, or its version; by default the one that runs this.
        constraint: file of versions, as ``pip install --constraint`` takes it.
        limits: of its workers, fields of :class:`rsground.isolation.process.Limits`.
        say: is told what goes on, line by line.

    Raises:
        InstallError: the name is taken, a step failed, or what was installed is no plugin. Nothing is left behind,
            after an interruption neither.
    """
    folder = folder_of(name)
    if folder.exists():
        raise InstallError(f"environment {name!r} exists; 'rsground plugins remove {name}' removes it")
    wanted = str(Path(requirement).expanduser().resolve()) if _is_path(requirement) else requirement
    bounds = _constraint(constraint)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
        say("making the virtual environment")
        _run(_make_venv(folder, python), "a virtual environment", say)
        with core() as source:
            say(f"installing {requirement} and rsground {__version__}")
            _run([*_installer(folder), source, wanted, *bounds], requirement, say)
        say("asking what it offers")
        facts = {"requirement": requirement, "constraint": constraint, "limits": dict(limits or {})}
        record = write_record(folder, {**facts, "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})
        offers = [*record["offers"], *record["systems"]]
        if all(offer["distribution"].partition(" ")[0] == "rsground" for offer in offers):
            raise InstallError(
                f"{requirement} was installed, but offers no head, preprocessor, backbone, segmenter, codec or system: "
                "it has no entry point in the group 'rsground'"
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return read_environment(name)


def remove(name: str) -> None:
    """Remove an environment, whole or half made.

    Raises:
        UnknownNameError: there is none of that name.
        InstallError: it cannot be removed.
    """
    folder = _there(name)
    trash = folder.with_name(f".{name}.{os.getpid()}")  # no name of an environment: it is gone at once, or not at all
    try:
        folder.rename(trash)
        shutil.rmtree(trash)
    except OSError as error:
        raise InstallError(f"environment {name!r} cannot be removed: {error}") from error


def refresh(name: str) -> Environment:
    """Ask an environment again what it offers, after something was changed in it by hand.

    Raises:
        UnknownNameError: there is none of that name.
        InstallError: it does not answer.
    """
    folder = _there(name)
    known = ("requirement", "constraint", "limits", "made")
    before = read_environment(name).record
    write_record(folder, {key: before[key] for key in known if key in before})
    return read_environment(name)


def _there(name: str) -> Path:
    folder = folder_of(name)
    if not folder.is_dir():
        raise UnknownNameError("environment", name, [each.name for each in read_environments()])
    return folder


def _is_path(requirement: str) -> bool:
    return os.sep in requirement or requirement.startswith(".") or requirement.endswith(".whl")


def _constraint(file: str | None) -> list[str]:
    if file is None:
        return []
    if not Path(file).is_file():
        raise InstallError(f"constraint file {file} is not there")
    return ["--constraint", str(Path(file).resolve())]


def _make_venv(folder: Path, python: str | None) -> list[str]:
    uv = shutil.which("uv")
    place = str(folder / "venv")
    if uv is not None:
        return [uv, "venv", "--python", python or sys.executable, place]
    return [_interpreter(python), "-m", "venv", place]


def _interpreter(python: str | None) -> str:
    if python is None:
        return sys.executable
    for candidate in (python, f"python{python}"):
        if found := shutil.which(candidate):
            return found
    raise InstallError(f"there is no interpreter {python!r}; give a path or a version that is installed, such as 3.11")


def _installer(folder: Path) -> list[str]:
    uv = shutil.which("uv")
    python = str(python_of(folder))
    if uv is not None:
        return [uv, "pip", "install", "--python", python]
    return [python, "-m", "pip", "install", "--disable-pip-version-check"]


def _run(command: list[str], what: str, say: Say) -> None:
    tail: deque[str] = deque(maxlen=_TAIL)
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=tempfile.gettempdir(),  # a checkout must not be imported in place of what is installed
        ) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    tail.append(line.rstrip())
                    say(line.strip())
            except BaseException:
                process.kill()
                raise
    except OSError as error:
        raise InstallError(f"{command[0]} cannot be run: {error}") from error
    if process.returncode:
        told = "\n  ".join(["", *tail])
        raise InstallError(
            f"{what} cannot be installed ({Path(command[0]).name} ended with {process.returncode}):{told}"
        )
