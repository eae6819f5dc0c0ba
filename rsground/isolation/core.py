"""The core that runs, in a form that an environment can install: no index need have it."""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path, PurePosixPath

import rsground
from rsground import __version__

_SOURCE = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
_OF_THE_INSTALLATION = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


@contextmanager
def core() -> Iterator[str]:
    """What to install as the core, the very one that runs.

    Its source where that is a checkout; a wheel of its files where it is installed; its version, from an index, where
    the installation keeps no list of its files.
    """
    home = Path(rsground.__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory(prefix="rsground-core-") as place:
        if all((home / name).is_file() for name in _SOURCE):
            yield str(_source(home, Path(place)))
            return
        installed = _installed()
        yield f"rsground=={__version__}" if installed is None else str(wheel_of(installed, Path(place)))


def wheel_of(installed: metadata.Distribution, folder: Path) -> Path:
    """A wheel of an installed distribution, from the files that its installation lists.

    Scripts are left out: installers make them from the entry points.

    Args:
        installed: pure Python, with a list of its files.
        folder: where the wheel is written.
    """
    name = f"{installed.metadata['Name'].replace('-', '_')}-{installed.version}"
    wheel = folder / f"{name}-py3-none-any.whl"
    lines = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in installed.files or ():
            inside = _place(PurePosixPath(file.as_posix()), name)
            if inside is None:
                continue
            content = Path(str(file.locate())).read_bytes()
            archive.writestr(inside, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{inside},sha256={digest},{len(content)}\n")
        record = f"{name}.dist-info/RECORD"
        archive.writestr(record, "".join([*lines, f"{record},,\n"]))
    return wheel


def _place(file: PurePosixPath, name: str) -> str | None:
    """Where a file of an installation belongs in a wheel; None where it does not."""
    if file.suffix == ".pyc" or (file.parent.name == f"{name}.dist-info" and file.name in _OF_THE_INSTALLATION):
        return None
    if ".." not in file.parts:
        return str(file)
    outside = [part for part in file.parts if part != ".."]  # beside the packages' folder: scripts and data
    return "/".join([f"{name}.data", "data", *outside]) if outside[0] == "share" else None


def _installed() -> metadata.Distribution | None:
    """The distribution that the running core belongs to, where its files are known."""
    try:
        found = metadata.distribution("rsground")
    except metadata.PackageNotFoundError:
        return None
    here = Path(rsground.__file__).resolve()
    listed = any(Path(str(file.locate())).resolve() == here for file in found.files or () if file.name == here.name)
    return found if listed else None


def _source(home: Path, folder: Path) -> Path:
    """A copy of what building needs: building leaves files beside the source."""
    for name in _SOURCE:
        shutil.copy(home / name, folder)
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(home / "rsground", folder / "rsground", ignore=no_caches)
    shutil.copytree(home / "benchmarks" / "suites", folder / "benchmarks" / "suites", ignore=no_caches)
    return folder
