"""Box and key points to masks: the right prompts in the right frame, masks in the original image's pixels."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from rsground.contracts import MaskPrompt, Segmenter
from rsground.errors import UnknownNameError
from rsground.regions import hbb_of, map_region, mask_of
from rsground.registry import load
from rsground.testing import miniature
from rsground.types import Generation, Region, Sample, Task, View
from rsground_pointset.georsmllm import GeoRsmllmHead

SIZE = (96, 128)
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # sam2's transforms


class Box(Segmenter):
    """Answers the box that it was prompted with, and keeps what it was shown."""

    def __init__(self, *, blind: bool = False) -> None:
        self.blind, self.images, self.prompts = blind, list[np.ndarray](), list[MaskPrompt]()

    def encode(self, image: np.ndarray) -> None:
        self.images.append(image)

    def _segment(self, features: Any, prompts: Any, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        self.prompts.extend(prompts)
        masks = np.stack([mask_of(Region(hbb=prompt.box), size) for prompt in prompts])
        return masks & (not self.blind), np.full(len(prompts), 0.25, np.float32)


def plain(sample: Sample) -> View:
    return View((np.random.default_rng(1).integers(0, 256, (*sample.size, 3), np.uint8),), sample.size)


def views(sample: Sample) -> dict[str, View]:
    """The image as preprocessors leave it; hd-tiles where it is installed."""
    crop = View((np.ascontiguousarray(plain(sample).images[0][4:90, 8:120]),), sample.size, (1, 0, 8, 0, 1, 4))
    made = {"plain": plain(sample), "crop": crop}
    for show in ("canvas", "global", "tiles"):
        made[f"anyres {show}"] = load("preprocessor", "anyres", tile=64, show=show).apply(plain(sample), sample)
    made["crop, anyres"] = load("preprocessor", "anyres", tile=64).apply(crop, sample)
    with contextlib.suppress(UnknownNameError):
        made["hd-tiles"] = load("preprocessor", "hd-tiles", tile=64).apply(plain(sample), sample)
    return made


def test_masks_leave_in_the_original_frame_whatever_was_shown() -> None:
    sample = miniature(Task.MASK, targets=2, size=SIZE)
    targets = sample.targets or ()
    for name, view in views(sample).items():
        head = GeoRsmllmHead()
        head.segmenter = spy = Box()
        found = head.read(Generation(head.target(sample, view)), sample, view)
        source = view.source
        assert spy.images[0] is source.images[-1], name
        assert len(found.regions) == len(spy.prompts) == 2
        for region, prompt, target in zip(found.regions, spy.prompts, targets, strict=True):
            assert region.rle is not None
            assert tuple(region.rle.size) == SIZE
            np.testing.assert_allclose(hbb_of(Region(rle=region.rle)), target.hbb, atol=2, err_msg=name)
            told = map_region(Region(hbb=prompt.box, points=prompt.points), source)
            np.testing.assert_allclose(told.hbb, target.hbb, atol=1.5, err_msg=name)
            mask = mask_of(target, SIZE)
            assert all(mask[int(y), int(x)] for x, y in told.points or ()), name
            assert region.score == 0.25


def test_the_real_one_gets_box_and_points(tiny_sam2: Any) -> None:
    head, sample = GeoRsmllmHead(), miniature(Task.MASK, targets=3, size=SIZE)
    view = plain(sample)
    said = Generation(head.target(sample, view))
    told = head.codecs[Task.MASK].read(said.text, SIZE).regions
    head.segmenter = tiny_sam2
    found = head.read(said, sample, view).regions
    prompts = [MaskPrompt(box=region.hbb, points=region.points or ()) for region in told]
    masks, scores = tiny_sam2.segment(tiny_sam2.encode(view.images[0]), prompts, SIZE)
    assert len(found) == len(masks) == 3
    for region, mask, score in zip(found, masks, scores, strict=True):
        if mask.any():
            np.testing.assert_array_equal(mask_of(region, SIZE), mask)
            assert region.score == pytest.approx(float(score))
        else:
            assert region.rle is None


def test_the_box_stays_where_the_segmenter_finds_nothing() -> None:
    head, sample = GeoRsmllmHead(), miniature(Task.MASK, size=SIZE)
    head.segmenter = Box(blind=True)
    (region,) = head.read(Generation(head.target(sample, plain(sample))), sample, plain(sample)).regions
    assert region.rle is None
    assert region.hbb is not None


@pytest.mark.parametrize("answer", ["{}", "I see nothing of the kind."])
def test_nothing_there_asks_the_segmenter_nothing(answer: str) -> None:
    head, sample = GeoRsmllmHead(), miniature(Task.MASK, targets=0, size=SIZE)
    head.segmenter = spy = Box()
    assert head.read(Generation(answer), sample, plain(sample)).regions == ()
    assert not spy.images


def test_a_region_to_describe_is_written_in_the_view() -> None:
    sample = miniature(Task.REGION_CAPTION, size=SIZE)
    for name, view in views(sample).items():
        asked = GeoRsmllmHead().prompt(sample, view).text
        (region,) = GeoRsmllmHead().codecs[Task.OBB].read(asked, view.size).regions
        told = map_region(region, view).quad
        np.testing.assert_allclose(told, (sample.targets or ())[0].quad, atol=0.6, err_msg=name)
