"""``rsground predict``: answers as a table, JSON, GeoJSON and a picture, and what goes wrong with an exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from rsground.cli import main
from rsground.cli.predict_answers import Answer, open_scene
from rsground.cli.predict_geojson import shape_of_mask
from rsground.cli.predict_png import overlay
from rsground.geometry import rle_to_mask
from rsground.models.card import Card, PartCard, write_card
from rsground.regions import region_from_mask
from rsground.registry import load
from rsground.types import RLE, Prediction, Region, Task

HEIGHT, WIDTH = 100, 200
BOX = "<box>[[250,250,750,750]]</box>"
"""The middle of the image: x 50 ... 150, y 25 ... 75."""


@pytest.fixture
def image(tmp_path: Path) -> str:
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 128, np.uint8)).save(tmp_path / "gray.png")
    return str(tmp_path / "gray.png")


@pytest.fixture
def middle(tmp_path: Path) -> str:
    """A system that always points at the middle."""
    return system(tmp_path / "middle", PartCard("blind", {"text": BOX}))


def system(folder: Path, backbone: PartCard, codec: str = "text-hbb") -> str:
    write_card(folder, Card("test/middle", PartCard("codec", {"codec": codec}), backbone))
    return str(folder)


@pytest.fixture
def replayed(tmp_path: Path) -> Callable[..., str]:
    """A system that gives the answers it is told, by expression."""

    def make(answers: dict[str, str], codec: str = "text-hbb", image: str = "gray.png") -> str:
        file = tmp_path / f"{codec}.jsonl"
        rows = [{"id": f"{image}: {expression}", "text": text} for expression, text in answers.items()]
        file.write_text("\n".join(map(json.dumps, rows)))
        return system(tmp_path / codec, PartCard("replay", {"path": str(file)}), codec)

    return make


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["predict", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_has_every_form_of_every_region(capsys: pytest.CaptureFixture[str], image: str, middle: str) -> None:
    found = asked(capsys, image, "-q", "the ship", "--system", middle, "--task", "hbb")
    assert found["system"] == "test/middle"
    assert found["image"] == {"path": image, "before": None, "height": HEIGHT, "width": WIDTH, "window": None}
    (answer,) = found["answers"]
    assert (answer["expression"], answer["task"], answer["text"]) == ("the ship", "hbb", BOX)
    assert (answer["parsed"], answer["error"], answer["issues"]) == (True, None, [])
    assert answer["usage"]["latency_s"] > 0
    assert answer["usage"]["time_s"] == answer["usage"]["latency_s"]
    (region,) = answer["regions"]
    assert region["hbb"] == [50, 25, 150, 75]
    assert region["quad"] == [[50, 25], [150, 25], [150, 75], [50, 75]]
    assert region["area"] == 5000
    assert region["given"] == ["hbb"]
    mask = rle_to_mask(RLE(tuple(region["rle"]["size"]), region["rle"]["counts"].encode()))
    assert mask[25:75, 50:150].all()
    assert mask.sum() == 5000


def test_the_table_tells_what_was_found_and_what_was_not(
    capsys: pytest.CaptureFixture[str], image: str, replayed: Callable[..., str]
) -> None:
    nothing = load("codec", "text-hbb").write([], (HEIGHT, WIDTH))
    name = replayed({"the ship": BOX, "a whale": nothing, "prose": "I cannot [see] it"})
    words = ["-q", "the ship", "-q", "a whale", "-q", "prose", "-q", "unheard"]
    assert main(["predict", image, *words, "--system", name, "--task", "hbb"]) == 1
    said = capsys.readouterr().out
    assert "gray.png 200x100" in said
    assert "1 region" in said
    assert "50.0 25.0 150.0 75.0" in said
    assert "5,000" in said
    assert "nothing there" in said
    assert "cannot be read: 'I cannot [see] it'" in said
    assert "failed: DataError" in said
    assert "no answer to sample 'gray.png: unheard'" in said


def test_what_was_answered_is_written_though_one_question_failed(
    tmp_path: Path, image: str, replayed: Callable[..., str]
) -> None:
    out = tmp_path / "deep" / "found.json"
    name = replayed({"the ship": BOX})
    words = ["-q", "the ship", "-q", "unheard", "--system", name, "--quiet"]
    assert main(["predict", image, *words, "--out", str(out), "--out", str(out.with_suffix(".png"))]) == 1
    first, second = json.loads(out.read_text())["answers"]
    assert len(first["regions"]) == 1
    assert "unheard" in second["error"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["found.json", "found.png"]


def test_queries_come_from_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], image: str, middle: str) -> None:
    text = tmp_path / "queries.txt"
    text.write_text("\ufeffthe ship\n\n  the pier \n", encoding="utf-8")
    found = asked(capsys, image, "-q", "first", "--queries", str(text), "--system", middle)
    assert [answer["expression"] for answer in found["answers"]] == ["first", "the ship", "the pier"]
    assert {answer["task"] for answer in found["answers"]} == {"mask"}
    lines = tmp_path / "queries.jsonl"
    rows = [{"expression": "the ship", "id": 7, "task": "obb", "n_targets": 1}, {"expression": "the pier"}]
    lines.write_text("\n".join(map(json.dumps, rows)))
    found = asked(capsys, image, "--queries", str(lines), "--system", middle, "--task", "hbb")
    assert [(answer["id"], answer["task"]) for answer in found["answers"]] == [("7", "obb"), (None, "hbb")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q.txt", b"\n \n", "holds no query"),
        ("q.txt", b"\xff\xfe\x00", "queries cannot be read"),
        ("q.jsonl", b'{"expression": "a"}\n{"query": "b"}', 'q.jsonl:2: a line must be an object with the text "expr'),
        ("q.jsonl", b'{"expression": "a"}\n[1', "q.jsonl:2: a line must be a JSON object"),
        ("q.jsonl", b'{"expression": "a", "task": 3}', '"task" must be a text'),
        ("q.jsonl", b'{"expression": "a", "task": "maks"}', "no task named 'maks'. Did you mean 'mask'"),
        ("q.jsonl", b'{"expression": "a", "task": "vqa"}', "serves change, hbb, mask, obb, not 'vqa'"),
        ("absent.txt", None, "queries cannot be read"),
    ],
)
def test_bad_query_files_are_named_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], image: str, middle: str, name: str, content: bytes, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["predict", image, "--queries", str(tmp_path / name), "--system", middle]) == 1
    assert said in capsys.readouterr().err


def test_change_takes_two_images(tmp_path: Path, capsys: pytest.CaptureFixture[str], image: str, middle: str) -> None:
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / "before.png")
    found = asked(capsys, str(tmp_path / "before.png"), image, "-q", "new buildings", "--system", middle)
    assert found["answers"][0]["task"] == "change"
    assert (found["image"]["before"], found["image"]["path"]) == (str(tmp_path / "before.png"), image)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["IMAGE", "--system", "x"], "give -q TEXT or --queries FILE"),
        (["IMAGE", "-q", "a"], "--system"),
        (["IMAGE", "-q", "a", "--system", "x", "--out", "found.tiff"], r"--out takes *.json, *.geojson, *.png, got"),
        (["IMAGE", "IMAGE", "IMAGE", "-q", "a", "--system", "x"], "takes one image, or two for change, got 3"),
        (["IMAGE", "IMAGE", "-q", "a", "--system", "x", "--task", "mask"], "--task change takes two images"),
        (["IMAGE", "-q", "a", "--system", "x", "--task", "change"], "--task change takes two images"),
        (["IMAGE", "-q", "a", "--system", "x", "--window", "1,2,3"], "four whole numbers X1,Y1,X2,Y2, got '1,2,3'"),
        (["IMAGE", "-q", "a", "--system", "x", "--window", "9,0,3,4"], "must have 0 <= X1 < X2"),
        (["IMAGE", "-q", "a", "--system", "x", "--constrained", "--free"], "not allowed with"),
        (["IMAGE", "-q", "a", "--system", "x", "--batch", "0"], "at least 1"),
    ],
)
def test_a_bad_command_line_ends_with_two(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(["predict", *words])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_what_is_not_there_is_told_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], image: str, middle: str
) -> None:
    def told(*words: str) -> str:
        assert main(["predict", *words]) == 1
        streams = capsys.readouterr()
        assert not streams.out
        assert streams.err.startswith("rsground: ")
        return streams.err

    assert "Nor is there such a folder" in told(image, "-q", "a", "--system", "tiny/geopixl")
    assert "no system folder: it has no rsground.json" in told(image, "-q", "a", "--system", str(tmp_path))
    assert "no such image file" in told(str(tmp_path / "absent.png"), "-q", "a", "--system", middle)
    assert "not inside its 200x100 pixels" in told(image, "-q", "a", "--system", middle, "--window", "0,0,300,50")
    assert "no option of this system named 'device'" in told(image, "-q", "a", "--system", middle, "--device", "cpu")
    assert "no option of this system named 'constrained'" in told(image, "-q", "a", "--system", middle, "--free")
    assert "must not be empty" in told(image, "-q", " ", "--system", middle)


def test_places_are_looked_at_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], image: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.json").mkdir()
    places = ["file/deep/a.json", "folder.json", "new/c.png"]
    outs = [word for place in places for word in ("--out", str(tmp_path / place))]
    assert main(["predict", image, "-q", "a", "--system", "nobody/cares", *outs]) == 1
    said = capsys.readouterr().err
    assert f"a.json cannot be written: {tmp_path / 'file'} is no folder; " in said
    assert "folder.json cannot be written: there is a folder of that name. Nothing was asked" in said
    assert "c.png" not in said
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_closed_is_told_beforehand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], image: str
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert main(["predict", image, "-q", "a", "--system", "nobody/cares", "--out", str(closed / "a.json")]) == 1
    assert f"nothing may be written into {closed}" in capsys.readouterr().err


def test_all_is_written_that_can_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], image: str, middle: str
) -> None:
    """A name too long for any file system, which nobody can tell beforehand, stands first."""
    bad, good, picture = (str(tmp_path / name) for name in (f"{'a' * 300}.json", "b.json", "c.png"))
    outs = ["--out", bad, "--out", good, "--out", picture]
    assert main(["predict", image, "-q", "a", "--system", middle, "--task", "hbb", "--quiet", *outs]) == 1
    streams = capsys.readouterr()
    assert f"{bad} cannot be written: File name too long" in streams.err
    assert good not in streams.err
    assert json.loads(Path(good).read_text())["answers"][0]["regions"][0]["hbb"] == [50, 25, 150, 75]
    assert Path(picture).stat().st_size > 0
    assert main(["predict", image, "-q", "a", "--system", middle, *outs]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [good, picture]


def test_files_are_written_though_nobody_reads_the_answers(tmp_path: Path, image: str, middle: str) -> None:
    out = tmp_path / "found.json"
    words = ["predict", image, "-q", "a", "--system", middle, "--json", "--out", str(out)]
    program = f"from rsground.cli import main\nraise SystemExit(main({words!r}))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.close()
    assert json.loads(out.read_text())["answers"]


def test_an_image_too_large_is_refused_before_anything_is_loaded_and_a_window_of_it_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, image: str, middle: str
) -> None:
    monkeypatch.setattr("rsground.cli.predict_answers.MAX_PIXELS", 10_000)
    assert main(["predict", image, "-q", "a", "--system", "nobody/cares"]) == 1
    assert "million pixels, more than the limit of 0; ask about a part of it: --window" in capsys.readouterr().err
    found = asked(capsys, image, "-q", "a", "--system", middle, "--window", "100,50,200,100")
    assert found["image"]["window"] == [100, 50, 200, 100]
    region = found["answers"][0]["regions"][0]
    assert region["hbb"] == [25, 12.5, 75, 37.5], "in pixels of the window"
    assert region["rle"]["size"] == [50, 100]


def geojson(tmp_path: Path, image: str, name: str, *words: str) -> Any:
    out = tmp_path / "found.geojson"
    assert main(["predict", image, "-q", "a", "--system", name, "--quiet", "--out", str(out), *words]) == 0
    return json.loads(out.read_text())


def test_geojson_of_a_plain_image_is_in_pixels(tmp_path: Path, image: str, middle: str) -> None:
    found = geojson(tmp_path, image, middle)
    assert found["type"] == "FeatureCollection"
    assert found["coordinates"] == "pixels"
    assert "crs" not in found
    (feature,) = found["features"]
    ring = feature["geometry"]["coordinates"][0]
    assert {tuple(point) for point in ring} == {(50, 25), (150, 25), (150, 75), (50, 75)}
    assert ring[0] == ring[-1]
    assert feature["properties"]["hbb_pixels"] == [50, 25, 150, 75]
    assert feature["properties"]["expression"] == "a"
    shifted = geojson(tmp_path, image, middle, "--window", "100,50,200,100")["features"][0]
    assert shifted["properties"]["hbb_pixels"] == [125, 62.5, 175, 87.5], "in pixels of the file"


def test_geojson_of_a_georeferenced_image_lies_where_rasterio_says(
    tmp_path: Path, replayed: Callable[..., str]
) -> None:
    rasterio = pytest.importorskip("rasterio")
    from rasterio.features import rasterize

    codec = load("codec", "text-mask", resolution=16)
    mask = np.zeros((64, 64), bool)
    mask[8:48, 12:60] = True
    mask[20:32, 24:40] = False
    transform = rasterio.Affine(0.48, -0.14, 500000.0, -0.14, -0.48, 4_000_000.0)  # half a metre, turned
    profile = {"driver": "GTiff", "height": 64, "width": 64, "count": 3, "dtype": "uint8"}
    with rasterio.open(tmp_path / "map.tif", "w", crs="EPSG:32633", transform=transform, **profile) as file:
        file.write(np.zeros((3, 64, 64), np.uint8))
    name = replayed({"a": codec.write([region_from_mask(mask)], (64, 64))}, "text-mask", "map.tif")
    found = geojson(tmp_path, str(tmp_path / "map.tif"), name)
    assert found["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    assert found["coordinates"] == "map"
    (feature,) = found["features"]
    burnt = rasterize([feature["geometry"]], out_shape=(64, 64), transform=transform)
    expected = codec.read(codec.write([region_from_mask(mask)], (64, 64)), (64, 64)).regions[0]
    from rsground.regions import mask_of

    assert (burnt.astype(bool) == mask_of(expected, (64, 64))).all()
    import shapely

    shape = shapely.geometry.shape(feature["geometry"])
    assert shape.is_valid
    assert shape.exterior.is_ccw
    assert not any(ring.is_ccw for ring in shape.interiors)
    assert len(shape.interiors) == 1


@given(mask=arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_the_outline_of_any_mask_holds_its_pixels_and_no_others(mask: np.ndarray) -> None:
    import shapely

    shape = shape_of_mask(mask)
    assert shape.is_valid
    assert shape.area == mask.sum()
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    assert (shapely.contains_xy(shape, x, y) == mask).all()


def answer(task: Task, *regions: Region, expression: str = "the ship", text: str = "") -> Answer:
    return Answer(expression, task, None, Prediction(regions=regions, text=text))


def test_the_picture_tints_masks_and_leaves_the_rest(image: str) -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:60, 30:90] = True
    picture = overlay(open_scene([image]), [answer(Task.MASK, region_from_mask(mask))])
    scale = 640 // WIDTH
    assert picture.shape[1] == WIDTH * scale
    assert picture.shape[0] > HEIGHT * scale, "the legend stands below"
    inside, outside = picture[40 * scale, 60 * scale], picture[80 * scale, 150 * scale]
    assert outside.tolist() == [128, 128, 128]
    expected = 128 * 0.6 + np.array([0xE6, 0x9F, 0x00]) * 0.4
    assert np.abs(inside - expected).max() <= 1
    assert picture[20 * scale, 60 * scale].tolist() == [0xE6, 0x9F, 0x00], "the outline"


def test_the_picture_survives_odd_regions(image: str) -> None:
    odd = [
        Region(points=((5.0, 5.0), (900.0, -3.0))),
        Region(hbb=(-50.0, -50.0, 900.0, 900.0), score=0.5),
        Region(quad=((10, 10), (50, 20), (40, 60), (0, 50)), label="a label\nof two lines " * 9),
        Region(polygons=(((10, 10), (50, 20), (40, 60)), ((1, 1), (2, 2)))),
        Region(),
        region_from_mask(np.zeros((HEIGHT, WIDTH), bool)),
    ]
    answers = [answer(task, *odd, expression="x" * 500) for task in (Task.MASK, Task.OBB, Task.HBB)]
    answers.append(answer(Task.GCG, Region(hbb=(1, 1, 9, 9), span=(0, 4)), text="ship at sea"))
    answers.append(Answer("gone", Task.HBB, None, Prediction.failure("out of memory")))
    assert overlay(open_scene([image]), answers).dtype == np.uint8


def test_a_large_image_is_drawn_smaller(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 4800, 3), np.uint8)).save(tmp_path / "wide.png")
    picture = overlay(open_scene([str(tmp_path / "wide.png")]), [answer(Task.HBB, Region(hbb=(0, 0, 4800, 30)))])
    assert picture.shape[1] == 2400


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom rsground.cli import main\n"
        "try:\n    main(['predict', '--help'])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted({'numpy', 'torch', 'PIL', 'rich', 'shapely'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--system NAME|FOLDER" in done.stdout
    assert done.stdout.rsplit("LOADED", 1)[1].split() == []


def test_text_systems_need_no_torch(image: str, middle: str) -> None:
    words = ["predict", image, "-q", "a", "--system", middle, "--json"]
    program = f"import sys\nsys.modules['torch'] = None\nfrom rsground.cli import main\nsys.exit(main({words!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
