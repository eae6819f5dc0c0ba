"""The GeoPixel head: words, marks, losses, masks; against a segmenter small enough to compute by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rsground.contracts import Segmenter  # noqa: E402
from rsground.errors import CheckpointError, ContractError, DataError, ShapeError  # noqa: E402
from rsground.geometry import mask_to_hbb  # noqa: E402
from rsground.models.folder import save_state  # noqa: E402
from rsground.models.tokens import ids_of, positions, states_at  # noqa: E402
from rsground.regions import hbb_of, mask_of  # noqa: E402
from rsground.testing import HeadConformance, miniature  # noqa: E402
from rsground.testing.samples import blank_view  # noqa: E402
from rsground.types import Generation, Region, Sample, Task, View  # noqa: E402
from rsground_segtoken.geopixel import wording  # noqa: E402
from rsground_segtoken.geopixel.decoding import decode_masks, stability, upscale  # noqa: E402
from rsground_segtoken.geopixel.head import GeoPixelHead  # noqa: E402
from rsground_segtoken.geopixel.losses import mask_bce, mask_dice  # noqa: E402
from rsground_segtoken.geopixel.targets import target_masks  # noqa: E402
from rsground_segtoken.hd_tiles import HDTiles  # noqa: E402

HIDDEN, WIDTH, GRID = 6, 4, 12
TOKENS = {"[SEG]": 7, "<p>": 8, "</p>": 9}


class PlaneSegmenter(Segmenter):
    """Logits are a tilted plane: an embedding (a, b, c, _) gives a x + b y + c, x and y in 0 ... 1 across the image."""

    embed_dim = WIDTH

    def __init__(self) -> None:
        self.module = torch.nn.Module()
        self.module.image_encoder = torch.nn.Linear(1, 1)
        self.module.sam_mask_decoder = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(self.module.sam_mask_decoder.weight, 1.0)
        self.encoded = 0

    def encode(self, image: Any) -> Any:
        self.encoded += 1
        return image.shape[:2]

    def decode(self, features: Any, *, embeddings: Any, multimask: bool = False) -> tuple[Any, Any]:
        assert embeddings.shape[1:] == (1, WIDTH)
        axis = (torch.arange(GRID) + 0.5) / GRID
        a, b, c = (embeddings[:, 0, index, None, None] for index in range(3))
        plane = (a * axis[None, None, :] + b * axis[None, :, None] + c) * self.module.sam_mask_decoder.weight[0, 0]
        if not multimask:
            return plane[:, None], torch.ones(len(plane), 1)
        several = torch.stack([plane + 1.0, plane + 2.0, plane + 3.0], dim=1)
        return several, torch.tensor([[0.1, 0.9, 0.5]]).expand(len(plane), 3)

    def _segment(self, features: Any, prompts: Any, size: tuple[int, int]) -> Any:
        raise NotImplementedError


class Words:
    """A tokenizer of known words."""

    unk_token_id = 0

    def convert_tokens_to_ids(self, token: str) -> int:
        return TOKENS.get(token, 0)


BACKBONE = SimpleNamespace(tokenizer=Words(), hidden_size=HIDDEN, device=torch.device("cpu"))


def planes(head: GeoPixelHead) -> None:
    """Make the projection pass the first entries of a (non-negative) state through."""
    assert head.text_hidden_fcs is not None
    with torch.no_grad():
        for layer in (head.text_hidden_fcs[0][0], head.text_hidden_fcs[0][2]):
            layer.weight.copy_(torch.eye(*layer.weight.shape))
            layer.bias.zero_()
        head.text_hidden_fcs[0][2].bias[2] = -0.5


def ready(**options: Any) -> GeoPixelHead:
    head = GeoPixelHead(**options)
    head.segmenter = PlaneSegmenter()
    head.bind(BACKBONE)
    planes(head)
    return head.eval()


def answer_of(text: str, states: Any) -> Generation:
    """A generation whose tokens are its [SEG]s with a word before each."""
    ids = tuple(number for _ in states for number in (3, TOKENS["[SEG]"]))
    hidden = torch.zeros(len(ids), HIDDEN)
    hidden[1::2] = torch.as_tensor(states, dtype=torch.float32)
    return Generation(text, token_ids=ids, hidden=hidden)


RIGHT_HALF = [1.0, 0, 0, 0, 0, 0]  # x > 0.5
LOWER_HALF = [0, 1.0, 0, 0, 0, 0]  # y > 0.5
NOTHING = [0.0, 0, 0, 0, 0, 0]


class TestGeoPixel(HeadConformance):
    head_name = "geopixel"


def test_asks_and_answers_as_published() -> None:
    sample = replace(miniature(Task.MASK), expression="the ship at the pier")
    head, view = GeoPixelHead(), blank_view(sample)
    asked = "Could you provide a segmentation mask for the ship at the pier in this image?"
    assert head.prompt(sample, view).text == asked
    assert head.target(sample, view) == "Sure, it is [SEG]."
    assert head.prompt(sample, view).capture == {"hidden"}


@pytest.mark.parametrize("masks", [0, 1, 2, 3, 17])
def test_every_referring_answer_is_in_its_grammar(masks: int) -> None:
    text = wording.answer(masks)
    assert text.count("[SEG]") == masks
    assert wording.referring_grammar().matches(text)
    assert not wording.referring_grammar().matches(text + " ")


def test_several_objects_are_listed() -> None:
    assert wording.answer(3) == "Sure, they are [SEG], [SEG] and [SEG]."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "An empty field.",
        "The <p> tennis court-1 </p> [SEG] at right ... <p> tennis court-2 </p> [SEG] , <p> court </p> [SEG] end.",
        "<p>Two ships</p> [SEG] and [SEG] lie here.",
        "<p>a</p>[SEG]",
    ],
)
def test_descriptions_with_closed_marks_are_in_the_grammar(text: str) -> None:
    assert wording.description_grammar().matches(text)


BROKEN = ["<p> ship [SEG]", "<p>ship</p>", "[SEG]", "ship </p> [SEG]", "<p></p> [SEG]", "a < b"]


@pytest.mark.parametrize("text", BROKEN)
def test_broken_marks_are_not(text: str) -> None:
    assert not wording.description_grammar().matches(text)


def test_grammar_states_come_back() -> None:
    """Free text stays in one state, so that a decoder can keep what it computed for it."""
    grammar = wording.description_grammar()
    state = grammar.advance(grammar.start(), "ab")
    assert grammar.advance(state, "cdefgh") == state


def test_random_valid_descriptions_can_be_read() -> None:
    grammar, rng = wording.description_grammar(), np.random.default_rng(0)
    for _ in range(30):
        text = grammar.sample(rng, stop=0.2)
        assert grammar.matches(text)


def test_published_descriptions_are_in_the_grammar(shared_data: Path) -> None:
    from rsground.datasets.geopixeld import GeoPixelD

    seen = 0
    for sample in GeoPixelD(shared_data / "geopixeld_mini", split="train"):
        head, view = GeoPixelHead(), blank_view(sample)
        assert head.grammar(sample, view).matches(head.target(sample, view))
        assert len(target_masks(sample, view)) == head.target(sample, view).count("[SEG]") > 1
        assert target_masks(sample, view).any(axis=(1, 2)).all()
        seen += 1
    assert seen


def test_a_state_becomes_its_mask() -> None:
    sample = miniature(Task.MASK, size=(48, 64))
    generation = answer_of("Sure, it is [SEG].", [RIGHT_HALF])
    found = ready(stability_fallback=False).read(generation, sample, blank_view(sample))
    (region,) = found.regions
    wanted = np.zeros((48, 64), bool)
    wanted[:, 32:] = True
    np.testing.assert_array_equal(mask_of(region, (48, 64)), wanted)
    assert region.hbb == (32.0, 0.0, 64.0, 48.0)
    assert found.parsed
    assert not found.issues


def test_phrases_keep_their_words_and_places() -> None:
    sample = miniature(Task.GCG, targets=2)
    text = "A <p> ship-1 </p> [SEG] and <p>docks</p> [SEG]."
    found = ready(stability_fallback=False).read(answer_of(text, [RIGHT_HALF, LOWER_HALF]), sample, blank_view(sample))
    assert [region.label for region in found.regions] == ["ship", "docks"]
    assert [text[slice(*region.span)] for region in found.regions] == ["<p> ship-1 </p> [SEG]", "<p>docks</p> [SEG]"]
    assert mask_of(found.regions[1], sample.size)[24:].all()
    assert not mask_of(found.regions[1], sample.size)[:24].any()


def test_boxes_come_from_masks() -> None:
    sample = replace(miniature(Task.OBB, size=(40, 60)), task=Task.OBB)
    head = ready(stability_fallback=False)
    found = head.read(answer_of("Sure, it is [SEG].", [LOWER_HALF]), sample, blank_view(sample))
    assert sorted(found.regions[0].quad) == [(0.0, 20.0), (0.0, 40.0), (60.0, 20.0), (60.0, 40.0)]
    empty = head.read(answer_of("Sure, it is [SEG].", [NOTHING]), sample, blank_view(sample))
    assert empty.regions == ()
    assert [issue.code for issue in empty.issues] == ["degenerate"]


def test_a_stray_part_spoils_the_box_unless_only_the_largest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = replace(miniature(Task.HBB, size=(40, 60)), task=Task.HBB)
    stray = np.zeros((1, 40, 60), dtype=bool)
    stray[0, 5:15, 20:30] = stray[0, 35:37, 50:52] = True
    for only, expected in ((False, (20.0, 5.0, 52.0, 37.0)), (True, (20.0, 5.0, 30.0, 15.0))):
        head = ready(largest_part=only)
        monkeypatch.setattr(head, "masks", lambda states, view: stray)
        found = head.read(answer_of("Sure, it is [SEG].", [LOWER_HALF]), sample, blank_view(sample))
        assert hbb_of(found.regions[0]) == expected


def test_answers_without_masks() -> None:
    head, sample = ready(), miniature(Task.MASK)
    view = blank_view(sample)
    none = head.read(Generation(wording.NONE), sample, view)
    assert (none.parsed, none.regions, none.issues) == (True, (), ())
    assert not head.read(Generation("A sunny day."), sample, view).parsed
    assert head.read(Generation("A sunny day."), replace(sample, task=Task.GCG), view).parsed
    blind = head.read(Generation("Sure, it is [SEG]."), sample, view)
    assert [issue.code for issue in blind.issues] == ["no-answer"]


def test_a_lost_last_state_costs_its_own_mask_only() -> None:
    """An answer cut right after [SEG] may come without that token's state."""
    sample, whole = miniature(Task.MASK, targets=2), answer_of("[SEG] [SEG]", [RIGHT_HALF, LOWER_HALF])
    cut = replace(whole, hidden=whole.hidden[:-1])
    found = ready(stability_fallback=False).read(cut, sample, blank_view(sample))
    assert len(found.regions) == 1
    assert [issue.code for issue in found.issues] == ["truncated"]


def test_masks_are_decoded_in_the_image_that_was_divided() -> None:
    sample = miniature(Task.MASK, size=(48, 64))
    tiled = HDTiles(tile=32, variant="training").apply(blank_view(sample), sample)
    head = ready(stability_fallback=False)
    generation = answer_of("Sure, it is [SEG].", [RIGHT_HALF])
    plain = head.read(generation, sample, blank_view(sample))
    through = head.read(generation, sample, tiled)
    assert through.regions == plain.regions


def test_features_are_kept_by_uri() -> None:
    sample, head = miniature(Task.MASK), ready(keep_features=2)
    view = replace(blank_view(sample), meta={"uri": "a"})
    for name in ("a", "a", "b", "a", "c", "b"):
        head.features(replace(view, meta={"uri": name}))
    assert head.segmenter.encoded == 4  # a, b, c, and b again
    head.features(blank_view(sample))
    head.features(blank_view(sample))
    assert head.segmenter.encoded == 6


def test_losses_by_hand() -> None:
    logits = torch.tensor([[[0.0, 0.0], [math.log(3.0), -math.log(3.0)]]])
    target = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])
    bce = (math.log(2) + math.log(2) + math.log(4 / 3) + math.log(4)) / 4
    assert mask_bce(logits, target).item() == pytest.approx(bce, rel=1e-6)
    overlap, total = 2 * (0.5 + 0.75 + 0.25) / 1000, (0.5 + 0.5 + 0.75 + 0.25) / 1000 + 3 / 1000
    assert mask_dice(logits, target).item() == pytest.approx(1 - (overlap + 1e-6) / (total + 1e-6), rel=1e-5)


def test_loss_is_weighted_and_averaged_over_all_masks() -> None:
    head = ready()
    one, two = miniature(Task.MASK, 1), miniature(Task.GCG, 3)
    states = [torch.tensor([RIGHT_HALF]), torch.tensor([LOWER_HALF, RIGHT_HALF, NOTHING])]
    views = [blank_view(one), blank_view(two)]
    found = head.loss(states, [one, two], views)
    bce, dice = [], []
    for rows, sample, view in zip(states, (one, two), views, strict=True):
        logits = upscale(decode_masks(head.segmenter, None, head.project(rows)), sample.size)
        truth = torch.from_numpy(target_masks(sample, view)).float()
        bce += mask_bce(logits, truth).tolist()
        dice += mask_dice(logits, truth).tolist()
    assert found["bce"].item() == pytest.approx(2.0 * np.mean(bce), rel=1e-5)
    assert found["dice"].item() == pytest.approx(0.5 * np.mean(dice), rel=1e-5)


def test_loss_size_averages_targets() -> None:
    sample = miniature(Task.MASK, size=(48, 64))
    head = ready(loss_size=16)
    logits, truth = head._at_loss_size(torch.zeros(1, GRID, GRID), target_masks(sample, blank_view(sample)))
    assert logits.shape == truth.shape == (1, 12, 16)
    assert truth.mean().item() == pytest.approx(target_masks(sample, blank_view(sample)).mean(), abs=1e-6)


def test_a_guide_is_the_distance_to_what_the_segmenter_makes_of_the_box() -> None:
    """A segmenter that embeds a box as its own corners: the distance is theirs, and nothing is decoded."""
    head, sample = ready(bce_weight=0.0, dice_weight=0.0, guide_weight=3.0), miniature(Task.MASK, 2)
    sizes = []

    def box_embeddings(boxes: Any, size: tuple[int, int]) -> Any:
        sizes.append(size)
        return torch.as_tensor(boxes, dtype=torch.float32)

    head.segmenter.box_embeddings = box_embeddings
    states = torch.rand(2, HIDDEN)
    found = head.loss([states], [sample], [blank_view(sample)])
    boxes = torch.from_numpy(mask_to_hbb(target_masks(sample, blank_view(sample)))).float()
    wanted = 3.0 * ((head.project(states) - boxes) ** 2).mean()
    assert found.keys() == {"guide"}
    assert found["guide"].item() == pytest.approx(wanted.item(), rel=1e-5)
    assert sizes == [sample.size]
    assert head.segmenter.encoded == 0
    with pytest.raises(ContractError, match="box_embeddings"):
        ready(guide_weight=1.0).loss([states], [sample], [blank_view(sample)])


def test_training_reaches_projection_states_and_mask_decoder_only() -> None:
    head, sample = ready(), miniature(Task.MASK)
    names = [name for name, _ in head.trainable()]
    assert "text_hidden_fcs.0.0.weight" in names
    assert "segmenter.sam_mask_decoder.weight" in names
    states = torch.tensor([RIGHT_HALF], requires_grad=True)
    sum(head.loss([states], [sample], [blank_view(sample)]).values()).backward()
    assert states.grad.abs().sum() > 0
    assert head.segmenter.module.sam_mask_decoder.weight.grad is not None
    assert not any(parameter.requires_grad for parameter in head.segmenter.module.image_encoder.parameters())
    kept = [f"text_hidden_fcs.0.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")]
    assert list(head.state_dict()) == kept


def test_a_batch_without_masks_has_a_loss_of_zero_with_gradients() -> None:
    head, sample = ready(), miniature(Task.MASK, targets=0)
    found = head.loss([torch.zeros(0, HIDDEN)], [sample], [blank_view(sample)])
    assert found["bce"].item() == found["dice"].item() == 0.0
    (found["bce"] + found["dice"]).backward()
    assert head.text_hidden_fcs[0][0].weight.grad is not None


def test_a_few_steps_learn_a_mask() -> None:
    torch.manual_seed(0)
    head = GeoPixelHead()
    head.segmenter = PlaneSegmenter()
    head.bind(BACKBONE)
    sample = Sample("s", miniature(Task.MASK).images, "the left", Task.MASK, targets=(Region(hbb=(0, 0, 32, 48)),))
    view, states = blank_view(sample), torch.rand(1, HIDDEN)
    optimiser = torch.optim.Adam([parameter for _, parameter in head.trainable()], lr=0.05)
    for _ in range(60):
        optimiser.zero_grad()
        sum(head.loss([states], [sample], [view]).values()).backward()
        optimiser.step()
    mask = head.eval().masks(states, view)[0]
    truth = target_masks(sample, view)[0]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.9


def test_spans_say_which_targets_a_mask_unites() -> None:
    answer = "<p>Two tanks</p> [SEG] and <p>one</p> [SEG]."
    base = miniature(Task.GCG, 3)
    spans = [(0, 22), (0, 22), (27, 43)]
    targets = tuple(replace(region, span=span) for region, span in zip(base.targets, spans, strict=True))
    sample = replace(base, targets=targets, answer=answer)
    masks = target_masks(sample, blank_view(sample))
    each = [mask_of(region, sample.size) for region in targets]
    np.testing.assert_array_equal(masks, [each[0] | each[1], each[2]])
    with pytest.raises(DataError, match="number 2"):
        target_masks(replace(sample, targets=targets[:2]), blank_view(sample))


def test_wrong_numbers_of_states_are_named() -> None:
    sample = miniature(Task.MASK, 1)
    with pytest.raises(ContractError, match=r"1 \[SEG\], got 2"):
        ready().loss([torch.zeros(2, HIDDEN)], [sample], [blank_view(sample)])
    with pytest.raises(DataError, match="not annotated"):
        GeoPixelHead().target(replace(sample, targets=None), blank_view(sample))


def test_unstable_masks_fall_back_to_the_best_other_token() -> None:
    segmenter = PlaneSegmenter()
    flat = torch.tensor([[0.0, 0, 0.0, 0], [0.0, 0, 5.0, 0]])  # the first is 0 everywhere: inside both thresholds
    assert stability(segmenter.decode(None, embeddings=flat[:, None])[0][:, 0]).tolist() == [0.0, 1.0]
    settled = decode_masks(segmenter, None, flat, fallback=True)
    assert settled[0].unique().tolist() == [2.0]
    assert settled[1].unique().tolist() == [5.0]
    assert decode_masks(segmenter, None, flat).unique().tolist() == [0.0, 5.0]
    assert stability(torch.full((1, 2, 2), -1.0)).tolist() == [1.0]


@pytest.mark.parametrize("own", [True, False])
def test_the_segmenters_own_fallback_does_not_count(own: bool) -> None:
    segmenter, seen = PlaneSegmenter(), []
    part = segmenter.module.sam_mask_decoder
    part.dynamic_multimask_via_stability = own
    plain = segmenter.decode

    def decode(*args: Any, **options: Any) -> tuple[Any, Any]:
        seen.append(part.dynamic_multimask_via_stability)
        return plain(*args, **options)

    segmenter.decode = decode  # type: ignore[method-assign]
    decode_masks(segmenter, None, torch.zeros(1, WIDTH), fallback=True)
    assert seen == [False, own]
    assert part.dynamic_multimask_via_stability is own


def test_weights_come_back_from_a_system_folder(tmp_path: Path) -> None:
    head = ready()
    save_state(head, tmp_path / "head")
    again = GeoPixelHead(tmp_path)
    assert torch.equal(again.text_hidden_fcs[0][2].weight, head.text_hidden_fcs[0][2].weight)
    again.segmenter = PlaneSegmenter()
    again.bind(BACKBONE)
    with pytest.raises(ContractError, match="width 6"):
        GeoPixelHead(tmp_path).bind(SimpleNamespace(tokenizer=Words(), hidden_size=8, device="cpu"))


def test_weights_come_from_a_published_layout(tmp_path: Path) -> None:
    head = ready()
    state = {f"model.{key}": value for key, value in head.state_dict().items()}
    save_state(state | {"model.norm.weight": torch.ones(HIDDEN)}, tmp_path)
    again = GeoPixelHead(tmp_path)
    assert torch.equal(again.text_hidden_fcs[0][0].bias, head.text_hidden_fcs[0][0].bias)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    save_state({"other": torch.ones(1)}, tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint of head 'geopixel'"):
        GeoPixelHead(tmp_path)
    with pytest.raises(ContractError, match="name one in the system"):
        GeoPixelHead(hidden_size=HIDDEN, embed_dim=WIDTH).features(blank_view(miniature(Task.MASK)))
    with pytest.raises(ContractError, match="does not know its widths"):
        GeoPixelHead().project(torch.zeros(1, HIDDEN))
    with pytest.raises(ContractError, match="no token for <p>"):
        ids_of(SimpleNamespace(unk_token_id=None, convert_tokens_to_ids={"[SEG]": 1}.get), ["[SEG]", "<p>"])
    with pytest.raises(ShapeError, match="loss_size"):
        GeoPixelHead(loss_size=0)


def test_positions_of_tokens() -> None:
    assert positions((5, 7, 7, 2, 7), 7) == (1, 2, 4)
    assert positions(None, 7) == ()
    states = states_at(Generation("", token_ids=(7, 5, 7), hidden=torch.arange(6.0).reshape(3, 2)), 7)
    assert states.tolist() == [[0.0, 1.0], [4.0, 5.0]]
    assert states_at(Generation("", token_ids=(7,)), 7) is None


def test_views_with_another_frame() -> None:
    """A crop: masks of the crop land in the original image."""
    sample = miniature(Task.MASK, size=(48, 64))
    view = View((np.zeros((24, 32, 3), np.uint8),), (48, 64), (1.0, 0.0, 10.0, 0.0, 1.0, 5.0))
    found = ready(stability_fallback=False).read(answer_of("Sure, it is [SEG].", [RIGHT_HALF]), sample, view)
    wanted = np.zeros((48, 64), bool)
    wanted[5:29, 26:42] = True
    np.testing.assert_array_equal(mask_of(found.regions[0], (48, 64)), wanted)
