"""What stands for a part of an environment knows the options of that part and of no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsground import __version__
from rsground.environments import FORMAT, RECORD, python_of, read_environments
from rsground.errors import UnknownNameError
from rsground.registry import construct


def row(kind: str, parameters: list[str] | None) -> dict[str, object]:
    rest = {"summary": "a twin", "tasks": [], "plugin": "twins", "distribution": "twins 1", "missing": []}
    return {"kind": kind, "name": "twin", "code": "x", "parameters": parameters, **rest}


def test_parts_of_two_kinds_may_share_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = python_of(tmp_path / "mm")
    python.parent.mkdir(parents=True)
    python.touch()
    offers = [row("head", ["threshold"]), row("backbone", ["checkpoint"]), row("codec", None)]
    record = {"format": FORMAT, "core": __version__, "offers": offers}
    (tmp_path / "mm" / RECORD).write_text(json.dumps(record), "utf-8")
    monkeypatch.setenv("RSGROUND_ENVS", str(tmp_path))
    (environment,) = read_environments()
    head, backbone, codec = (offer.spec for offer in environment.offers())
    assert construct(head, threshold=0.5).options == {"threshold": 0.5}
    assert construct(backbone, checkpoint="w.pth").options == {"checkpoint": "w.pth"}
    assert construct(codec, anything=1).options == {"anything": 1}
    with pytest.raises(UnknownNameError, match="option of head 'twin@mm' named 'checkpoint'"):
        construct(head, checkpoint="w.pth")
    with pytest.raises(UnknownNameError, match="option of backbone 'twin@mm' named 'threshold'"):
        construct(backbone, threshold=0.5)
