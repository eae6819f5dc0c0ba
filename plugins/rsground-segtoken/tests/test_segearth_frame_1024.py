"""The data set ``segearth-1024``: scores in it are those of upstream's evaluation, step by step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from rsground.contracts import BrokenRecord, Dataset  # noqa: E402
from rsground.errors import UnknownNameError  # noqa: E402
from rsground.images import read_image  # noqa: E402
from rsground.pipeline import Pipeline  # noqa: E402
from rsground.regions import mask_of  # noqa: E402
from rsground.registry import load, load_dataset  # noqa: E402
from rsground.testing import DatasetConformance  # noqa: E402
from rsground.types import Generation, ImageRef, Region, Sample, Task  # noqa: E402
from rsground_segtoken.segearth import SegEarthR1Head  # noqa: E402
from rsground_segtoken.segearth.frame import Frame, framed, framed_mask  # noqa: E402
from rsground_segtoken.segearth.upstream_frame import framed_sample  # noqa: E402

SIZES = [(300, 500), (500, 300), (90, 90)]
TINY = {
    "swin": {"embed": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 1, 1), "window": 4, "drop_path": 0.0},
    "size": 1024, "width": 32, "latent": 16, "heads": 2, "pixel_hidden": 16, "layers": 2, "decoder_hidden": 16,
    "preset": "paper", "pixel_layers": 1, "connector": False, "hidden_size": 12,
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    rows = []
    for number, (height, width) in enumerate(SIZES):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(folder / f"{number}.png")
        row = {"image": f"{number}.png", "width": width, "height": height, "expression": "the field"}
        boxes = [{"hbb": [10, 10, width // 2, height // 2]}, {"hbb": [width // 2, 5, width - 3, 30]}]
        rows.append({**row, "id": f"{number}-mask", "task": "mask", "targets": boxes})
        rows.append({**row, "id": f"{number}-none", "task": "mask", "targets": []})
        rows.append({**row, "id": f"{number}-box", "task": "hbb", "targets": boxes[:1]})
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder


class TestUpstreamFrame(DatasetConformance):
    @pytest.fixture(autouse=True)
    def _pictures(self, pictures: Path) -> None:
        self.root = pictures

    def open(self, root: Path | None = None) -> Dataset:
        return load_dataset("segearth-1024", root or self.root, "all", of="jsonl")  # type: ignore[no-any-return]


def of(pictures: Path) -> list[tuple[Sample, Sample]]:
    """(sample, framed sample) of the masks."""
    plain = {sample.id: sample for sample in load_dataset("jsonl", pictures, "all")}
    return [(plain[sample.id], sample) for sample in load_dataset("segearth-1024", pictures, "all", of="jsonl")]


def test_samples_are_those_of_the_masks_in_the_square(pictures: Path) -> None:
    found = of(pictures)
    assert [framed_one.id for _, framed_one in found] == [f"{n}-{kind}" for n in range(3) for kind in ("mask", "none")]
    for plain, square in found:
        frame = Frame.of(plain.size, 1024)
        assert square.size == (1024, 1024)
        pixels = read_image(square.image)
        again = framed(pixels, Frame.of((1024, 1024), 1024))
        torch.testing.assert_close(again, framed(read_image(plain.image), frame), atol=0, rtol=0)
        if not plain.targets:
            assert square.targets == ()
            continue
        union = np.logical_or.reduce([mask_of(region, plain.size) for region in plain.targets])
        (target,) = square.targets or ()
        np.testing.assert_array_equal(mask_of(target, (1024, 1024)), framed_mask(union, frame).numpy() > 0)
    plain_set, square_set = (
        load_dataset("jsonl", pictures, "all"),
        load_dataset("segearth-1024", pictures, "all", of="jsonl"),
    )
    assert plain_set.fingerprint() != square_set.fingerprint()
    with pytest.raises(UnknownNameError, match="jsonl"):
        load_dataset("segearth-1024", pictures, "all", of="jsnl")


def test_an_image_too_thin_costs_itself_alone(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "own")
    Image.fromarray(np.zeros((2, 4000, 3), np.uint8)).save(tmp_path / "own" / "thin.png")
    row = {"id": "thin", "image": "thin.png", "width": 4000, "height": 2, "expression": "it", "task": "mask"}
    lines = (tmp_path / "own" / "samples.jsonl").read_text().splitlines()
    lines.insert(2, json.dumps({**row, "targets": [{"hbb": [0, 0, 9, 2]}]}))
    (tmp_path / "own" / "samples.jsonl").write_text("\n".join(lines))
    data, broken = load_dataset("segearth-1024", tmp_path / "own", "all", of="jsonl"), list[BrokenRecord]()
    data.on_broken = broken.append
    assert [sample.id for sample in data] == [square.id for _, square in of(pictures)]
    ((path, _, code, detail),) = broken
    assert (Path(path).name, code) == ("thin.png", "bad-image")
    assert "sample 'thin': an image of (2, 4000) is too thin for a frame of 1024" in detail


def test_metres_per_pixel_are_those_of_the_square() -> None:
    image = ImageRef("drawn", 300, 512)
    plain = Sample("a", (image,), "the field", Task.MASK, (Region(hbb=(0, 0, 9, 9)),), meta={"gsd": 0.5, "place": "x"})
    assert framed_sample(plain).meta == {"gsd": 0.25, "place": "x"}, "512 pixels became 1024 of the same ground"


class Describing:
    """A backbone of fixed states."""

    hidden_size, needs_pixels, needs_answer = 12, True, False

    def generate(self, prompts: list[object]) -> list[Generation]:
        states = torch.randn(4, 12, generator=torch.Generator().manual_seed(1))
        return [Generation("the field[SEG]", "forced", hidden=states) for _ in prompts]

    def count_tokens(self, text: str) -> int:
        return len(text)


def test_scores_are_upstreams(pictures: Path) -> None:
    """Logits to 1024, over 0, against the mask in the square, padding and all; IoU = I / (U + 1e-5), 1 for U = 0."""
    torch.manual_seed(0)
    head = SegEarthR1Head(**TINY).eval()
    with torch.no_grad():  # masks that spread over the padding
        head._built().predictor.mask_embed.layers[2].bias.add_(0.3)
    backbone, metric = Describing(), load("metric", "res-segearth")
    pipeline = Pipeline(head, backbone)  # type: ignore[arg-type]
    ours, theirs, in_images, totals = [], [], [], np.zeros(2)
    for plain, square in of(pictures):
        frame = Frame.of(plain.size, 1024)
        with torch.inference_mode():
            maps = head.encoder(framed(read_image(plain.image), frame)[None])
            states = backbone.generate([None])[0].hidden.mean(0)[None]
            logits = head.branch.masks(states, maps[-1], head.branch.pixels(maps)).logits[-1]
            full = torch.nn.functional.interpolate(logits, size=(1024, 1024), mode="bilinear", align_corners=False)
        mask = (full[0, 0] > 0).numpy()
        union = np.zeros(plain.size, bool)
        for region in plain.targets or ():
            union |= mask_of(region, plain.size)
        truth = framed_mask(union, frame).numpy() > 0
        inter, both = (mask & truth).sum(), (mask | truth).sum()
        totals += (inter, both)
        theirs.append(1.0 if both == 0 else inter / (both + 1e-5))
        rows = [
            (metric.measure(sample, pipeline.answer([sample])[0]), kept)
            for sample, kept in ((square, ours), (plain, in_images))
        ]
        for row, kept in rows:
            kept.append(row)
    assert [row["iou"] for row in ours] == pytest.approx(theirs, abs=1e-12)
    scores = metric.summarise({name: np.array([row[name] for row in ours]) for name in ours[0]})
    assert scores["gIoU"] == pytest.approx(np.mean(theirs))
    assert scores["cIoU"] == pytest.approx(totals[0] / (totals[1] + 1e-10))
    assert in_images[0]["union"] < ours[0]["union"], "in the image's own frame false pixels of the padding are gone"
