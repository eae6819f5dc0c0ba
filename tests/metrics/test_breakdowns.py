"""Which groups a sample is in."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from metric_samples import as_quad, box_sample, mask_region, mask_sample, quad_sample

from rsground.geometry import obb_to_quad
from rsground.metrics import group_keys
from rsground.metrics.breakdowns import BREAKDOWNS, sorted_groups
from rsground.types import Region


@pytest.mark.parametrize(("side", "group"), [(31.9, "small"), (32, "medium"), (95, "medium"), (96, "large")])
def test_sizes_have_cocos_borders(side, group):
    assert BREAKDOWNS["size"](box_sample((0, 0, side, side), size=(400, 400))) == (group,)


def test_masks_are_measured_by_their_pixels():
    mask = np.zeros((200, 200), bool)
    mask[:100, ::10] = True  # 2,000 of a box of 19,100
    assert BREAKDOWNS["size"](mask_sample(mask_region(mask), size=(200, 200))) == ("medium",)
    assert BREAKDOWNS["relative-size"](mask_sample(mask_region(mask), size=(200, 200))) == ("1-10 %",)


def test_several_targets_count_with_their_mean():
    assert BREAKDOWNS["size"](box_sample((0, 0, 100, 100), (0, 0, 1, 1), (5, 5, 6, 6))) == ("medium",)


@pytest.mark.parametrize(
    ("degrees", "group"), [(0, "0-5 deg"), (90, "0-5 deg"), (-87, "0-5 deg"), (80, "5-15 deg"), (45, "30-45 deg")]
)
def test_angles_are_off_the_axes(degrees, group):
    quad = as_quad(obb_to_quad([50, 50, 30, 10, math.radians(degrees)]))
    assert BREAKDOWNS["angle"](quad_sample(quad)) == (group,)


def test_everything_a_sample_is_in():
    sample = box_sample((0, 0, 9, 9), (1, 1, 9, 9), category="ship", is_unique=False, axes=["plural", "relation"])
    assert group_keys(sample) == {
        "size": ("small",),
        "relative-size": ("0.1-1 %",),
        "category": ("ship",),
        "targets": ("2-4",),
        "uniqueness": ("non-unique",),
        "empty": ("present",),
        "axes": ("plural", "relation"),
    }
    assert json.loads(json.dumps(group_keys(sample)))["targets"] == ["2-4"]


def test_an_empty_target_is_a_group_of_its_own():
    found = group_keys(box_sample())
    assert found == {"targets": ("0",), "empty": ("absent",)}


def test_labels_stand_in_for_the_category():
    sample = mask_sample(Region(hbb=(0, 0, 2, 1), label="car"), Region(hbb=(0, 0, 2, 1), label="bus"))
    assert BREAKDOWNS["category"](sample) == ("bus", "car")


def test_groups_have_their_natural_order():
    assert sorted_groups({"large", "small", "medium"}) == ["small", "medium", "large"]
    assert sorted_groups({"5+", "0", "2-4", "1"}) == ["0", "1", "2-4", "5+"]
    assert sorted_groups({"ship", "car"}) == ["car", "ship"]
