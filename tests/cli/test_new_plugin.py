"""A scaffolded plugin installs, is found, and keeps every law, without a change by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsground.cli import main


def test_writes_a_plugin_that_passes_its_own_tests_and_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "rsground-my-head"
    assert main(["plugins", "new", "rsground-my-head", "--out", str(folder)]) == 0
    assert "rsground plugins check rsground-my-head" in capsys.readouterr().out
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site)]
    if subprocess.run([*install, str(folder)], capture_output=True, check=False).returncode:
        _install_by_hand(folder, site)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    own = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    done = subprocess.run(own, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    check = [sys.executable, "-m", "rsground", "plugins", "check", "rsground-my-head"]
    done = subprocess.run(check, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


def test_check_tells_what_a_plugin_breaks(tmp_path: Path) -> None:
    folder = tmp_path / "rsground-lazy"
    assert main(["plugins", "new", "rsground-lazy", "--out", str(folder)]) == 0
    head = folder / "src" / "rsground_lazy" / "head.py"
    text = head.read_text(encoding="utf-8")
    head.write_text(text.replace("reading.regions", "reading.regions[:0]"), encoding="utf-8")
    site = tmp_path / "site"
    _install_by_hand(folder, site)
    check = [sys.executable, "-m", "rsground", "plugins", "check", "lazy"]
    done = subprocess.run(
        check, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(site)}, check=False
    )
    assert done.returncode == 1
    assert "the right answer lost every region" in done.stdout


def test_refuses_a_taken_folder_and_a_bad_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "here").write_text("mine")
    assert main(["plugins", "new", "rsground-x", "--out", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert main(["plugins", "new", "My Plugin"]) == 1
    assert "lower case words" in capsys.readouterr().err


def _install_by_hand(folder: Path, site: Path) -> None:
    """What pip leaves behind: the package and its entry point; for machines that cannot build."""
    import configparser
    import shutil

    config = configparser.ConfigParser()
    config.read(folder / "setup.cfg", encoding="utf-8")
    shutil.copytree(folder / "src", site, dirs_exist_ok=True)
    info = site / f"{config['metadata']['name'].replace('-', '_')}-0.1.0.dist-info"
    info.mkdir()
    name = config["metadata"]["name"]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n", encoding="utf-8")
    points = config["options.entry_points"]["rsground"].strip()
    (info / "entry_points.txt").write_text(f"[rsground]\n{points}\n", encoding="utf-8")
