"""Small systems that we trained ourselves, from one backbone with the same data and budget."""

import json
from importlib.resources import files

from rsground import SystemSpec, hookimpl


@hookimpl
def rsground_checkpoints() -> list[SystemSpec]:
    """``tiny/<head>``, one for each folder of weights."""
    folder = files(__name__) / "systems"
    if not folder.is_dir():
        return []
    found = sorted(place.name for place in folder.iterdir() if (place / "rsground.json").is_file())
    return [_system(name, (folder / name / "rsground.json").read_text(encoding="utf-8")) for name in found]


def _system(name: str, card: str) -> SystemSpec:
    said = json.loads(card)
    segmenter = said.get("segmenter")
    return SystemSpec(
        name=said["name"],
        summary=said["summary"],
        head=said["head"]["name"],
        head_options=said["head"]["options"],
        backbone=said["backbone"]["name"],
        backbone_options=said["backbone"]["options"],
        segmenter=None if segmenter is None else segmenter["name"],
        segmenter_options={} if segmenter is None else segmenter["options"],
        checkpoint=f"{__name__}:systems/{name}",
    )
