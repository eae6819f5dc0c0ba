"""GeoMag's Eq. 1, several [SEG] per mask, several scales per image: on the real head and the small trained SAM 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("rsground_sam2")
pytest.importorskip("rsground_segtoken")
pytest.importorskip("rsground_zoo_tiny")

from PIL import Image  # noqa: E402
from torch.nn.functional import interpolate  # noqa: E402

from rsground.contracts import MaskPrompt  # noqa: E402
from rsground.errors import ContractError, ShapeError, UnknownNameError  # noqa: E402
from rsground.images import read_image  # noqa: E402
from rsground.regions import mask_of  # noqa: E402
from rsground.registry import load, load_dataset  # noqa: E402
from rsground.testing import SegmenterConformance  # noqa: E402
from rsground.types import Generation, Sample, View  # noqa: E402
from rsground_magcrop import scales as scales_module  # noqa: E402
from rsground_magcrop.geomag import weights_of  # noqa: E402
from rsground_magcrop.scales import WeightedScales  # noqa: E402

TRAINED = "rsground_zoo_tiny:segmenter"
SCALES, WEIGHTS = (1.0, 0.5, 0.25), (0.5, 0.3, 0.4)
BETAS = (0.25, 0.5, 0.75)


@pytest.fixture(scope="module")
def scene() -> tuple[Sample, View]:
    """A drawn scene that is not square, with the largest object of the first few."""
    samples = [each for each in load_dataset("scenes", None, "val", count=6, size=192, tasks=("mask",)) if each.targets]
    sample = max(samples, key=lambda each: mask_of(each.targets[0], each.size).sum())  # type: ignore[index]
    pixels = read_image(sample.image)
    return sample, View((pixels,), sample.size)


@pytest.fixture(scope="module")
def sam2() -> Any:
    """The segmenter that is weighted, alone."""
    return load("segmenter", "sam2", checkpoint=TRAINED, device="cpu")


@pytest.fixture(scope="module")
def weighted() -> Any:
    return WeightedScales(scales=SCALES, weights=WEIGHTS, checkpoint=TRAINED, device="cpu")


@pytest.fixture
def backbone(tiny_backbone: Callable[..., Any]) -> Any:
    found = tiny_backbone("tower")
    found.add_tokens(["[SEG]", "<p>", "</p>"])
    return found


@pytest.fixture
def pair(backbone: Any, weighted: Any) -> tuple[Any, Any]:
    """Heads geomag (three tokens) and geopixel with one projection, on one segmenter."""
    heads = []
    for name, options in (("geomag", {"tokens": 3, "token_weights": BETAS}), ("geopixel", {})):
        torch.manual_seed(1)
        head = load("head", name, loss_size=64, stability_fallback=False, **options)
        head.segmenter = weighted
        head.bind(backbone)
        heads.append(head)
    assert _far(heads[0], heads[1]) == 0
    return heads[0], heads[1]


def _far(one: Any, other: Any) -> float:
    return max(
        float((mine - theirs).detach().abs().max())
        for mine, theirs in zip(one.parameters(), other.parameters(), strict=True)
    )


def states(count: int, width: int = 32, seed: int = 0) -> Any:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def merged(rows: Any) -> Any:
    """Sums of every three rows by their weights, one after the other."""
    return torch.stack(
        [sum(beta * rows[first + place] for place, beta in enumerate(BETAS)) for first in range(0, len(rows), 3)]
    )


def by_hand(sam2: Any, image: Any, prompts: Any) -> Any:
    """Eq. 1's sum over scales: each scale's image is encoded and decoded by the segmenter alone."""
    height, width = image.shape[:2]
    logits = 0.0
    for scale, weight in zip(SCALES, WEIGHTS, strict=True):
        small = Image.fromarray(image).resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
        found, _ = sam2.decode(sam2.encode(np.asarray(small)), embeddings=prompts[:, None])
        logits = logits + weight * found[:, 0]
    return logits


class TestWeightedScales(SegmenterConformance):
    segmenter_name = "weighted-scales"
    segmenter_options = {"checkpoint": TRAINED, "device": "cpu"}  # noqa: RUF012


class TestWeightedScalesFromTheSecondOn(SegmenterConformance):
    segmenter_name = "weighted-scales"
    segmenter_options = {"checkpoint": TRAINED, "device": "cpu", "scales": (0.5, 0.25)}  # noqa: RUF012


def test_equation_one_from_states_to_masks(pair: tuple[Any, Any], sam2: Any, scene: tuple[Sample, View]) -> None:
    """sum_l w_l Decoder(sum_n b_n h_n, f_l), then what GeoPixel does with logits."""
    geomag, _ = pair
    sample, view = scene
    rows = states(6)
    answer = Generation(
        "Sure, they are [SEG][SEG][SEG] and [SEG][SEG][SEG].",
        token_ids=(1, *[geomag.token_ids["[SEG]"]] * 3, 2, *[geomag.token_ids["[SEG]"]] * 3, 3),
        hidden=torch.cat([torch.zeros(1, 32), rows[:3], torch.ones(1, 32), rows[3:], torch.zeros(1, 32)]),
    )
    found = geomag.read(answer, sample, view)
    with torch.no_grad():
        logits = by_hand(sam2, view.images[0], geomag.project(merged(rows)))
    expected = interpolate(logits[:, None], size=view.size, mode="bilinear", align_corners=False)[:, 0] > 0
    assert len(found.regions) == 2
    assert found.issues == ()
    assert expected.any()
    assert not expected.all()
    for region, mask in zip(found.regions, expected, strict=True):
        np.testing.assert_array_equal(mask_of(region, view.size), mask.numpy())


def said(head: Any, text: str, rows: Any) -> Generation:
    """An answer whose tokens are [SEG] alone."""
    return Generation(text, token_ids=(head.token_ids["[SEG]"],) * len(rows), hidden=rows)


def test_a_run_cut_short_has_the_whole_weight(pair: tuple[Any, Any], scene: tuple[Sample, View]) -> None:
    geomag, geopixel = pair
    sample, view = scene
    rows = states(5)
    found = geomag.read(said(geomag, "They are [SEG] [SEG] [SEG] and [SEG][SEG]", rows), sample, view)
    rest = (BETAS[0] * rows[3] + BETAS[1] * rows[4]) * sum(BETAS) / (BETAS[0] + BETAS[1])
    both = torch.stack([merged(rows[:3])[0], rest])
    expected = geopixel.read(said(geopixel, "They are [SEG] and [SEG]", both), sample, view)
    assert found.text == expected.text == "They are [SEG] and [SEG]"
    assert len(found.regions) == len(expected.regions) == 2
    assert [region.rle for region in found.regions] == [region.rle for region in expected.regions]


def test_one_token_alone_is_geopixels(backbone: Any, scene: tuple[Sample, View], weighted: Any) -> None:
    """A model that has not learned to write N tokens is read as GeoPixel reads it, whatever N."""
    sample, view = scene
    answers = []
    for name, options in (("geomag", {"tokens": 3}), ("geopixel", {})):
        torch.manual_seed(1)
        head = load("head", name, **options)
        head.segmenter = weighted
        head.bind(backbone)
        answers.append(head.read(said(head, "It is [SEG].", states(1)), sample, view))
    assert len(answers[0].regions) == 1
    assert answers[0].regions[0].rle == answers[1].regions[0].rle


def test_answers_without_states_or_tokens_are_read(pair: tuple[Any, Any], scene: tuple[Sample, View]) -> None:
    geomag, _ = pair
    sample, view = scene
    nothing = geomag.read(Generation("There is no such object in this image."), sample, view)
    assert nothing.parsed
    assert nothing.regions == ()
    unseen = geomag.read(Generation("It is [SEG][SEG][SEG]."), sample, view)
    assert not unseen.parsed
    assert "captured no states" in unseen.issues[0].detail
    other = geomag.read(Generation("no", token_ids=(1,), hidden=torch.zeros(1, 32)), sample, view)
    assert not other.parsed


def test_the_loss_is_geopixels_on_weighted_states(pair: tuple[Any, Any], scene: tuple[Sample, View]) -> None:
    geomag, geopixel = pair
    sample, view = scene
    count = len(sample.targets or ())
    rows = states(3 * count).requires_grad_()
    sums = merged(rows.detach()).requires_grad_()
    found, expected = geomag.loss([rows], [sample], [view]), geopixel.loss([sums], [sample], [view])
    assert set(found) == set(expected) == {"bce", "dice"}
    for name, value in expected.items():
        assert float(value.detach()) > 0
        torch.testing.assert_close(found[name], value)
    sum(found.values()).backward()  # type: ignore[union-attr]
    sum(expected.values()).backward()  # type: ignore[union-attr]
    assert sums.grad is not None
    assert rows.grad is not None
    assert float(sums.grad.abs().max()) > 0
    for place, beta in enumerate(BETAS):
        torch.testing.assert_close(rows.grad[place::3], beta * sums.grad)


def test_training_reaches_the_mask_decoder_alone(pair: tuple[Any, Any], scene: tuple[Sample, View]) -> None:
    geomag, _ = pair
    sample, view = scene
    module = geomag.segmenter.module
    module.zero_grad(set_to_none=True)
    names = [name for name, _ in geomag.trainable()]
    assert any(name.startswith("segmenter.sam_mask_decoder.") for name in names)
    losses = geomag.loss([states(3 * len(sample.targets or ()))], [sample], [view])
    sum(losses.values()).backward()
    assert any(
        weight.grad is not None and weight.grad.abs().max() > 0 for weight in module.sam_mask_decoder.parameters()
    )
    others = [weight for name, weight in module.named_parameters() if not name.startswith("sam_mask_decoder.")]
    assert others
    assert all(weight.grad is None for weight in others)
    module.zero_grad(set_to_none=True)


def test_boxes_guide_it_as_they_guide_geopixel(pair: tuple[Any, Any], scene: tuple[Sample, View], sam2: Any) -> None:
    """The guide of the shipped systems works through the scales, too."""
    sample, view = scene
    rows, losses = states(3 * len(sample.targets or ())), []
    for head, given_states, segmenter in zip(pair, (rows, merged(rows)), (pair[0].segmenter, sam2), strict=True):
        head.segmenter, head.guide_weight, head.bce_weight, head.dice_weight = segmenter, 1.0, 0.0, 0.0
        losses.append(head.loss([given_states], [sample], [view])["guide"])
    torch.testing.assert_close(losses[0], losses[1])


def test_the_answer_has_every_token_several_times(pair: tuple[Any, Any], scene: tuple[Sample, View]) -> None:
    geomag, geopixel = pair
    sample, view = scene
    assert geomag.tasks == geopixel.tasks
    assert geomag.prompt(sample, view).text == geopixel.prompt(sample, view).text
    assert geomag.target(sample, view) == geopixel.target(sample, view).replace("[SEG]", "[SEG][SEG][SEG]")
    assert "[SEG][SEG][SEG]" in geomag.target(sample, view)
    grammar = geomag.grammar(sample, view)
    assert grammar.matches(geomag.target(sample, view))
    assert grammar.matches(geopixel.target(sample, view)), "as a model answers that has not learned to write three"
    assert not grammar.matches("Sure, it is [SEG][SEG][SEG][SEG].")
    assert type(load("head", "geomag", tokens=1).grammar(sample, view)) is type(geopixel.grammar(sample, view))
    assert set(geomag.state_dict()) == set(geopixel.state_dict())


def test_weights_are_checked() -> None:
    assert weights_of("w", None, 4) == (0.25,) * 4
    with pytest.raises(ShapeError, match="one weight each for 3, got 2"):
        weights_of("w", (1.0, 2.0), 3)
    with pytest.raises(ShapeError, match="at least one"):
        weights_of("w", None, 0)
    with pytest.raises(ShapeError, match="'token_weights' must have one weight each for 3, got 1"):
        load("head", "geomag", token_weights=[1.0])


@pytest.fixture(scope="module")
def encoded(weighted: Any, scene: tuple[Sample, View]) -> Any:
    return weighted.encode(scene[1].images[0])


@settings(max_examples=25, deadline=None)
@given(
    one=st.tuples(*[st.floats(-2, 2, width=32)] * 3),
    other=st.tuples(*[st.floats(-2, 2, width=32)] * 3),
    share=st.floats(-2, 2, width=32),
)
def test_logits_are_linear_in_the_weights(
    one: tuple[float, ...], other: tuple[float, ...], share: float, weighted: Any, encoded: Any
) -> None:
    prompts = states(2, weighted.embed_dim)[:, None]

    def logits(weights: tuple[float, ...]) -> Any:
        weighted.weights = weights
        try:
            with torch.no_grad():
                return weighted.decode(encoded, embeddings=prompts)[0]
        finally:
            weighted.weights = WEIGHTS

    mixed = tuple(mine + share * theirs for mine, theirs in zip(one, other, strict=True))
    torch.testing.assert_close(logits(mixed), logits(one) + share * logits(other), atol=2e-3, rtol=1e-3)


def test_one_scale_alone_is_the_segmenter(sam2: Any, scene: tuple[Sample, View]) -> None:
    image, prompts = scene[1].images[0], states(2, sam2.embed_dim)[:, None]
    plain = WeightedScales(scales=(1.0,), checkpoint=TRAINED, device="cpu")
    for several in (False, True):
        found = plain.decode(plain.encode(image), embeddings=prompts, multimask=several)
        for mine, theirs in zip(
            found, sam2.decode(sam2.encode(image), embeddings=prompts, multimask=several), strict=True
        ):
            torch.testing.assert_close(mine, theirs)
    assert plain.embed_dim == sam2.embed_dim
    assert plain.image_size == sam2.image_size


def test_boxes_and_points_are_about_the_image_at_any_first_scale(sam2: Any, scene: tuple[Sample, View]) -> None:
    sample, view = scene
    image, size = view.images[0], view.size
    assert sample.targets
    truth = mask_of(sample.targets[0], size)
    rows, columns = np.nonzero(truth)
    box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    inside = (float(columns.mean()), float(rows.mean()))
    small = WeightedScales(scales=(0.5, 0.25), checkpoint=TRAINED, device="cpu")
    features = small.encode(image)
    prompts = [MaskPrompt(box=box), MaskPrompt(box=box, points=(inside,), negative_points=((1.0, 1.0),))]
    masks, scores = small.segment(features, prompts, size)
    halved = np.asarray(Image.fromarray(image).resize((size[1] // 2, size[0] // 2), Image.Resampling.BILINEAR))
    half = (box[0] / 2, box[1] / 2, box[2] / 2, box[3] / 2)
    middle = (inside[0] / 2, inside[1] / 2)
    expected, right = sam2.segment(
        sam2.encode(halved),
        [MaskPrompt(box=half), MaskPrompt(box=half, points=(middle,), negative_points=((0.5, 0.5),))],
        size,
    )
    np.testing.assert_array_equal(masks, expected)
    np.testing.assert_allclose(scores, right, atol=1e-5)
    assert (masks[0] & truth).sum() / (masks[0] | truth).sum() > 0.5, "the small SAM 2 knows what a box means"
    for boxes in (np.asarray([box]), torch.tensor([box]), [[round(edge) for edge in box]]):
        logits, _ = small.decode(features, boxes=boxes)
        wanted = torch.as_tensor(np.asarray(boxes)).float() / 2
        torch.testing.assert_close(logits, sam2.decode(sam2.encode(halved), boxes=wanted)[0])


def test_embeddings_are_weighted_whichever_way_they_come(weighted: Any, encoded: Any, sam2: Any) -> None:
    rows = states(2, weighted.embed_dim)
    prompts = [MaskPrompt(embedding=rows[0]), MaskPrompt(box=(10, 10, 90, 60)), MaskPrompt(embedding=rows[1:])]
    masks, scores = weighted.segment(encoded, prompts, (80, 60))
    with torch.no_grad():
        logits, quality = weighted.decode(encoded, embeddings=rows[:, None])
    expected = interpolate(logits, size=(80, 60), mode="bilinear", align_corners=False)[:, 0] > 0
    np.testing.assert_array_equal(masks[[0, 2]], expected.numpy())
    np.testing.assert_allclose(scores[[0, 2]], quality[:, 0].clamp(0, 1), atol=1e-5)
    alone, _ = sam2.segment(encoded.features[0], [prompts[1]], (80, 60))
    np.testing.assert_array_equal(masks[1], alone[0])


def test_prompts_that_are_none_weigh_nothing(weighted: Any, encoded: Any) -> None:
    """Sam2Segmenter.decode takes None for what is not given; so does what stands before it."""
    rows = states(2, weighted.embed_dim)[:, None]
    with torch.no_grad():
        plain = weighted.decode(encoded, embeddings=rows)
        found = weighted.decode(encoded, embeddings=rows, boxes=None, points=None, labels=None, masks=None)
        boxed = weighted.decode(encoded, boxes=[[10, 10, 90, 60]], embeddings=None)
    torch.testing.assert_close(found, plain, atol=0, rtol=0)
    torch.testing.assert_close(boxed, weighted.decode(encoded, boxes=[[10, 10, 90, 60]]), atol=0, rtol=0)


def test_scales_are_checked() -> None:
    with pytest.raises(ShapeError, match="'scales' must be shares"):
        WeightedScales(scales=(2.0,), checkpoint=TRAINED)
    with pytest.raises(ShapeError, match="one weight each for 3, got 1"):
        WeightedScales(weights=(1.0,), checkpoint=TRAINED)
    with pytest.raises(UnknownNameError, match="Did you mean 'sam2'"):
        WeightedScales(of="sam", checkpoint=TRAINED)


def test_a_segmenter_without_embeddings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """None that ships is one."""
    monkeypatch.setattr(scales_module, "construct", lambda spec, **options: object())
    with pytest.raises(ContractError, match=r"must have decode\(features, embeddings=...\)"):
        WeightedScales(checkpoint=TRAINED)
