"""An isolated environment made in a second, without a network: it sees the packages of this interpreter."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import rsground
from rsground.isolation.records import write_record

_NEEDED = ("numpy", "numpy.libs", "PIL", "pillow.libs", "pycocotools", "shapely", "shapely.libs", "pluggy")


def make(root: Path, name: str, plugin: Path, limits: dict[str, Any]) -> Path:
    """Make ``root/name`` with the core and a plugin of one module; its folder.

    Args:
        root: folder of environments.
        name: of the environment.
        plugin: a module with hooks.
        limits: of workers.
    """
    venv = root / name / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    for pattern in (*_NEEDED, "rsground-*.dist-info"):
        for found in Path(sysconfig.get_path("purelib")).glob(pattern):
            (packages / found.name).symlink_to(found)
    (packages / "core.pth").write_text(f"{Path(rsground.__file__).resolve().parents[1]}\n", "utf-8")
    (packages / plugin.name).write_bytes(plugin.read_bytes())
    info = packages / f"rsground_{plugin.stem}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: rsground-{plugin.stem}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rsground]\n{plugin.stem} = {plugin.stem}\n")
    write_record(root / name, {"requirement": str(plugin), "limits": limits})
    return root / name
