"""The preprocessor on a backbone that looks at a place we choose: what is shown, and the way back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.contracts import Backbone, Prompt
from rsground.errors import ContractError, ShapeError, UnknownNameError
from rsground.geometry.affine import invert_affine, map_points
from rsground.regions import map_region, unmap_region
from rsground.registry import load
from rsground.testing import PluginConformance, PreprocessorConformance, miniature
from rsground.types import Generation, Region, Sample, Task, View
from rsground_magcrop.compose import compressed
from rsground_magcrop.magcrop import MagCrop

GRID = 24
Spot = tuple[float, float, float, float]


class TestPlugin(PluginConformance):
    plugin_name = "magcrop"
    plugin_module = "rsground_magcrop"


def test_the_check_that_the_readme_names_passes() -> None:
    command = [sys.executable, "-m", "rsground", "plugins", "check", "rsground-magcrop"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


class TestMagCrop(PreprocessorConformance):
    preprocessor_name = "magcrop"


class TestMagCropSmall(PreprocessorConformance):
    preprocessor_name = "magcrop"
    preprocessor_options = {"granularity": "image"}  # noqa: RUF012


class Looking(Backbone):
    """Says nothing; looks at one place of the original image, a spot of a few tokens, and half as much at another."""

    def __init__(self, spot: Spot, heads: int = 2, fainter: Spot | None = None) -> None:
        self.spots = {spot: 1.0} if fainter is None else {spot: 1.0, fainter: 0.5}
        self.heads, self.asked = heads, list[Prompt]()

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        return [Generation("") for _ in prompts]

    def attend(self, prompts: Sequence[Prompt]) -> list[Any]:
        return [self._one(prompt) for prompt in prompts]

    def _one(self, prompt: Prompt) -> Any:
        assert prompt.view is not None
        self.asked.append(prompt)
        height, width = prompt.view.size
        x, y = np.meshgrid(np.arange(GRID) * width / GRID, np.arange(GRID) * height / GRID)
        boxes = np.stack([x, y, x + width / GRID, y + height / GRID], axis=-1).reshape(-1, 4)
        centres = map_points((boxes[:, :2] + boxes[:, 2:]) / 2, prompt.view.to_original)
        inside = sum(
            share * ((centres >= (x1, y1)).all(axis=1) & (centres < (x2, y2)).all(axis=1))
            for (x1, y1, x2, y2), share in self.spots.items()
        )
        attention = np.tile((0.01 + inside)[None, None], (self.heads, 1, 1)) / (GRID * GRID)
        boxes = np.concatenate([boxes, np.full((1, 4), np.nan)])  # a newline token
        attention = np.concatenate([attention, np.full((self.heads, 1, 1), 0.9)], axis=2)
        return SimpleNamespace(attention=attention, gradient=np.ones_like(attention), boxes=boxes)


class Deaf(Backbone):
    """Cannot say where it looks."""

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        return [Generation("") for _ in prompts]


def question(task: Task = Task.HBB, height: int = 240, width: int = 360) -> tuple[Sample, View]:
    sample = miniature(task, size=(height, width))
    rng = np.random.default_rng(0)
    images = tuple(rng.integers(0, 256, (height, width, 3), np.uint8) for _ in sample.images)
    return sample, View(images, sample.size)


SPOT = (200.0, 60.0, 245.0, 100.0)


def note(view: View) -> dict[str, Any]:
    found = view.meta["magcrop"]
    assert isinstance(found, dict)
    return found


def test_region_keeps_the_spot_and_compresses_the_rest() -> None:
    sample, view = question(Task.HBB)
    shown = MagCrop(granularity="task").apply(view, sample, Looking(SPOT))
    assert note(shown)["granularity"] == "region"
    ((x1, y1, x2, y2),) = note(shown)["boxes"]
    assert x1 <= 210
    assert y1 <= 70
    assert x2 >= 235
    assert y2 >= 90
    assert (x2 - x1) * (y2 - y1) < 0.15 * 240 * 360
    np.testing.assert_array_equal(shown.images[0][y1:y2, x1:x2], view.images[0][y1:y2, x1:x2])
    np.testing.assert_array_equal(shown.images[0][200:], compressed(view.images[0])[200:])
    assert shown.to_original == view.to_original
    assert shown.size == view.size
    assert note(shown)["kept_share"] < 0.25


def test_pixel_crops_within_the_crop() -> None:
    sample, view = question(Task.MASK, 480, 720)
    backbone = Looking((400, 120, 490, 200))
    shown = MagCrop(granularity="task").apply(view, sample, backbone)
    outer, inner = note(shown)["boxes"]
    assert outer[0] <= inner[0] < inner[2] <= outer[2]
    assert outer[1] <= inner[1] < inner[3] <= outer[3]
    assert (inner[2] - inner[0]) * (inner[3] - inner[1]) < (outer[2] - outer[0]) * (outer[3] - outer[1])
    assert len(backbone.asked) == 2
    second = backbone.asked[1].view
    assert second is not None
    assert second.size == (outer[3] - outer[1], outer[2] - outer[0])
    assert second.to_original == (1.0, 0.0, float(outer[0]), 0.0, 1.0, float(outer[1]))
    x1, y1, x2, y2 = inner
    np.testing.assert_array_equal(shown.images[0][y1:y2, x1:x2], view.images[0][y1:y2, x1:x2])


def test_the_second_crop_can_come_from_the_first_map() -> None:
    sample, view = question(Task.MASK, 480, 720)
    backbone = Looking((400, 120, 490, 200))
    shown = MagCrop(granularity="task", second="map").apply(view, sample, backbone)
    assert len(backbone.asked) == 1
    outer, inner = note(shown)["boxes"]
    assert outer[0] <= inner[0] < inner[2] <= outer[2]
    assert outer[1] <= inner[1] < inner[3] <= outer[3]


def test_several_targets_are_cropped_where_asked_for() -> None:
    """Two places stay sharp, each with a crop of its own; the map knows no third one that stands out as much."""
    sample, view = question(Task.MASK)
    other = (30.0, 150.0, 75.0, 190.0)
    one, two = (
        MagCrop(granularity="region", crops=count).apply(view, sample, Looking(SPOT, fainter=other)) for count in (1, 2)
    )
    assert len(note(one)["boxes"]) == 1
    first, second = note(two)["boxes"]
    assert first == note(one)["boxes"][0]
    assert second[0] <= 40
    assert second[2] >= 65
    assert second[1] <= 160
    assert second[3] >= 180
    for x1, y1, x2, y2 in (first, second):
        np.testing.assert_array_equal(two.images[0][y1:y2, x1:x2], view.images[0][y1:y2, x1:x2])
    assert two.to_original == view.to_original
    assert note(two)["kept_share"] > note(one)["kept_share"]
    backbone = Looking(SPOT, fainter=other)
    pixel = MagCrop(granularity="pixel", crops=2).apply(view, sample, backbone)
    assert len(backbone.asked) == 3, "once about the image, once about each crop"
    outer, inner, apart, within = note(pixel)["boxes"]
    assert [outer, apart] == [first, second]
    for large, small in ((outer, inner), (apart, within)):
        assert large[0] <= small[0] < small[2] <= large[2]
        assert large[1] <= small[1] < small[3] <= large[3]
    many = note(MagCrop(granularity="region", crops=50, margin=0.3).apply(view, sample, backbone))["boxes"]
    for place, box in enumerate(many):
        for before in many[:place]:
            assert box[0] >= before[2] or box[2] <= before[0] or box[1] >= before[3] or box[3] <= before[1]


def test_image_is_shown_at_a_hundred_pixels() -> None:
    sample, view = question(Task.CAPTION)
    shown = MagCrop(granularity="task").apply(view, sample, Deaf())
    assert shown.size == (100, 100)
    assert shown.to_original == (3.6, 0.0, 0.0, 0.0, 2.4, 0.0)
    kept = MagCrop(granularity="image", keep_aspect=True).apply(view, sample)
    assert kept.size == (67, 100)
    small = replace(view, images=(view.images[0][:60, :80],), original_size=(60, 80))
    assert MagCrop(granularity="image").apply(small, replace(sample, images=sample.images)).size == (60, 80)


@pytest.mark.parametrize("composition", ["stitch", "crop", "both"])
@pytest.mark.parametrize("granularity", ["image", "region", "pixel"])
def test_a_marked_pixel_comes_back_to_its_place(composition: str, granularity: str) -> None:
    """A bright mark at the spot is looked up in what is shown and mapped back: the one affine is right."""
    sample, view = question(Task.HBB)
    image = np.zeros_like(view.images[0])
    image[78:82, 220:224] = 255
    before = (0.5, 0.0, 10.0, 0.0, 2.0, 20.0)  # a step before this one moved something already
    view = View((image,), view.original_size, before)
    x1, y1, x2, y2 = SPOT
    corners = map_points([[x1, y1], [x2, y2]], before)
    backbone = Looking((*corners[0], *corners[1]))  # type: ignore[arg-type]
    step = MagCrop(granularity=granularity, composition=composition)
    shown = step.apply(view, sample, backbone)
    last = shown.images[-1][..., 0].astype(float)
    rows, columns = np.indices(last.shape)
    centre = ((columns + 0.5) * last).sum() / last.sum(), ((rows + 0.5) * last).sum() / last.sum()
    expected = map_points([[222.0, 80.0]], before)[0]
    tolerance = 2.0 if granularity == "image" else 0.2
    np.testing.assert_allclose(map_points([centre], shown.to_original)[0], expected, atol=tolerance)
    assert len(shown.images) == (2 if composition == "both" and granularity != "image" else 1)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(30, 300), st.integers(30, 300)),
    st.tuples(st.floats(0, 0.8), st.floats(0, 0.8)),
    st.sampled_from(["stitch", "crop", "both"]),
    st.sampled_from(["image", "region", "pixel"]),
    st.sampled_from(["query", "map"]),
    st.sampled_from([None, 64]),
)
def test_boxes_survive_the_round_trip(
    size: tuple[int, int],
    corner: tuple[float, float],
    composition: str,
    granularity: str,
    second: str,
    query_side: int | None,
) -> None:
    height, width = size
    sample = miniature(Task.HBB, size=size)
    view = View((np.zeros((height, width, 3), np.uint8),), size)
    x, y = corner[0] * width, corner[1] * height
    backbone = Looking((x, y, x + 0.15 * width, y + 0.15 * height))
    step = MagCrop(granularity=granularity, composition=composition, second=second, query_side=query_side)
    shown = step.apply(view, sample, backbone)
    assert shown.original_size == size
    for box in note(shown)["boxes"]:
        assert 0 <= box[0] < box[2] <= width
        assert 0 <= box[1] < box[3] <= height
    rows, columns = shown.size
    inner = Region(hbb=(0.25 * columns, 0.25 * rows, 0.75 * columns, 0.5 * rows))
    back = unmap_region(map_region(inner, shown), shown)
    assert back.hbb == pytest.approx(inner.hbb, abs=1e-6)
    corners = map_points([[0, 0], [columns, rows]], shown.to_original)
    assert (corners >= -1e-9).all()
    assert (corners[:, 0] <= width + 1e-9).all()
    assert (corners[:, 1] <= height + 1e-9).all()
    np.testing.assert_allclose(
        map_points(corners, invert_affine(shown.to_original)), [[0, 0], [columns, rows]], atol=1e-6
    )


def test_a_small_question_image_finds_the_same_place() -> None:
    sample, view = question(Task.HBB, 480, 720)
    backbone = Looking((400, 120, 490, 200))
    full = note(MagCrop(granularity="region").apply(view, sample, backbone))
    small = note(MagCrop(granularity="region", query_side=96).apply(view, sample, backbone))
    asked = backbone.asked[-1].view
    assert asked is not None
    assert asked.size == (64, 96)
    assert asked.to_original == (7.5, 0.0, 0.0, 0.0, 7.5, 0.0)
    np.testing.assert_allclose(small["boxes"], full["boxes"], atol=31)


def test_composing_at_a_smaller_side_keeps_the_place_and_the_way_back() -> None:
    sample, view = question(Task.MASK, 480, 720)
    backbone = Looking((400, 120, 490, 200))
    step = MagCrop(granularity="pixel", second="map", stitch_side=360)
    shown = step.apply(view, sample, backbone)
    assert shown.size == (240, 360)
    assert shown.to_original == (2.0, 0.0, 0.0, 0.0, 2.0, 0.0)
    looked_at = backbone.asked[0].view
    assert looked_at is not None
    assert looked_at.size == (240, 360)
    outer, inner = note(shown)["boxes"]  # in pixels of the view as it came
    assert outer[0] <= 410
    assert outer[2] >= 480
    assert outer[1] <= 130
    assert outer[3] >= 190
    x1, y1, x2, y2 = (round(edge / 2) for edge in inner)
    small = looked_at.images[0]
    np.testing.assert_array_equal(
        shown.images[0][y1 + 1 : y2 - 1, x1 + 1 : x2 - 1], small[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
    )
    assert not (shown.images[0] == small).all()
    assert note(shown)["kept_share"] < 0.25
    larger = MagCrop(granularity="pixel", second="map", stitch_side=720).apply(view, sample, backbone)
    plain = MagCrop(granularity="pixel", second="map").apply(view, sample, backbone)
    np.testing.assert_array_equal(larger.images[0], plain.images[0])


def test_a_crop_alone_is_what_stitching_would_have_put_there() -> None:
    sample, view = question(Task.MASK, 480, 720)
    stitch, crop = (
        MagCrop(granularity="pixel", composition=how).apply(view, sample, Looking((400, 120, 490, 200)))
        for how in ("stitch", "crop")
    )
    x1, y1, x2, y2 = note(crop)["boxes"][0]
    np.testing.assert_array_equal(crop.images[0], stitch.images[0][y1:y2, x1:x2])


class Few(Looking):
    """Notes how many visual tokens it is asked with."""

    most: int | None = None

    def attend(self, prompts: Sequence[Prompt], *, visual_tokens: int | None = None) -> list[Any]:
        self.most = visual_tokens
        return super().attend(prompts)


def test_few_tokens_are_asked_for_where_the_backbone_can_take_the_wish() -> None:
    sample, view = question(Task.HBB)
    backbone = Few(SPOT)
    MagCrop(granularity="region", query_tokens=50).apply(view, sample, backbone)
    assert backbone.most == 50
    MagCrop(granularity="region").apply(view, sample, backbone)
    assert backbone.most is None
    with pytest.raises(ContractError, match=r"query_tokens=50 needs .*Looking takes no visual_tokens.*None"):
        MagCrop(granularity="region", query_tokens=50).apply(view, sample, Looking(SPOT))


@pytest.mark.parametrize(
    ("option", "value", "name", "way_out"),
    [("sign", "loss", "of", "'answer'"), ("reads", "query", "query", "'next'")],
)
def test_a_backbone_is_told_what_it_cannot_be_asked(option: str, value: str, name: str, way_out: str) -> None:
    sample, view = question(Task.HBB)
    message = rf"option {option}='{value}' needs .*takes no {name}\. Set {option} to {way_out}"
    with pytest.raises(ContractError, match=message):
        MagCrop(granularity="region", **{option: value}).apply(view, sample, Looking(SPOT))


def test_small_images_are_left_alone_when_asked_for() -> None:
    sample, view = question(Task.HBB, 240, 336)
    backbone = Looking(SPOT)
    shown = MagCrop(granularity="region", least_side=336).apply(view, sample, backbone)
    assert note(shown)["plain"] == "small"
    assert shown.images is view.images
    assert not backbone.asked
    assert note(MagCrop(granularity="region", least_side=335).apply(view, sample, backbone))["plain"] is None


def test_pairs_of_images_are_cut_alike() -> None:
    sample, view = question(Task.CHANGE)
    before = np.random.default_rng(1).integers(0, 256, (120, 180, 3), np.uint8)
    view = replace(view, images=(before, view.images[1]))
    shown = MagCrop(granularity="region", composition="crop").apply(view, sample, Looking(SPOT))
    ((x1, y1, x2, y2),) = note(shown)["boxes"]
    np.testing.assert_array_equal(shown.images[1], view.images[1][y1:y2, x1:x2])
    np.testing.assert_array_equal(shown.images[0], before[y1 // 2 : round(y2 / 2), x1 // 2 : round(x2 / 2)])
    with pytest.raises(ContractError, match=r"composition='both' .* use composition='stitch'"):
        MagCrop(granularity="region", composition="both").apply(view, sample, Looking(SPOT))


def test_a_backbone_that_cannot_say_where_it_looks() -> None:
    sample, view = question(Task.HBB)
    with pytest.raises(ContractError, match=r"must have attend\(prompts\); Deaf has none.*fallback='plain'"):
        MagCrop().apply(view, sample, Deaf())
    shown = MagCrop(fallback="plain").apply(view, sample, Deaf())
    assert note(shown)["plain"] == "no-attend"
    assert shown.images is view.images
    assert note(MagCrop().apply(view, sample, None))["plain"] == "no-backbone"


def test_changed_pixels_no_longer_go_by_the_images_name() -> None:
    """Heads keep an image's features by its uri; two questions see two compositions of one image."""
    sample, view = question(Task.HBB)
    view = replace(view, meta={"uri": "a.png", "tiles": 3})
    changed = MagCrop(granularity="region").apply(view, sample, Looking(SPOT))
    assert set(changed.meta) == {"tiles", "magcrop"}
    assert MagCrop(fallback="plain").apply(view, sample, Deaf()).meta["uri"] == "a.png"


def test_a_flat_map_leaves_the_view() -> None:
    sample, view = question(Task.HBB)
    shown = MagCrop().apply(view, sample, Looking((1e6, 1e6, 1e6, 1e6)))
    assert note(shown)["plain"] == "flat"
    assert shown.images is view.images


def test_grounded_descriptions_are_left_alone_unless_asked_for() -> None:
    sample, view = question(Task.GCG)
    assert note(MagCrop().apply(view, sample, Looking(SPOT)))["plain"] == "task"
    asked = MagCrop(skip=[], granularity="task").apply(view, sample, Looking(SPOT))
    assert note(asked)["granularity"] == "pixel"


def test_the_query_is_the_heads_own_words_once_told() -> None:
    sample, view = question(Task.HBB)
    backbone = Looking(SPOT)
    step = MagCrop(granularity="region")
    step.apply(view, sample, backbone)
    assert backbone.asked[-1].text == f"Output the bounding box of {sample.expression}"
    head = load("head", "codec", codec="text-hbb", question="Look for {expression} please")
    step.listen(head)
    step.apply(view, sample, backbone)
    assert backbone.asked[-1].text == f"Look for {sample.expression} please"
    head.question = "Segment what is described"  # as heads that are given the expression in the answer
    step.apply(view, sample, backbone)
    assert backbone.asked[-1].text == f"Segment what is described {sample.expression}"
    own = MagCrop(granularity="region", question="Where is {expression}?")
    own.apply(view, sample, backbone)
    assert backbone.asked[-1].text == f"Where is {sample.expression}?"
    assert backbone.asked[-1].sample is None


def test_an_answer_of_another_length_is_refused() -> None:
    sample, view = question(Task.HBB)

    class Silent(Looking):
        def attend(self, prompts: Sequence[Prompt]) -> list[Any]:
            return []

    with pytest.raises(ContractError, match="1 prompt, 0 answers"):
        MagCrop(granularity="region").apply(view, sample, Silent(SPOT))


def test_presets_and_their_overrides() -> None:
    assert MagCrop(preset="geomag").options == MagCrop(preset="paper").options == MagCrop().options
    assert MagCrop(preset="fast").options.query_side == 336
    assert MagCrop(preset="fast", query_side=128).options.query_side == 128
    assert MagCrop(sizes=[0.3]).options.sizes == (0.3,)


def test_models_that_see_336_pixels_are_asked_once_and_shown_no_more_than_twice_that() -> None:
    sample, view = question(Task.MASK, 960, 1440)
    backbone = Few((800, 240, 980, 400))
    shown = MagCrop(preset="fast-336", granularity="pixel").apply(view, sample, backbone)
    assert (len(backbone.asked), backbone.most) == (1, 64)
    assert backbone.asked[0].view is not None
    assert backbone.asked[0].view.size == (224, 336)
    assert shown.size == (448, 672)
    assert len(note(shown)["boxes"]) == 2
    sample, small = question(Task.MASK, 224, 336)
    assert MagCrop(preset="fast-336").apply(small, sample, backbone).images[0] is small.images[0]


@pytest.mark.parametrize(
    ("given_options", "error", "message"),
    [
        ({"preset": "geomagg"}, UnknownNameError, "Did you mean 'geomag'"),
        ({"factr": 2}, UnknownNameError, "Did you mean 'factor'"),
        ({"granularity": "pixels"}, UnknownNameError, "Did you mean 'pixel'"),
        ({"skip": ("mas",)}, UnknownNameError, "Did you mean 'mask'"),
        ({"factor": 0}, ShapeError, "whole number >= 1, got 0"),
        ({"query_tokens": 0}, ShapeError, "'query_tokens' must be a whole number >= 1, got 0"),
        ({"least_side": None}, ShapeError, "'least_side' must be a whole number >= 0, got None"),
        ({"map_side": 1.5}, ShapeError, "whole number >= 2, got 1.5"),
        ({"margin": -1.0}, ShapeError, "'margin' must be >= 0"),
        ({"sizes": [2.0]}, ShapeError, "option 'sizes'"),
        ({"question": "Where?"}, ShapeError, "must hold"),
        ({"reads": "nxt"}, UnknownNameError, "Did you mean 'next'"),
        ({"ties": "larger"}, UnknownNameError, "Did you mean 'largest'"),
        ({"seam": -1}, ShapeError, "'seam' must be a whole number >= 0, got -1"),
        ({"crops": 0}, ShapeError, "'crops' must be a whole number >= 1, got 0"),
        ({"crops": 2, "composition": "crop"}, ShapeError, "'crops' = 2 needs composition = 'stitch', got 'crop'"),
    ],
)
def test_bad_options_are_named(given_options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MagCrop(**given_options)
