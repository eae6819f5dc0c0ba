"""The command line as a user meets it: exit status, streams, messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rsground.cli import COMMANDS, main


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert "examples:" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert f"rsground {command}" in shown
    assert "examples:" in shown


def test_an_unknown_command_gets_the_nearest_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["becnh"]) == 1
    assert "no command named 'becnh'. Did you mean 'bench'?" in capsys.readouterr().err


def test_errors_are_one_line_without_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "haeds"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("rsground: ")
    assert told.count("\n") == 1
    assert "Did you mean 'heads'?" in told


def test_list_as_json_is_json_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "metrics", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"name", "summary", "tasks", "plugin", "distribution", "missing"} == set(rows[0])


def test_list_shows_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "codecs"]) == 0
    from rsground.registry import registry

    bracketed = [o.spec.summary for o in registry().offers("codec").values() if "[" in o.spec.summary]
    assert bracketed, "this test needs a summary with brackets"
    shown = "".join(capsys.readouterr().out.split())
    assert all(summary.split("[", 1)[1][:4].strip() in shown for summary in bracketed)


def test_version() -> None:
    done = subprocess.run([sys.executable, "-m", "rsground", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("rsground 0.")


def test_doctor_finds_a_sane_installation(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    broken = [finding for finding in findings if finding["state"] == "broken" and finding["what"] != "scratch space"]
    assert not broken
    assert any(finding["what"] == "plugin builtin" for finding in findings)


def test_doctor_names_a_broken_plugin(tmp_path: Path) -> None:
    (tmp_path / "hurt.py").write_text("import not_there_at_all", encoding="utf-8")
    info = tmp_path / "rsground_hurt-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rsground-hurt\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[rsground]\nhurt = hurt\n", encoding="utf-8")
    code = "import sys; sys.path.insert(0, sys.argv.pop()); from rsground.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "plugin hurt" in done.stdout
    assert "not_there_at_all" in done.stdout


def test_plugins_list_names_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list", "--json"]) == 0
    rows = {row["plugin"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["textmask"]["distribution"].startswith("rsground-textmask ")
    assert rows["textmask"]["state"] == "ready"
