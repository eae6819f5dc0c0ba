"""GeoMag's Eq. 1: several [SEG] per mask, several scales per image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from rsground.contracts import Segmenter
from rsground.errors import ContractError, ShapeError
from rsground.registry import load
from rsground.testing import miniature
from rsground.testing.samples import blank_view
from rsground.types import Generation, Prediction, Sample, Task, View
from rsground_magcrop import scales
from rsground_magcrop.geomag import WeightedTokens, weights_of
from rsground_magcrop.scales import WeightedScales

SEG, SEG_ID = "[SEG]", 7


class Base:
    """A head of one [SEG] per mask that remembers what it was given."""

    state_token, token_ids = SEG, {SEG: SEG_ID}

    def target(self, sample: Sample, view: View) -> str:
        return f"They are {SEG}, {SEG} and {SEG}."

    def grammar(self, sample: Sample, view: View) -> str:
        return "the base's"

    def loss(self, hidden: Any, samples: Any, views: Any) -> dict[str, Any]:
        return {"seen": hidden}

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        self.given = generation
        return Prediction()


class Head(WeightedTokens, Base):  # type: ignore[misc]
    """The mixin over it."""


def head(*weights: float) -> Any:
    made = Head()
    made.token_weights = weights
    return made


SAMPLE = miniature(Task.MASK)
VIEW = blank_view(SAMPLE)


def test_the_answer_has_every_token_several_times() -> None:
    assert head(0.5, 0.5).target(SAMPLE, VIEW) == "They are [SEG][SEG], [SEG][SEG] and [SEG][SEG]."
    assert head(0.5, 0.5).grammar(SAMPLE, VIEW) is None
    assert head(1.0).grammar(SAMPLE, VIEW) == "the base's"


def test_states_are_added_by_weight_in_the_loss() -> None:
    states = torch.arange(12.0).reshape(6, 2).requires_grad_()
    (merged,) = head(0.25, 0.5, 1.0).loss([states], [SAMPLE], [VIEW])["seen"]
    expected = [[0 * 0.25 + 2 * 0.5 + 4, 1 * 0.25 + 3 * 0.5 + 5], [6 * 0.25 + 8 * 0.5 + 10, 7 * 0.25 + 9 * 0.5 + 11]]
    torch.testing.assert_close(merged, torch.tensor(expected))
    merged.sum().backward()
    torch.testing.assert_close(states.grad[:, 0], torch.tensor([0.25, 0.5, 1.0] * 2))


def test_an_answer_is_read_with_its_tokens_collapsed() -> None:
    text = "They are [SEG][SEG], [SEG] [SEG] and [SEG]."
    ids = (1, SEG_ID, SEG_ID, 2, SEG_ID, 3, SEG_ID, 4, SEG_ID, 5)
    hidden = torch.arange(10.0)[:, None].repeat(1, 3)
    reader = head(0.25, 0.75)
    found = reader._read(Generation(text, token_ids=ids, hidden=hidden), SAMPLE, VIEW)
    assert reader.given.text == found.text == "They are [SEG], [SEG] and [SEG]."
    assert reader.given.token_ids == (SEG_ID,) * 3
    # the last run is short: its one token has all the weight
    torch.testing.assert_close(reader.given.hidden[:, 0], torch.tensor([1.75, 4 * 0.25 + 6 * 0.75, 8.0]))


def test_answers_without_states_or_tokens_are_read() -> None:
    reader = head(0.5, 0.5)
    reader._read(Generation("nothing here"), SAMPLE, VIEW)
    assert reader.given.text == "nothing here"
    reader._read(Generation("it is [SEG][SEG]"), SAMPLE, VIEW)
    assert reader.given.text == "it is [SEG]"
    assert reader.given.hidden is None
    reader._read(Generation("no", token_ids=(1,), hidden=torch.zeros(1, 3)), SAMPLE, VIEW)
    assert reader.given.hidden.shape == (0, 3)


def test_weights_are_checked() -> None:
    assert weights_of("w", None, 4) == (0.25,) * 4
    with pytest.raises(ShapeError, match="one weight each for 3, got 2"):
        weights_of("w", (1.0, 2.0), 3)
    with pytest.raises(ShapeError, match="at least one"):
        weights_of("w", None, 0)


def test_the_registered_head_is_geopixel_with_more_tokens() -> None:
    pytest.importorskip("rsground_segtoken")
    found = load("head", "geomag", tokens=2)
    assert found.tasks == load("head", "geopixel").tasks
    assert found.target(SAMPLE, VIEW) == "Sure, it is [SEG][SEG]."
    assert found.prompt(SAMPLE, VIEW).text == load("head", "geopixel").prompt(SAMPLE, VIEW).text
    found.state_dict()


class Planes(Segmenter):
    """Logits are the embedding times the image's mean; keeps what it was shown."""

    embed_dim = 4

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def encode(self, image: np.ndarray[Any, Any]) -> Any:
        self.shown.append(image.shape)
        return len(self.shown)

    def decode(self, features: int, *, embeddings: Any = None, boxes: Any = None, multimask: bool = False) -> Any:
        count = len(boxes if embeddings is None else embeddings)
        grid = 8 if features == 1 else 4
        return torch.full((count, 1, grid, grid), float(features)), torch.full((count, 1), features / 10)

    def _segment(self, features: Any, prompts: Any, size: Any) -> Any:
        return np.full((len(prompts), *size), features == 1), np.ones(len(prompts), np.float32)


@pytest.fixture
def planes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scales, "construct", lambda spec, **options: Planes(**options))


@pytest.mark.usefixtures("planes")
def test_scales_are_added_by_weight() -> None:
    segmenter = WeightedScales(of=_any_segmenter(), scales=(1.0, 0.5), weights=(0.75, 0.5))
    features = segmenter.encode(np.zeros((40, 60, 3), np.uint8))
    assert segmenter.inner.shown == [(40, 60, 3), (20, 30, 3)]
    logits, quality = segmenter.decode(features, embeddings=torch.zeros(3, 1, 4))
    torch.testing.assert_close(logits, torch.full((3, 1, 8, 8), 1 * 0.75 + 2 * 0.5))
    torch.testing.assert_close(quality, torch.full((3, 1), 0.1 * 0.75 + 0.2 * 0.5))
    assert segmenter.embed_dim == 4
    alone, _ = segmenter.decode(features, boxes=torch.zeros(2, 4))
    torch.testing.assert_close(alone, torch.ones(2, 1, 8, 8))
    masks, _ = segmenter.segment(features, [None], (5, 6))  # type: ignore[list-item]
    assert masks.all()


@pytest.mark.usefixtures("planes")
def test_scales_are_checked() -> None:
    with pytest.raises(ShapeError, match="'scales' must be shares"):
        WeightedScales(of=_any_segmenter(), scales=(2.0,))
    with pytest.raises(ShapeError, match="one weight each for 3, got 1"):
        WeightedScales(of=_any_segmenter(), weights=(1.0,))


def test_a_segmenter_without_embeddings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scales, "construct", lambda spec, **options: object())
    with pytest.raises(ContractError, match=r"must have decode\(features, embeddings=...\)"):
        WeightedScales(of=_any_segmenter())


def _any_segmenter() -> str:
    from rsground.registry import registry

    return next(name for name in sorted(registry().offers("segmenter")) if name != "weighted-scales")
