"""SAM from box and coarse mask: the right prompts in the right frame, masks in the original image's pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rsground.contracts import MaskPrompt, Segmenter, TextHead
from rsground.errors import UnknownNameError
from rsground.metrics.consistency import box_consistency
from rsground.regions import hbb_of, mask_of
from rsground.registry import load
from rsground.testing import miniature
from rsground.types import Generation, Region, Sample, Task, View
from rsground_textmask.box_mask import BoxMaskHead
from rsground_textmask.geoground import GeoGroundHead
from rsground_textmask.refinement import CERTAIN

SIZE = (96, 128)
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # sam2's transforms


class Box(Segmenter):
    """Answers the box that it was prompted with, and keeps what it was shown."""

    def __init__(self) -> None:
        self.images: list[np.ndarray] = []
        self.prompts: list[MaskPrompt] = []

    def encode(self, image: np.ndarray) -> None:
        self.images.append(image)

    def _segment(self, features: Any, prompts: Any, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        self.prompts.extend(prompts)
        masks = np.stack([mask_of(Region(hbb=prompt.box), size) for prompt in prompts])
        return masks, np.full(len(prompts), 0.25, np.float32)


class Blind(Segmenter):
    """Finds nothing."""

    def encode(self, image: np.ndarray) -> None:
        return None

    def _segment(self, features: Any, prompts: Any, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(prompts), *size), bool), np.zeros(len(prompts), np.float32)


def plain(sample: Sample) -> View:
    rng = np.random.default_rng(1)
    return View((rng.integers(0, 256, (*sample.size, 3), np.uint8),), sample.size)


def cropped(sample: Sample) -> View:
    """What a crop leaves: two thirds of the image, from an offset."""
    view = plain(sample)
    return View((np.ascontiguousarray(view.images[0][4:90, 8:120]),), sample.size, (1, 0, 8, 0, 1, 4))


def views(sample: Sample) -> dict[str, View]:
    """The image as preprocessors leave it; those of plugins that are not installed are left out."""
    made = {"plain": plain(sample), "crop": cropped(sample)}
    for name, options in (("anyres", {"tile": 64}), ("hd-tiles", {"tile": 64})):
        try:
            shows = ("canvas", "global")
            for show in shows:
                made[f"{name} {show}"] = load("preprocessor", name, **options, show=show).apply(plain(sample), sample)
        except UnknownNameError:
            continue
    if "anyres canvas" in made:
        made["crop, tiles"] = load("preprocessor", "anyres", tile=64).apply(cropped(sample), sample)
    return made


@pytest.mark.parametrize(
    "head", [GeoGroundHead(), BoxMaskHead(), GeoGroundHead(signals="all")], ids=["geo", "box", "all"]
)
def test_masks_leave_in_the_original_frame_whatever_was_shown(head: TextHead) -> None:
    sample = miniature(Task.MASK, size=SIZE)
    (target,) = sample.targets or ()
    for name, view in views(sample).items():
        head.segmenter = spy = Box()
        found = head.read(Generation(head.target(sample, view)), sample, view)
        (region,), (prompt,) = found.regions, spy.prompts
        source = view.source
        assert spy.images[0] is source.images[-1], name
        assert prompt.mask is not None
        assert prompt.mask.shape == source.size
        assert set(np.unique(prompt.mask)) == {np.float32(CERTAIN), np.float32(-CERTAIN)}
        assert region.rle is not None
        assert tuple(region.rle.size) == SIZE
        np.testing.assert_allclose(
            hbb_of(Region(rle=region.rle)), target.hbb, atol=6, err_msg=name
        )  # cells of 4 pixels


def test_the_real_one_gets_box_and_mask(tiny_sam2: Any) -> None:
    for head in (GeoGroundHead(), BoxMaskHead()):
        sample = miniature(Task.MASK, targets=3, size=SIZE)
        view = plain(sample)
        said = Generation(head.target(sample, view))
        coarse = head.read(said, sample, view).regions
        head.segmenter = tiny_sam2
        refined = head.read(said, sample, view).regions
        prompts = [
            MaskPrompt(
                box=hbb_of(region),
                mask=np.where(mask_of(region, SIZE), CERTAIN, -CERTAIN).astype(np.float32),
            )
            for region in coarse
        ]
        masks, scores = tiny_sam2.segment(tiny_sam2.encode(view.images[0]), prompts, SIZE)
        assert len(refined) == len(coarse) == len(masks)
        for region, before, mask, score in zip(refined, coarse, masks, scores, strict=True):
            expected = mask if mask.any() else mask_of(before, SIZE)
            np.testing.assert_array_equal(mask_of(region, SIZE), expected)
            assert not mask.any() or region.score == pytest.approx(float(score))


def test_hints_are_what_is_told() -> None:
    sample = miniature(Task.MASK, size=SIZE)
    for hints, box, mask in (("box+mask", True, True), ("box", True, False)):
        head = BoxMaskHead(refine=hints)  # type: ignore[arg-type]
        head.segmenter = spy = Box()
        head.read(Generation(head.target(sample, plain(sample))), sample, plain(sample))
        assert (spy.prompts[0].box is not None, spy.prompts[0].mask is not None) == (box, mask)
    with pytest.raises(UnknownNameError, match=r"box\+mask"):
        GeoGroundHead(refine="points")  # type: ignore[arg-type]


def test_the_grid_stays_where_the_segmenter_finds_nothing() -> None:
    head, sample = BoxMaskHead(), miniature(Task.MASK, size=SIZE)
    said = Generation(head.target(sample, plain(sample)))
    before = head.read(said, sample, plain(sample)).regions
    head.segmenter = Blind()
    after = head.read(said, sample, plain(sample)).regions
    np.testing.assert_array_equal(mask_of(after[0], SIZE), mask_of(before[0], SIZE))


def test_nothing_there_asks_the_segmenter_nothing() -> None:
    for head in (GeoGroundHead(), BoxMaskHead()):
        sample = miniature(Task.MASK, targets=0, size=SIZE)
        head.segmenter = spy = Box()
        found = head.read(Generation(head.target(sample, plain(sample))), sample, plain(sample))
        assert found.parsed
        assert found.regions == ()
        assert not spy.images


def test_the_written_box_stays_for_agreement() -> None:
    head, sample = GeoGroundHead(signals="all"), miniature(Task.MASK, size=SIZE)
    head.segmenter = Box()
    (region,) = head.read(Generation(head.target(sample, plain(sample))), sample, plain(sample)).regions
    assert None not in (region.hbb, region.quad, region.rle)
    assert box_consistency(region) > 0.8


def test_after_magcrop(tiny_backbone: Callable[..., Any]) -> None:
    """The real crop, at the place a model looks at: what is read in the crop leaves in the original's frame."""
    pytest.importorskip("rsground_magcrop")
    step = load("preprocessor", "magcrop", composition="crop", granularity="task")
    sample = miniature(Task.MASK, size=SIZE)
    view = step.apply(plain(sample), sample, tiny_backbone("llava"))
    head = BoxMaskHead()
    head.segmenter = Box()
    height, width = view.size
    box = Region(hbb=(0.0, 0.0, width / 2, height / 2))
    said = Generation(head.codecs[Task.MASK].write([box], view.size))
    (region,) = head.read(said, sample, view).regions
    _, _, left, _, _, top = view.to_original
    scale = (view.to_original[0], view.to_original[4])
    expected = (left, top, left + scale[0] * width / 2, top + scale[1] * height / 2)
    assert region.rle is not None
    assert tuple(region.rle.size) == SIZE
    np.testing.assert_allclose(hbb_of(Region(rle=region.rle)), expected, atol=1.01)
