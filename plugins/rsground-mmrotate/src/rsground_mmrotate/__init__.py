"""Rotated detectors of MMRotate as specialist baselines, and DOTA in and out."""

from rsground import BackboneSpec, CommandSpec, HeadSpec, SystemSpec, hookimpl

_NEEDS = ("mmrotate", "mmdet", "mmcv", "mmengine", "torch")


@hookimpl
def rsground_heads() -> list[HeadSpec]:
    """Reads detections; needs no detector, so it is as good on ``oracle`` and ``replay``."""
    return [
        HeadSpec(
            name="mmrotate",
            target="rsground_mmrotate.head:MMRotateHead",
            summary="keeps the detections that the expression means, by a rule over categories and places",
            tasks=("hbb", "obb", "mask"),
        )
    ]


@hookimpl
def rsground_backbones() -> list[BackboneSpec]:
    """The detector."""
    return [
        BackboneSpec(
            name="mmrotate",
            target="rsground_mmrotate.backbone:MMRotateBackbone",
            summary="any MMRotate config and checkpoint; writes what it detects, for head mmrotate",
            requires=_NEEDS,
        )
    ]


@hookimpl
def rsground_checkpoints() -> list[SystemSpec]:
    """The detector that ships, for an interpreter that has MMRotate itself.

    A suite that finds it in an environment names the parts: head ``mmrotate@ENV`` and the backbone's checkpoint.
    """
    return [
        SystemSpec(
            name="tiny/mmrotate",
            summary="specialist: a small rotated FCOS trained on scenes, and the rule that picks from what it finds",
            head="mmrotate",
            head_options={"threshold": 0.2},
            backbone="mmrotate",
            checkpoint="rsground_mmrotate:trained/fcos_tiny",
        )
    ]


@hookimpl
def rsground_commands() -> list[CommandSpec]:
    """DOTA folders."""
    return [
        CommandSpec(
            name="dota",
            summary="write data in DOTA's layout, detect into Task1 files, score them (mAP)",
            module="rsground_mmrotate.command",
        )
    ]
