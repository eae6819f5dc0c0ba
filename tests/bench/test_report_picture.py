"""The picture of a report's chart: everything in it, down to the last name of the legend."""

from __future__ import annotations

import html
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, ImageDraw

from rsground.bench.plan import make_plan
from rsground.bench.results import Run
from rsground.bench.runner import run_plan
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite
from rsground.report.collect import Options, collect
from rsground.report.model import ReportData

HOME = Path(__file__).resolve().parents[2]
SUITE = """
metrics = ["res"]
dataset = { name = "scenes", split = "test", tasks = ["mask"], count = 2, per_scene = 2, size = 128 }

[[entry]]
label = "{codec}"
head = { name = "codec" }
grid = { codec = ["text-hbb", "text-obb", "text-mask", "polygon", "polygon-box", "box-mask", "point-set", "kosmos-2"] }
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("report_picture", HOME / "benchmarks" / "report_picture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    folder = tmp_path_factory.mktemp("run")
    run_plan(make_plan(checked(read_suite(SUITE, "forms.toml"))), folder)
    with Run.open(folder) as run:
        return collect(run, Options(gallery=0, examples=False, replicates=20, permutations=20))


def test_the_page_holds_the_chart_and_its_legend(script: ModuleType, data: ReportData) -> None:
    page = html.unescape(script.page(data, "res"))
    assert "<h4>gIoU against answer length</h4>" in page
    assert "mean length of an answer" in page
    legend = page[page.index('<ul class="legend">') :]
    assert [name for name in data.systems if f"<bdi>{name.family}</bdi>" not in legend] == []
    with pytest.raises(SystemExit, match=r"no chart of 'rec-hbb'.*protocols: res"):
        script.page(data, "rec-hbb")


def test_only_what_is_empty_is_cut_off(script: ModuleType) -> None:
    picture = Image.new("RGB", (40, 100), "white")
    with pytest.raises(SystemExit, match="nothing was drawn"):
        script.trimmed(picture)
    ImageDraw.Draw(picture).rectangle((10, 20, 30, 60), fill="black")
    cut = script.trimmed(picture)
    assert cut.size == (40, 61 + script.MARGIN)
    assert cut.tobytes() == picture.crop((0, 0, 40, 61 + script.MARGIN)).tobytes()
    ImageDraw.Draw(picture).rectangle((10, 20, 30, 99), fill="black")
    with pytest.raises(SystemExit, match="does not fit into 100 pixels"):
        script.trimmed(picture)


def test_a_browser_draws_it_whole(script: ModuleType, data: ReportData) -> None:
    browser = next(filter(shutil.which, script.BROWSERS), None)
    if browser is None:
        pytest.skip("no Chromium or Chrome is installed")
    picture = script.trimmed(script.drawn(script.page(data, "res"), browser))
    assert picture.width == script.WIDTH
    assert script.WIDTH / 3 < picture.height < script.HEIGHT


def test_the_picture_in_the_readme_ends_below_its_frame() -> None:
    """The lowest rows are empty page: nothing was cut through."""
    with Image.open(HOME / "docs" / "images" / "report.png") as picture:
        low = picture.convert("RGB").crop((0, picture.height - 5, picture.width, picture.height))
    assert low.getcolors(1) is not None
