"""Datasets that ship in the core."""

from rsground.specs import DatasetSpec

_ACADEMIC = "academic use only; see the data set's own terms"
_HOME = "rsground.datasets"
_REFER = ("mask", "hbb", "obb")
_ALL = ("all",)


def _spec(
    name: str, target: str, summary: str, tasks: tuple[str, ...], splits: tuple[str, ...] = ("train", "val", "test")
) -> DatasetSpec:
    return DatasetSpec(
        name=name, target=f"{_HOME}.{target}", summary=summary, tasks=tasks, splits=splits, licence=_ACADEMIC
    )


DATASETS: list[DatasetSpec] = [
    _spec(
        "jsonl",
        "jsonl:Jsonl",
        "our own JSON Lines form: any task",
        (*_REFER, "gcg", "change"),
        (*_ALL, "train", "val", "test"),
    ),
    _spec("rrsis-d", "rrsisd:Rrsisd", "RRSIS-D and the REFER form: referring masks on 800 px images", _REFER),
    _spec("refsegrs", "phrases:RefSegRS", "RefSegRS: referring masks, 512 px at 0.13 m", ("mask", "hbb")),
    _spec("risbench", "phrases:RISBench", "RISBench: referring masks on DOTA and DIOR", ("mask", "hbb")),
    _spec("earthreason", "earthreason:EarthReason", "EarthReason: implicit questions, answered by a mask", ("mask",)),
    _spec(
        "geopixeld",
        "geopixeld:GeoPixelD",
        "GeoPixelD: grounded descriptions of iSAID patches (RS-GCG)",
        ("gcg",),
        ("train", "val", "test", "all"),
    ),
    _spec("dior-rsvg", "rsvg_xml:DiorRsvg", "DIOR-RSVG: referring boxes on 800 px images", ("hbb",)),
    _spec("opt-rsvg", "rsvg_xml:OptRsvg", "OPT-RSVG: referring boxes, 14 categories", ("hbb",)),
    _spec("rsvg", "rsvg:Rsvg", "RSVG (GeoVG): referring boxes; layout not checked against a copy", ("hbb",)),
    _spec("refgeo", "refgeo:RefGeo", "refGeo (GeoGround): five referring sets as HBB, OBB and mask", _REFER),
    _spec(
        "vrsbench",
        "vrsbench:VRSBench",
        "VRSBench: referring boxes, captions, questions",
        ("hbb", "obb", "caption", "vqa"),
        ("train", "val"),
    ),
    _spec(
        "vrsbench-train",
        "vrsbench:VRSBenchTrain",
        "VRSBench: training conversations",
        ("hbb", "obb", "gcg", "caption", "region-caption", "vqa"),
        ("train",),
    ),
    _spec(
        "geochat-instruct",
        "geochat:GeoChatInstruct",
        "GeoChat_Instruct: training conversations",
        ("obb", "gcg", "region-caption", "vqa", "scene"),
        ("train",),
    ),
    _spec(
        "geochat-bench",
        "geochat:GeoChatBench",
        "GeoChat-Bench: referring, region captions, scenes, questions",
        ("obb", "region-caption", "scene", "vqa"),
        ("test",),
    ),
    _spec("coco", "coco_instances:CocoInstances", "any COCO instance file", _REFER, ("all", "train", "val", "test")),
    _spec(
        "isaid", "coco_instances:Isaid", "iSAID patches with the devkit's COCO files", _REFER, ("train", "val", "all")
    ),
    _spec(
        "isaid-raw",
        "isaid_raw:IsaidRaw",
        "iSAID's id and colour masks",
        ("mask", "hbb", "obb"),
        ("train", "val", "all"),
    ),
    _spec("vhr10", "coco_instances:Vhr10", "NWPU VHR-10 with instance masks", _REFER, ("all", "train", "val", "test")),
    _spec("dota", "dota:Dota", "DOTA labelTxt: oriented boxes", ("obb", "hbb"), ("all", "train", "val")),
    _spec("yolo", "yolo:Yolo", "YOLO label files: upright boxes", ("hbb",), ("all", "train", "val", "test")),
    _spec(
        "levir-cd",
        "change:LevirCD",
        "LEVIR-CD, LEVIR-CD+ and sets in their form: change masks",
        ("change",),
        ("train", "val", "test", "all"),
    ),
    _spec(
        "levir-mci", "levir_mci:LevirMCI", "LEVIR-MCI and LEVIR-CC: change masks and captions", ("change", "caption")
    ),
    _spec("rsvqa-lr", "rsvqa:RsvqaLR", "RSVQA low resolution: questions on Sentinel-2 tiles", ("vqa",)),
    _spec(
        "rsvqa-hr",
        "rsvqa:RsvqaHR",
        "RSVQA high resolution: questions on aerial tiles",
        ("vqa",),
        ("train", "val", "test", "test_phili"),
    ),
    _spec("class-folders", "class_folders:ClassFolders", "any folder of images per scene class", ("scene",), _ALL),
    _spec("aid", "class_folders:Aid", "AID: 30 scene classes", ("scene",), _ALL),
    _spec("resisc45", "class_folders:Resisc45", "NWPU-RESISC45: 45 scene classes", ("scene",), _ALL),
    _spec("ucmerced", "class_folders:UCMerced", "UC Merced: 21 scene classes", ("scene",), _ALL),
    _spec("ucm-captions", "captions:UcmCaptions", "UCM-Captions: five sentences per image", ("caption",)),
    _spec("sydney-captions", "captions:SydneyCaptions", "Sydney-Captions: five sentences per image", ("caption",)),
    _spec("rsicd", "captions:Rsicd", "RSICD: five sentences per image", ("caption",)),
    DatasetSpec(
        name="scenes",
        target=f"{_HOME}.scenes.dataset:ScenesDataset",
        summary="generated overhead scenes: exact masks and boxes, graded expressions, descriptions, change pairs",
        tasks=(*_REFER, "gcg", "change"),
        licence="Apache-2.0, generated",
        needs_root=False,
    ),
]
