"""An isolated environment without a network: a bare virtual environment that sees this one's packages and a plugin."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import rsground
from rsground.isolation.records import write_record
from rsground.registry import registry

_NEEDED = ("numpy", "numpy.libs", "PIL", "pillow.libs", "pycocotools", "shapely", "shapely.libs", "pluggy")
_NEEDED += ("rsground-*.dist-info",)
"""What an installation of the core would have brought: of the packages here, and of no other plugin."""


@pytest.fixture(scope="session")
def environments_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the environment ``wild``, which holds the plugin of ``wild.py``."""
    root = tmp_path_factory.mktemp("environments")
    venv = root / "wild" / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    for name in _NEEDED:
        for found in Path(sysconfig.get_path("purelib")).glob(name):
            (packages / found.name).symlink_to(found)
    (packages / "core.pth").write_text(f"{Path(rsground.__file__).resolve().parents[1]}\n", "utf-8")
    (packages / "wild.py").write_bytes((Path(__file__).parent / "wild.py").read_bytes())
    (packages / "wild_weights" / "looker").mkdir(parents=True)
    (packages / "wild_weights" / "looker" / "width.txt").write_text("31", "utf-8")
    info = packages / "rsground_wild-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rsground-wild\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rsground]\nwild = wild\n")
    write_record(root / "wild", {"requirement": "rsground-wild", "limits": {"sample_s": 20.0}})
    return root


@pytest.fixture
def wild(environments_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The environment ``wild`` in use; its folder."""
    monkeypatch.setenv("RSGROUND_ENVS", str(environments_folder))
    registry.cache_clear()
    yield environments_folder / "wild"
    registry.cache_clear()


@pytest.fixture
def limits_of_wild(wild: Path) -> Iterator[dict[str, object]]:
    """Limits in the record of ``wild``; written back as they were."""
    file = wild / "environment.json"
    before = file.read_text("utf-8")
    record = json.loads(before)

    class Limits(dict[str, object]):
        def __setitem__(self, name: str, value: object) -> None:
            record["limits"][name] = value
            file.write_text(json.dumps(record), "utf-8")

    yield Limits()
    file.write_text(before, "utf-8")
