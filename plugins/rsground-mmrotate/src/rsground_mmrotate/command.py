"""``rsground dota``: data in DOTA's layout, Task1 files of a detector, their mean average precision."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsground.types import Region
    from rsground_mmrotate.annotated import Annotated
    from rsground_mmrotate.detections import Detection

SUMMARY = "write data in DOTA's layout, detect into Task1 files, score them (mAP)"
EPILOG = """examples:
  rsground dota export --data scenes --split train --count 5000 --out scenes_train/
  rsground dota export --data nwpu-vhr10 --root VHR10/ --out vhr10_dota/ --header
  rsground dota detect --root scenes_val/ --checkpoint detector/ --out found/       (where MMRotate is installed)
  rsground dota score --root DOTA/ --split val --task1 found/ --mode area
  rsground dota perfect --split test --count 200 --out perfect.jsonl                (for the backbone replay)

exit status: 0 done, 1 an error, 2 a bad command line.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand each."""
    parser.set_defaults(fail=parser.error)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    out = actions.add_parser("export", help="write a data set in DOTA's layout")
    out.add_argument("--data", required=True, metavar="NAME", help="scenes, or a data set read from a folder")
    out.add_argument("--root", type=Path, help="folder of the data set")
    out.add_argument("--split", default="train")
    out.add_argument("--count", type=int, default=1000, help="scenes to draw (1000)")
    out.add_argument("--skip", type=int, default=0, help="scenes of the split to leave out first (0)")
    out.add_argument("--seed", type=int, default=0, help="of the scenes (0)")
    out.add_argument("--size", type=int, default=256, help="side of the scenes in pixels (256)")
    out.add_argument("--header", action="store_true", help="imagesource and gsd lines; MMRotate cannot read them")
    out.add_argument("--out", type=Path, required=True)
    find = actions.add_parser("detect", help="run a detector over a DOTA folder and write Task1 files")
    _dota(find)
    find.add_argument("--checkpoint", required=True, help="weights, or a detector's folder")
    find.add_argument("--config", help="MMRotate config, where the folder has none")
    find.add_argument("--device", default="auto")
    find.add_argument("--out", type=Path, required=True)
    score = actions.add_parser("score", help="mean average precision of Task1 files")
    _dota(score)
    score.add_argument("--task1", type=Path, required=True, help="folder of Task1_CATEGORY.txt files")
    score.add_argument("--iou", type=float, default=0.5, help="threshold (0.5)")
    score.add_argument("--mode", choices=("11points", "area"), default="11points", help="VOC 2007 or 2012 (11points)")
    score.add_argument("--difficult", action="store_true", help="count difficult objects, as MMRotate's configs do")
    score.add_argument("--mmrotate", action="store_true", help="show what MMRotate's own evaluation says beside it")
    ideal = actions.add_parser("perfect", help="what a detector without fault would write about scenes, for replay")
    ideal.add_argument("--split", default="test")
    ideal.add_argument("--count", type=int, default=1000, help="scenes (1000)")
    ideal.add_argument("--out", type=Path, required=True, help="JSON Lines file of {id, text}")


def run(args: argparse.Namespace) -> int:
    """Dispatch to the action."""
    return {"export": _export, "detect": _detect, "score": _score, "perfect": _perfect}[args.action](args)


def _dota(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, required=True, help="DOTA folder: images/ and labelTxt/")
    parser.add_argument("--split", default="all", help="all, train or val (all)")


def _export(args: argparse.Namespace) -> int:
    from rsground_mmrotate.annotated import annotated_samples, annotated_scenes
    from rsground_mmrotate.labels import export_dota

    if args.data == "scenes":
        images = annotated_scenes(args.split, args.count, skip=args.skip, seed=args.seed, size=args.size)
    else:
        images = annotated_samples(_dataset(args))
    told = export_dota(images, args.out, header=args.header)
    counts = ", ".join(f"{name} {number}" for name, number in sorted(told.objects.items()))
    _say(f"{told.images} images, {sum(told.objects.values())} objects ({counts}) in {args.out}")
    if told.left_out:
        _say(f"{told.left_out} regions without a category or a place were left out")
    return 0


def _detect(args: argparse.Namespace) -> int:
    from rsground.images import read_image
    from rsground_mmrotate.detector import Detector
    from rsground_mmrotate.task1 import write_task1

    detector = Detector(args.checkpoint, args.config, device=args.device)

    def found() -> Iterator[tuple[str, list[Detection]]]:
        for each in _images(args):
            (detections,) = detector.detect([read_image(each.image)])
            yield each.name, detections

    count = write_task1(args.out, found(), detector.classes)
    _say(f"{count} detections in {args.out}")
    return 0


def _score(args: argparse.Namespace) -> int:
    from rsground_mmrotate.average_precision import dota_map
    from rsground_mmrotate.task1 import read_task1

    found, classes = read_task1(args.task1)
    annotated: dict[str, tuple[Region, ...]] = {each.name: each.regions for each in _images(args)}
    score = dota_map(found, annotated, classes, iou=args.iou, mode=args.mode, ignore_difficult=not args.difficult)
    theirs = None
    if args.mmrotate:
        from rsground_mmrotate.labels import class_name
        from rsground_mmrotate.theirs import mmrotate_map, read_labels

        labels = {class_name(region.label) for regions in annotated.values() for region in regions if region.label}
        known = [*classes, *sorted(labels - set(classes))]
        told = read_labels(args.root, known, ignore_difficult=not args.difficult)
        theirs = mmrotate_map(found, told, classes, iou=args.iou, mode=args.mode)
    for name, each in sorted(score.classes.items()):
        if each.targets:
            beside = f" (MMRotate {theirs.classes[name].ap:.4f})" if theirs is not None else ""
            counts = f"{each.targets} objects, {each.detections} found, recall {each.recall:.3f}"
            _say(f"{name:24} AP {each.ap:.4f}{beside}  {counts}")
    beside = f" (MMRotate {theirs.mean:.4f})" if theirs is not None else ""
    _say(f"{'mean':24} AP {score.mean:.4f}{beside}  IoU {args.iou:g}, {args.mode}, {len(annotated)} images")
    return 0


def _perfect(args: argparse.Namespace) -> int:
    """A head that reads these answers scores what its rule can reach, whatever the detector."""
    import json

    from rsground.datasets.scenes.dataset import GROUNDING, SPLITS, ScenesDataset
    from rsground.datasets.scenes.plan import CATEGORIES
    from rsground_mmrotate.annotated import annotated_scenes
    from rsground_mmrotate.detections import Detection, write_detections

    data = ScenesDataset(split=args.split, tasks=GROUNDING, count=args.count)
    with args.out.open("w", encoding="utf-8") as stream:
        for place, each in enumerate(annotated_scenes(args.split, args.count)):
            found = [Detection(region.quad, region.label or "", 1.0) for region in each.regions if region.quad]
            text = write_detections(sorted(CATEGORIES), found)
            for sample in data.about(SPLITS[args.split][0] + place):
                stream.write(json.dumps({"id": sample.id, "text": text}) + "\n")
    _say(f"answers about {args.count} scenes in {args.out}")
    return 0


def _images(args: argparse.Namespace) -> Iterator[Annotated]:
    from rsground.datasets.dota import Dota
    from rsground_mmrotate.annotated import annotated_samples

    return annotated_samples(Dota(args.root, args.split, per="image"))


def _dataset(args: argparse.Namespace) -> Any:
    """The data set, with all objects of an image in one sample where its reader can do so."""
    import inspect

    from rsground.registry import construct, registry, target_of

    spec = registry().find("dataset", args.data)
    options = {"per": "image"} if "per" in inspect.signature(target_of(spec)).parameters else {}
    return construct(spec, root=args.root, split=args.split, **options)


def _say(text: str) -> None:
    print(text)  # noqa: T201
