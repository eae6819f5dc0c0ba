"""Every published layout in miniature: three small images with the same three objects, written as each layout writes.

``CASES`` lists them; the readers' tests and ``benchmarks/fuzz_data_files.py`` build them in a temporary folder.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

WIDTH, HEIGHT = 40, 30
BOXES = ((4, 5, 14, 15), (20, 2, 36, 12), (10, 18, 30, 28))
"""x1, y1, x2, y2 of the three objects, half-open."""
LABELS = ("ship", "storage_tank", "ship")
PHRASES = ("the ship at the top left", "the storage tank", "the ship at the bottom")
STEMS = ("00001", "00002", "00003")


@dataclass(frozen=True)
class Case:
    """One layout.

    Attributes:
        name: registered data set.
        make: writes it below a folder.
        split: split that holds samples.
        samples: how many a reader must find.
        options: of the reader.
    """

    name: str
    make: Callable[[Path], None]
    split: str
    samples: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return "-".join([self.name, self.split, *(f"{value}" for value in self.options.values())]).replace("/", "_")


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """A small noisy image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def mask_of(box: tuple[int, int, int, int]) -> np.ndarray:
    """The filled box as a bool mask."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def label_png(path: Path, mask: np.ndarray, value: int = 255) -> None:
    """A mask as an 8-bit image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * value).save(path)


def rle_of(mask: np.ndarray) -> dict[str, Any]:
    """COCO's compressed form with text counts."""
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()}


def quad_of(box: tuple[int, int, int, int]) -> list[float]:
    """Corners, clockwise from the top left."""
    x1, y1, x2, y2 = box
    return [float(v) for v in (x1, y1, x2, y1, x2, y2, x1, y2)]


def write(path: Path, content: Any) -> None:
    """Text, bytes, or anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")


def jsonl(path: Path, records: list[Any]) -> None:
    """One JSON value a line."""
    write(path, "".join(f"{json.dumps(record)}\n" for record in records))


def coco_file(*, rle: bool, split: bool = False, ending: str = ".jpg") -> dict[str, Any]:
    """Three images with one object each."""
    images = [
        {
            "id": k,
            "file_name": f"{stem}{ending}",
            "width": WIDTH,
            "height": HEIGHT,
            **({"split": "test"} if split else {}),
        }
        for k, stem in enumerate(STEMS)
    ]
    annotations = []
    for k, box in enumerate(BOXES):
        x1, y1, x2, y2 = box
        segmentation: Any = [rle_of(mask_of(box))] if rle else [quad_of(box)]
        annotations.append(
            {
                "id": 10 + k,
                "image_id": k,
                "category_id": 1 + (LABELS[k] != "ship"),
                "segmentation": segmentation,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
        )
    categories = [{"id": 1, "name": "ship"}, {"id": 2, "name": "storage_tank"}]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def refs(count: int = 3) -> list[dict[str, Any]]:
    """REFER references; the first has two sentences."""
    rows = []
    for k in range(count):
        said = [PHRASES[k], f"{PHRASES[k]} again"] if k == 0 else [PHRASES[k]]
        sentences = [
            {"sent_id": 10 * k + j, "raw": text, "sent": text, "tokens": text.split()} for j, text in enumerate(said)
        ]
        rows.append(
            {
                "ref_id": k,
                "ann_id": 10 + k,
                "image_id": k,
                "category_id": 1,
                "split": "test",
                "sentences": sentences,
                "sent_ids": [s["sent_id"] for s in sentences],
                "file_name": f"{STEMS[k]}.jpg",
            }
        )
    return rows


def make_rrsisd(root: Path, folder: str = "rrsisd") -> None:
    write(root / folder / "instances.json", coco_file(rle=True))
    write(root / folder / "refs(unc).p", pickle.dumps(refs(), protocol=2))
    for k, stem in enumerate(STEMS):
        picture(root / "images/rrsisd/JPEGImages" / f"{stem}.jpg", k)


def make_rrssid(root: Path) -> None:
    make_rrsisd(root, "rrssid")


def make_grefs(root: Path) -> None:
    make_rrsisd(root)
    rows = refs()
    rows[1] |= {"ann_id": [-1], "no_target": True}
    rows[2] |= {"ann_id": [10, 12], "no_target": False}
    write(root / "rrsisd/grefs(unc).json", rows)


def make_phrases(root: Path, images: str, masks: str, ending: str) -> None:
    for k, stem in enumerate(STEMS):
        picture(root / images / f"{stem}{ending}", k)
        label_png(root / masks / f"{stem}{ending}", mask_of(BOXES[k]))
    shown = "" if ending == ".tif" else ending
    write(root / "output_phrase_test.txt", "".join(f"{s}{shown} {p}\n" for s, p in zip(STEMS, PHRASES, strict=True)))


def make_refsegrs(root: Path) -> None:
    make_phrases(root, "images", "masks", ".tif")


def make_risbench(root: Path) -> None:
    make_phrases(root, "img_rgb", "mask", ".png")


def make_earthreason(root: Path) -> None:
    base = root / "rs_reason_seg/RSReasonSeg/test"
    for k, stem in enumerate(STEMS):
        picture(base / "images" / f"{stem}.jpg", k)
        empty = k == 2
        label_png(base / "labels" / f"{stem}.png", mask_of(BOXES[k]) & (not empty))
        answer = [] if empty else ["It is there.", "There."]
        write(base / "QAs" / f"{stem}.json", {"questions": [f"Where? {k}", "And how?"], "answer": answer})


def make_geopixeld(root: Path, split: str = "train") -> None:
    rows = []
    for k, stem in enumerate(STEMS):
        picture(root / f"GeoPixelD/{split}" / f"{stem}.png", k)
        other = BOXES[(k + 1) % 3]
        text = f"There is <p> {LABELS[k]}-1 </p> [SEG] and <p> a tank </p> [SEG]."
        rings = [[_pairs(BOXES[k])], [_pairs(other)]]
        record = {"id": k, "img": f"data/GeoPixelD/{split}/{stem}.png", "gcg_description": text, "polygons": rings}
        write(root / f"GeoPixelD/{split}" / f"{stem}.json", record)
        rows.append(
            {
                "id": k,
                "image": f"data/GeoPixelD/{split}/{stem}.png",
                "polygons": f"data/GeoPixelD/{split}/{stem}.json",
                "conversations": [{"from": "human", "value": "<image> Describe."}, {"from": "bot", "value": text}],
            }
        )
    write(root / "GeoPixelD.json", rows)


def make_geopixeld_test(root: Path) -> None:
    make_geopixeld(root, "test")


def _pairs(box: tuple[int, int, int, int]) -> list[list[float]]:
    flat = quad_of(box)
    return [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]


def make_rsvg_xml(root: Path) -> None:
    for k, stem in enumerate(STEMS):
        picture(root / "JPEGImages" / f"{stem}.jpg", k)
        objects = "".join(_voc_object(j, BOXES[j]) for j in (k, (k + 1) % 3))
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        write(
            root / "Annotations" / f"{stem}.xml",
            f"<annotation><filename>{stem}.jpg</filename>{size}{objects}</annotation>",
        )
    write(root / "train.txt", "1\n3\n")
    write(root / "val.txt", "5\n")
    write(root / "test.txt", "0\n2\n4\n")


def _voc_object(number: int, box: tuple[int, int, int, int]) -> str:
    corners = "".join(f"<{tag}>{v}</{tag}>" for tag, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    said = f"<description>{PHRASES[number]}</description>"
    return f"<object><name>{LABELS[number]}</name><pose>x</pose><bndbox>{corners}</bndbox>{said}</object>"


def make_rsvg(root: Path) -> None:
    rows = []
    for k, stem in enumerate(STEMS):
        picture(root / "images" / f"{stem}.jpg", k)
        rows.append({"image": f"{stem}.jpg", "expression": PHRASES[k], "bbox": list(BOXES[k])})
    write(root / "rsvg_test.json", rows)


def make_refgeo(root: Path) -> None:
    rows = []
    for k, stem in enumerate(STEMS):
        picture(root / "images/GeoChat" / f"{stem}.png", k)
        rows.append(
            {
                "image_id": f"{stem}.jpg",
                "question_id": k,
                "dataset": "GeoChat",
                "question": PHRASES[k],
                "bbox": list(BOXES[k]),
                "poly": _pairs(BOXES[k]),
            }
        )
    label_png(root / "masks/GeoChat" / f"{STEMS[0]}_0.png", mask_of(BOXES[0]))
    jsonl(root / "metainfo/geochat_test.jsonl", rows)


def make_vrsbench(root: Path) -> None:
    evals, questions, captions = [], [], []
    for k, stem in enumerate(STEMS):
        picture(root / "Images_val" / f"{stem}.png", k)
        x1, y1, x2, y2 = (v / side for v, side in zip(BOXES[k], (WIDTH, HEIGHT) * 2, strict=True))
        corner = [v / side for v, side in zip(quad_of(BOXES[k]), (WIDTH, HEIGHT) * 4, strict=True)]
        published = "{" + "".join(f"<{int(v * 100)}>" for v in (x1, y1, x2, y2)) + "}"
        shared = {"image_id": f"{stem}.png", "question_id": k, "dataset": "RSBench"}
        evals.append(
            shared
            | {
                "question": PHRASES[k],
                "ground_truth": published,
                "type": "ref",
                "unique": k == 1,
                "obj_corner": corner,
                "obj_cls": LABELS[k],
                "obj_ids": [0],
                "size_group": "small",
            }
        )
        questions.append(shared | {"question": "How many?", "ground_truth": "1", "type": "object quantity"})
        captions.append(shared | {"question": "Describe.", "ground_truth": "A ship."})
        objects = [
            {
                "obj_id": 0,
                "obj_cls": LABELS[k],
                "referring_sentence": PHRASES[k],
                "obj_corner": corner,
                "obj_coord": [round(v, 2) for v in (x1, y1, x2, y2)],
                "is_unique": k == 1,
            },
            {"obj_id": 1, "obj_cls": "ship", "obj_corner": corner, "obj_coord": [0, 0, 1, 1], "is_unique": False},
        ]
        pairs = [{"ques_id": 0, "question": "How many?", "type": "object quantity", "answer": "1"}]
        record = {"image": f"{stem}.png", "caption": "A ship.", "objects": objects, "qa_pairs": pairs}
        write(root / "Annotations_val" / f"{stem}.json", record)
    write(root / "VRSBench_EVAL_referring.json", evals)
    write(root / "VRSBench_EVAL_vqa.json", questions)
    write(root / "VRSBench_EVAL_Cap.json", captions)


def conversations(folder: str, root: Path) -> list[dict[str, Any]]:
    rows = []
    turns = (
        ("<image>\n[refer] Give me the location of <p> the ship </p>", "{<10><20><40><50>|<15>}"),
        (
            "[grounding] Describe.",
            "There is <p>a ship</p> {<10><20><40><50>|<0>} near <p>a tank</p> {<50><5><90><40>|<9>}",
        ),
        ("[identify] What is at {<10><20><40><50>|<15>}", "a ship"),
        ("Is there a ship?", "Yes"),
    )
    for k, stem in enumerate(STEMS):
        picture(root / folder / f"{stem}.png", k)
        said = [
            {"from": who, "value": value} for pair in turns for who, value in zip(("human", "gpt"), pair, strict=True)
        ]
        rows.append({"id": f"{stem}", "image": f"{stem}.png", "conversations": said})
    return rows


def make_geochat(root: Path) -> None:
    write(root / "GeoChat_Instruct.json", conversations("final_images_llava", root))


def make_vrsbench_train(root: Path) -> None:
    rows = conversations("Images_train", root)
    for row in rows:
        row["conversations"] = [
            turn | {"value": turn["value"].replace("|<15>", "").replace("|<0>", "").replace("|<9>", "")}
            for turn in row["conversations"]
        ]
    write(root / "VRSBench_train.json", rows)


def make_geochat_bench(root: Path) -> None:
    rows, regions, scenes = [], [], []
    for k, stem in enumerate(STEMS):
        picture(root / "images" / f"{stem}.png", k)
        shared = {"question_id": f"ship/{stem}", "image_id": stem, "dataset": "SOTA", "size_group": "small"}
        truth = [_pairs(BOXES[k])] if k else [_pairs(BOXES[0]), _pairs(BOXES[2])]
        rows.append(shared | {"question": PHRASES[k], "ground_truth": truth, "type": "ref", "obj_ids": [0]})
        regions.append(shared | {"question": "What is at {<1><2><3><4>}?", "ground_truth": "a ship"})
        scenes.append({"question_id": f"ship/{stem}.png", "image": f"{stem}.png", "text": "Classify."})
    jsonl(root / "referring.jsonl", rows)
    jsonl(root / "region_captioning.jsonl", regions)
    jsonl(root / "aid.jsonl", scenes)


def make_coco(root: Path) -> None:
    write(root / "instances.json", coco_file(rle=False, split=True))
    for k, stem in enumerate(STEMS):
        picture(root / "images" / f"{stem}.jpg", k)


def make_isaid(root: Path) -> None:
    write(root / "val/instancesonly_filtered_val.json", coco_file(rle=False, ending=".png"))
    for k, stem in enumerate(STEMS):
        picture(root / "val/images" / f"{stem}.png", k)


def make_isaid_raw(root: Path) -> None:
    for k in range(2):
        stem = f"P000{k}"
        picture(root / "val/images" / f"{stem}.png", k)
        ids, colours = (np.zeros((HEIGHT, WIDTH, 3), np.uint8) for _ in range(2))
        for j, box in enumerate(BOXES):
            ids[mask_of(box)] = (j + 1, 0, 2 * j)
            colours[mask_of(box)] = (0, 0, 63) if LABELS[j] == "ship" else (0, 63, 63)
        Image.fromarray(ids).save(root / "val/images" / f"{stem}_instance_id_RGB.png")
        Image.fromarray(colours).save(root / "val/images" / f"{stem}_instance_color_RGB.png")


def make_vhr10(root: Path) -> None:
    write(root / "NWPU VHR-10_dataset_coco/annotations.json", coco_file(rle=False))
    for k, stem in enumerate(STEMS):
        picture(root / "positive image set" / f"{stem}.jpg", k)


def make_dota(root: Path) -> None:
    for k in range(2):
        picture(root / "images" / f"P000{k}.png", k)
        rows = [
            f"{' '.join(f'{v:g}' for v in quad_of(box))} {label.replace('_', '-')} {j % 2}\n"
            for j, (box, label) in enumerate(zip(BOXES, LABELS, strict=True))
        ]
        write(root / "labelTxt" / f"P000{k}.txt", f"imagesource:GoogleEarth\ngsd:0.{k}5\n{''.join(rows)}")


def make_yolo(root: Path) -> None:
    write(root / "mine.names", "ship\nstorage_tank\n")
    for k, stem in enumerate(STEMS):
        picture(root / f"{stem}.jpg", k)
        x1, y1, x2, y2 = BOXES[k]
        row = ((x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT)
        write(root / f"{stem}.txt", f"{int(LABELS[k] != 'ship')} {' '.join(map(str, row))}\n")


def make_levir(root: Path) -> None:
    for k in range(3):
        for folder in "AB":
            picture(root / folder / f"test_{k}.png", 2 * k + (folder == "B"))
        label_png(root / "label" / f"test_{k}.png", mask_of(BOXES[k]) & (k != 2))


def make_levir_list(root: Path) -> None:
    make_levir(root)
    write(root / "list/test.txt", "test_0.png\ntest_2.png\n")


def make_levir_plus(root: Path) -> None:
    make_levir(root / "test")


def make_levir_mci(root: Path) -> None:
    rows = []
    for k in range(2):
        name = f"test_00000{k}.png"
        for folder in "AB":
            picture(root / "images/test" / folder / name, 2 * k + (folder == "B"))
        label = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        label[mask_of(BOXES[0])] = 128
        label[mask_of(BOXES[2])] = 255 * (k == 0)
        (root / "images/test/label").mkdir(exist_ok=True)
        Image.fromarray(label).save(root / "images/test/label" / name)
        sentences = [{"raw": f" a road appears {j} .", "tokens": ["a"]} for j in range(5)]
        rows.append({"filename": name, "filepath": "test", "split": "test", "sentences": sentences})
    write(root / "LevirCCcaptions.json", {"images": rows, "dataset": "LEVIR-CC"})


def make_rsvqa(root: Path, prefix: str = "LR_split_test", images: str = "Images_LR") -> None:
    questions, answers = [], []
    for k in range(4):
        if k == 1:
            questions.append({"id": k, "active": False})
            answers.append({"id": k, "active": False})
            continue
        picture(root / images / f"{k}.tif", k)
        kind = "presence" if k else "count"
        questions.append({"id": k, "img_id": k, "type": kind, "question": "Any?", "answers_ids": [k], "active": True})
        answers.append({"id": k, "question_id": k, "answer": "yes" if k else "3", "active": True})
    write(root / f"{prefix}_questions.json", {"questions": questions})
    write(root / f"{prefix}_answers.json", {"answers": answers})


def make_rsvqa_hr(root: Path) -> None:
    make_rsvqa(root, "USGS_split_test_phili", "Data")


def make_classes(root: Path) -> None:
    for k, stem in enumerate(STEMS):
        picture(root / LABELS[k] / f"{stem}.jpg", k)


def make_class_list(root: Path) -> None:
    make_classes(root)
    write(root / "test.txt", f"{LABELS[0]}/{STEMS[0]}.jpg\n{LABELS[1]}/{STEMS[1]}.jpg\n")


def make_captions(root: Path, name: str = "dataset.json", images: str = "images") -> None:
    rows = []
    for k, stem in enumerate(STEMS):
        picture(root / images / f"{stem}.tif", k)
        sentences = [{"raw": f"Sentence {j} .", "tokens": []} for j in range(5)]
        rows.append({"filename": f"{stem}.tif", "split": "test", "sentences": sentences})
    write(root / name, {"images": rows, "dataset": "x"})


def make_rsicd(root: Path) -> None:
    make_captions(root, "dataset_rsicd.json", "RSICD_images")


def make_jsonl(root: Path) -> None:
    rows: list[dict[str, Any]] = []
    for k, stem in enumerate(STEMS):
        picture(root / "images" / f"{stem}.jpg", k)
        target = {"hbb": list(BOXES[k]), "quad": _pairs(BOXES[k]), "rle": rle_of(mask_of(BOXES[k])), "label": LABELS[k]}
        shared = {"image": f"images/{stem}.jpg", "width": WIDTH, "height": HEIGHT, "expression": PHRASES[k]}
        rows.append({"id": f"own-{k}", **shared, "task": "mask", "targets": [target], "meta": {"category": LABELS[k]}})
        union = mask_of(BOXES[k]) | mask_of(BOXES[(k + 1) % 3])
        boxes = [list(BOXES[k]), list(BOXES[(k + 1) % 3])]
        quads = [quad_of(BOXES[k]), quad_of(BOXES[(k + 1) % 3])]
        rows.append({"id": f"columns-{k}", **shared, "hbb": boxes, "obb": quads, "rle": rle_of(union), "category": "x"})
    jsonl(root / "samples.jsonl", rows)


CASES: tuple[Case, ...] = (
    Case("rrsis-d", make_rrsisd, "test", 4),
    Case("rrsis-d", make_rrssid, "test", 3, {"sentences": "first"}),
    Case("rrsis-d", make_grefs, "test", 4, {"refs": "grefs(unc).json"}),
    Case("refsegrs", make_refsegrs, "test", 3),
    Case("risbench", make_risbench, "test", 3),
    Case("earthreason", make_earthreason, "test", 6),
    Case("earthreason", make_earthreason, "test", 3, {"questions": "first"}),
    Case("geopixeld", make_geopixeld, "train", 3),
    Case("geopixeld", make_geopixeld_test, "test", 3),
    Case("dior-rsvg", make_rsvg_xml, "test", 3),
    Case("opt-rsvg", make_rsvg_xml, "train", 2),
    Case("rsvg", make_rsvg, "test", 3),
    Case("refgeo", make_refgeo, "test", 3),
    Case("refgeo", make_refgeo, "test", 1, {"task": "mask"}),
    Case("vrsbench", make_vrsbench, "val", 3),
    Case("vrsbench", make_vrsbench, "val", 3, {"source": "annotations", "boxes": "exact"}),
    Case("vrsbench", make_vrsbench, "val", 3, {"ask": "vqa"}),
    Case("vrsbench", make_vrsbench, "val", 3, {"source": "annotations", "ask": "vqa"}),
    Case("vrsbench", make_vrsbench, "val", 3, {"ask": "caption"}),
    Case("vrsbench", make_vrsbench, "val", 3, {"source": "annotations", "ask": "caption"}),
    Case("vrsbench-train", make_vrsbench_train, "train", 12),
    Case("geochat-instruct", make_geochat, "train", 12),
    Case("geochat-bench", make_geochat_bench, "test", 3),
    Case("geochat-bench", make_geochat_bench, "test", 3, {"file": "region_captioning"}),
    Case("geochat-bench", make_geochat_bench, "test", 3, {"file": "aid"}),
    Case("coco", make_coco, "test", 3),
    Case("coco", make_coco, "all", 3, {"per": "image"}),
    Case("isaid", make_isaid, "val", 3, {"per": "category"}),
    Case("isaid-raw", make_isaid_raw, "val", 6),
    Case("isaid-raw", make_isaid_raw, "val", 4, {"per": "category"}),
    Case("vhr10", make_vhr10, "all", 3),
    Case("dota", make_dota, "all", 6),
    Case("dota", make_dota, "all", 4, {"per": "category"}),
    Case("yolo", make_yolo, "all", 3),
    Case("levir-cd", make_levir, "test", 3),
    Case("levir-cd", make_levir_list, "test", 2),
    Case("levir-cd", make_levir_plus, "test", 3),
    Case("levir-mci", make_levir_mci, "test", 2),
    Case("levir-mci", make_levir_mci, "test", 2, {"ask": "caption"}),
    Case("rsvqa-lr", make_rsvqa, "test", 3),
    Case("rsvqa-hr", make_rsvqa_hr, "test_phili", 3),
    Case("class-folders", make_class_list, "test", 2),
    Case("aid", make_classes, "all", 3),
    Case("resisc45", make_classes, "all", 3),
    Case("ucmerced", make_classes, "all", 3),
    Case("ucm-captions", make_captions, "test", 3),
    Case("sydney-captions", make_captions, "test", 3),
    Case("rsicd", make_rsicd, "test", 3),
    Case("jsonl", make_jsonl, "all", 6),
)
