"""Environments are made whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from rsground.cli import main
from rsground.environments import environments_root, find_environment, read_environments
from rsground.errors import InstallError, UnknownNameError
from rsground.isolation import install
from rsground.isolation.core import wheel_of
from rsground.registry import registry


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for environments."""
    monkeypatch.setenv("RSGROUND_ENVS", str(tmp_path / "envs"))
    return tmp_path / "envs"


@pytest.mark.parametrize("error", [InstallError("no such distribution"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", [1, 2])
def test_nothing_half_made_is_left_behind(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, step: int
) -> None:
    steps: list[str] = []

    def run(command: list[str], what: str, say: Callable[[str], None]) -> None:
        steps.append(what)
        (root / "new" / f"step{len(steps)}").touch()
        if len(steps) == step:
            raise error

    monkeypatch.setattr(install, "_run", run)
    with pytest.raises(type(error)):
        install.install("rsground-x", "new")
    assert len(steps) == step
    assert list(root.iterdir()) == []


def test_a_step_that_fails_is_told_with_its_last_lines(root: Path) -> None:
    script = "import sys; print('first'); print('no such distribution'); sys.exit(3)"
    heard: list[str] = []
    with pytest.raises(
        InstallError, match=r"thing cannot be installed .* ended with 3.*\n.*first\n.*no such distribut"
    ):
        install._run([sys.executable, "-c", script], "thing", heard.append)
    assert heard == ["first", "no such distribution"]
    with pytest.raises(InstallError, match="cannot be run"):
        install._run([str(root / "nothing")], "thing", heard.append)


def test_refuses_what_cannot_be(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InstallError, match=r"'Bad Name' cannot name an environment"):
        install.install("x", "Bad Name")
    with pytest.raises(InstallError, match=r"'\.\./up' cannot name an environment"):
        install.remove("../up")
    with pytest.raises(InstallError, match=r"constraint file .*nowhere\.txt is not there"):
        install.install("x", "new", constraint=str(root / "nowhere.txt"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InstallError, match=r"there is no interpreter '9\.9'"):
        install.install("x", "new", python="9.9")
    assert not root.exists() or list(root.iterdir()) == []
    monkeypatch.setenv("RSGROUND_ENVS", "")
    with pytest.raises(InstallError, match="RSGROUND_ENVS is set to nothing"):
        install.install("x", "new")
    assert list(read_environments()) == []


def test_a_half_made_environment_is_told_and_can_be_removed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "half" / "venv").mkdir(parents=True)
    registry.cache_clear()
    try:
        assert "half made; 'rsground plugins remove half'" in registry().broken["@half"]
        assert main(["plugins", "list", "--json"]) == 0
        rows = {row["plugin"]: row["state"] for row in json.loads(capsys.readouterr().out)}
        assert "half made" in rows["@half"]
        with pytest.raises(InstallError, match="exists; 'rsground plugins remove half'"):
            install.install("x", "half")
        assert main(["plugins", "remove", "half"]) == 0
        assert list(root.iterdir()) == []
        with pytest.raises(UnknownNameError, match="no environment named 'half'"):
            install.remove("half")
        with pytest.raises(UnknownNameError, match="plugins install DIST --env NAME"):
            find_environment("half")
    finally:
        registry.cache_clear()


@pytest.mark.parametrize(
    ("record", "trouble"),
    [("{", "cannot be read"), ("[]", "cannot be read"), ('{"format": 0}', "has format 0, this rsground reads 1")],
)
def test_a_record_that_cannot_be_used_breaks_nothing_else(root: Path, record: str, trouble: str) -> None:
    (root / "odd").mkdir(parents=True)
    (root / "odd" / "environment.json").write_text(record, "utf-8")
    registry.cache_clear()
    try:
        assert trouble in registry().broken["@odd"]
        assert "codec" in registry().offers("head")
    finally:
        registry.cache_clear()


def test_environments_lie_in_the_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RSGROUND_ENVS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert environments_root() == tmp_path / "rsground" / "environments"


FILES = {
    "lib/python/boxy/__init__.py": "ANSWER = 42\n",
    "lib/python/boxy/words.txt": "größer\n",
    "share/boxy/suite.toml": "seeds = [0]\n",
    "bin/boxy": "#!/where/it/was/installed/python\n",
    "lib/python/box_y-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: box-y\nVersion: 1.5\n",
    "lib/python/box_y-1.5.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "lib/python/box_y-1.5.dist-info/entry_points.txt": "[console_scripts]\nboxy = boxy:ANSWER\n",
    "lib/python/box_y-1.5.dist-info/INSTALLER": "pip\n",
    "lib/python/boxy/__pycache__/__init__.cpython-311.pyc": "stale",
}


def test_what_is_installed_can_be_installed_again(tmp_path: Path) -> None:
    """The core's way into an environment where there is no checkout, on a distribution of nine files."""
    packages = tmp_path / "lib" / "python"
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    record = packages / "box_y-1.5.dist-info" / "RECORD"
    names = [name.removeprefix("lib/python/") if name.startswith("lib") else f"../../{name}" for name in FILES]
    record.write_text("".join(f"{name},,\n" for name in names), "utf-8")
    wheel = wheel_of(metadata.Distribution.at(record.parent), tmp_path)
    assert wheel.name == "box_y-1.5-py3-none-any.whl"
    there = tmp_path / "there"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "--prefix", str(there), str(wheel)], check=True, cwd=tmp_path)
    (found,) = there.rglob("box_y-1.5.dist-info")
    for name in ("boxy/__init__.py", "boxy/words.txt", "box_y-1.5.dist-info/entry_points.txt"):
        assert (found.parent / name).read_text("utf-8") == FILES[f"lib/python/{name}"]
    assert (there / "share" / "boxy" / "suite.toml").read_text("utf-8") == FILES["share/boxy/suite.toml"]
    assert "/where/it/was" not in (there / "bin" / "boxy").read_text("utf-8")
    assert not list(there.rglob("*.pyc"))
    assert metadata.Distribution.at(found).version == "1.5"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_new_plugin_is_installed_listed_run_and_removed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way, with pip, as a user goes it. Skips where pip has nothing to install from."""
    plugin = tmp_path / "rsground-boxy"
    assert main(["plugins", "new", "rsground-boxy", "--out", str(plugin)]) == 0
    asked = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(tmp_path / "got"), "pluggy"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("no package index at hand")
    registry.cache_clear()
    try:
        assert main(["plugins", "install", str(plugin), "--env", "boxes", "--deadline", "60"]) == 0
        assert 'head = "boxy@boxes"' in capsys.readouterr().out
        registry.cache_clear()
        assert registry().offers("head")["boxy@boxes"].distribution == "rsground-boxy 0.1.0 @boxes"
        suite = tmp_path / "boxes.toml"
        suite.write_text(
            'metrics = ["rec-hbb"]\ndataset = { name = "scenes", limit = 4, tasks = ["hbb"] }\n'
            'entry = [ { label = "boxy", head = "boxy@boxes" } ]\n'
        )
        words = ["bench", str(suite), "--out", str(tmp_path / "run"), "--quiet", "--no-report", "--json"]
        assert main([*words, "--workers", "0"]) == 0
        (scores,) = json.loads(capsys.readouterr().out)["scores"]
        assert scores["scores"]["Acc@0.5"]["value"] == 1.0
        assert scores["failed"] == 0
        assert main(["plugins", "remove", "boxes"]) == 0
        assert list(root.iterdir()) == []
    finally:
        registry.cache_clear()
