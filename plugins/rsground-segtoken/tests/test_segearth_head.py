"""The SegEarth-R1 head: on any backbone, with the backbone's own maps, and at published sizes through its backbone."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rsground.assembly import assemble  # noqa: E402
from rsground.contracts import Backbone, Prompt  # noqa: E402
from rsground.errors import (  # noqa: E402
    CheckpointError,
    ContractError,
    DataError,
    PromptError,
    ShapeError,
    UnknownNameError,
)
from rsground.models.state import save_state  # noqa: E402
from rsground.regions import hbb_of, mask_of  # noqa: E402
from rsground.testing import HeadConformance  # noqa: E402
from rsground.testing.samples import miniature  # noqa: E402
from rsground.types import Generation, Region, Sample, Task, View  # noqa: E402
from rsground_segtoken.segearth import PRESETS, SegEarthR1Head, answers  # noqa: E402
from rsground_segtoken.segearth.features import FeatureCache, key_of  # noqa: E402

WIDTH = 12
TINY = {
    "swin": {"embed": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 1, 1), "window": 4, "drop_path": 0.0},
    "size": 64, "width": 32, "latent": 16, "heads": 2, "pixel_hidden": 16, "layers": 2, "decoder_hidden": 16,
    "points": 64,
}  # fmt: skip


def head(**options: object) -> SegEarthR1Head:
    torch.manual_seed(0)
    return SegEarthR1Head(**{"hidden_size": WIDTH, **TINY, **options})


def view_of(sample: Sample, seed: int = 0) -> View:
    pixels = np.random.default_rng(seed).integers(0, 256, (*sample.size, 3), dtype=np.uint8)
    pixels.flags.writeable = False
    return View((pixels,), sample.size)


def said(seed: int = 0, length: int = 5) -> Generation:
    states = torch.randn(length, WIDTH, generator=torch.Generator().manual_seed(seed))
    return Generation("the tank[SEG]", "forced", token_ids=(*range(length - 1), 99), hidden=states)


class Pyramids(Backbone):
    """A backbone that has maps: mean grey levels of the view, stretched."""

    hidden_size = WIDTH
    channels = (3, 3, 3, 3)

    def pyramid(self, view: View) -> list[torch.Tensor]:
        pixels = torch.from_numpy(view.images[-1].copy()).permute(2, 0, 1)[None].float() / 255
        return [torch.nn.functional.adaptive_avg_pool2d(pixels, 16 // 2**level) for level in range(4)]

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        return [said() for _ in prompts]


def test_the_description_is_the_forced_answer() -> None:
    sample = replace(miniature("mask"), expression="the  [SEG] red\nroof")
    prompt = head().prompt(sample, view_of(sample))
    assert prompt.answer == "the red roof[SEG]"
    assert "red roof" not in prompt.text
    assert prompt.capture == {"hidden"}
    assert prompt.answer == head().target(replace(sample, targets=None), view_of(sample))


@pytest.mark.parametrize("task", ["mask", "hbb", "obb"])
def test_answers_in_the_image_s_own_pixels(task: str) -> None:
    sample = miniature(task, size=(48, 80))
    view = View((np.zeros((24, 40, 3), np.uint8),), (48, 80), to_original=(2, 0, 0, 0, 2, 0))
    reader = head(presence=False).eval()
    with torch.no_grad():
        reader._built().predictor.mask_embed.layers[2].bias.add_(0.5)
    found = reader.read(said(), sample, view)
    assert found.parsed
    assert all(mask_of(region, sample.size).shape == (48, 80) for region in found.regions)


def test_without_states_the_answer_is_counted_as_failed() -> None:
    sample = miniature("mask")
    for reader in (head(), SegEarthR1Head(**TINY)):
        generation = Generation("x") if reader.branch else said()
        found = reader.read(generation, sample, view_of(sample))
        assert not found.parsed
        assert found.issues[0].code == "no-answer"


def test_only_the_description_s_states_count() -> None:
    reader = head()
    reader.token_ids = {"[SEG]": 7}
    generation = Generation("x", token_ids=(1, 7, 3, 7), hidden=torch.arange(8.0).view(4, 2))
    assert reader.rows(generation).tolist() == [[0, 1], [2, 3]]
    assert len(reader.rows(replace(generation, token_ids=None))) == 4


def test_presence_decides_whether_anything_is_there() -> None:
    sample, reader = miniature("mask"), head().eval()
    assert reader.presence is not None
    with torch.no_grad():
        reader._built().predictor.mask_embed.layers[2].bias.add_(1.0)
        reader.presence.weight.zero_()
        reader.presence.bias.fill_(-4.0)
    absent = reader.read(said(), sample, view_of(sample))
    assert absent.parsed
    assert absent.regions == ()
    with torch.no_grad():
        reader.presence.bias.fill_(4.0)
    assert all((region.score or 0) <= 0.983 for region in reader.read(said(), sample, view_of(sample)).regions)


def test_loss_falls_and_masks_are_learned() -> None:
    """Two descriptions of one image learn two masks: the query must carry the description."""
    torch.manual_seed(0)
    learner = head(layers=3, width=32, presence=True)
    samples = [_boxed("mask", (8, 8, 40, 30)), _boxed("mask", (70, 40, 120, 90))]
    views = [view_of(samples[0])] * 2
    states = [said(seed).hidden for seed in (1, 2)]
    optimiser = torch.optim.AdamW(learner.parameters(), 3e-3)
    totals = []
    for _ in range(60):
        losses = learner.loss(states, samples, views)
        total = sum(losses.values())
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert set(losses) == {"mask", "dice", "presence"}
    assert totals[-1] < 0.4 * totals[0]
    learner.eval()
    for state, sample, view in zip(states, samples, views, strict=True):
        found = learner.read(replace(said(), hidden=state), sample, view)
        truth = mask_of(sample.targets[0], sample.size)
        mask = mask_of(found.regions[0], sample.size)
        assert (mask & truth).sum() / (mask | truth).sum() > 0.6


def _boxed(task: str, box: tuple[float, float, float, float]) -> Sample:
    return replace(miniature(task, size=(96, 128)), targets=(Region(hbb=box),))


def test_absent_targets_and_several_targets_make_a_loss() -> None:
    samples = [miniature("mask", count, (64, 64)) for count in (0, 1, 3)]
    losses = head().loss([said(i).hidden for i in range(3)], samples, [view_of(each) for each in samples])
    assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
    with pytest.raises(DataError, match="not annotated"):
        head().loss([said().hidden], [replace(samples[0], targets=None)], [view_of(samples[0])])


def test_every_parameter_learns() -> None:
    learner = head(mask_stride=2)
    samples = [miniature("mask", count, (64, 64)) for count in (0, 2)]
    sum(
        learner.loss([said(1).hidden, said(2).hidden], samples, [view_of(each) for each in samples]).values()
    ).backward()
    silent = {name for name, parameter in learner.named_parameters() if parameter.grad is None}
    assert silent == set()


def test_a_frozen_encoder_gets_no_gradients_and_stays_in_evaluation() -> None:
    learner = head(freeze=True).train()
    assert learner.encoder is not None
    assert not learner.encoder.training
    sample = miniature("mask")
    sum(learner.loss([said().hidden], [sample], [view_of(sample)]).values()).backward()
    assert all(parameter.grad is None for parameter in learner.encoder.parameters())
    assert learner._built().pixel_decoder.mask_features.weight.grad is not None


def test_one_image_is_encoded_once() -> None:
    reader, sample = head().eval(), miniature("mask", size=(64, 64))
    calls: list[int] = []
    reader.encoder.register_forward_pre_hook(lambda _, args: calls.append(len(args[0])))
    view = view_of(sample)
    reader.read(said(1), sample, view)
    reader.read(said(2), sample, view)
    assert calls == [1]
    reader.loss([said(1).hidden, said(2).hidden, said(3).hidden], [sample] * 3, [view, view_of(sample, 1), view])
    assert calls == [1, 2], "a training batch shows each image once, and kept features have no gradients to give"
    reader.train()
    reader.eval().read(said(1), sample, view)
    assert calls == [1, 2, 1], "training changes weights, so nothing is kept over it"


def test_views_are_told_apart_by_uri_and_place() -> None:
    sample = miniature("mask")
    view = View((np.zeros((8, 8, 3), np.uint8),), (8, 8), meta={"uri": "a"})
    assert key_of(view) == key_of(replace(view, images=(np.ones((8, 8, 3), np.uint8),)))
    assert key_of(view) != key_of(replace(view, to_original=(2, 0, 0, 0, 2, 0)))
    assert key_of(replace(view, meta={})) is None, "an array that may change cannot be told"
    assert key_of(view_of(sample)) is not None
    cache, made = FeatureCache(1), []
    for each in (view, view, view_of(sample), view):
        cache.get(each, lambda shown: made.append(shown) or object())
    assert len(made) == 3


def test_maps_of_the_backbone() -> None:
    reader = head(encoder="backbone", channels=(3, 3, 3, 3))
    reader.bind(Pyramids())
    assert reader.encoder is None
    assert reader.connector is None
    samples = [miniature("mask", count, (40, 90)) for count in (0, 1)]
    losses = reader.loss([said(1).hidden, said(2).hidden], samples, [view_of(each) for each in samples])
    sum(losses.values()).backward()
    found = reader.eval().read(said(), samples[1], view_of(samples[1]))
    assert found.parsed
    wrong = head(encoder="backbone", channels=(3, 3, 3, 4))
    wrong.bind(Pyramids())
    with pytest.raises(ContractError, match="3, 3, 3, 4"):
        wrong.encode([view_of(samples[0])])
    mapless = head(encoder="backbone", channels=(3, 3, 3, 3))
    with pytest.raises(ContractError, match="encoder='swin'"):
        mapless.encode([view_of(samples[0])])


def test_maps_with_a_stride_two_level_and_pixels_for_detail() -> None:
    class Five(Pyramids):
        def pyramids(self, views: Sequence[View]) -> list[torch.Tensor]:
            return [torch.zeros(len(views), 3 + (level == 0), 32 // 2**level, 32 // 2**level) for level in range(5)]

    sample = miniature("mask")
    for backbone, channels in ((Five(), (4, 3, 3, 3, 3)), (Pyramids(), (3,) * 4)):
        reader = head(encoder="backbone", channels=channels, mask_stride=2)
        reader.bind(backbone)
        assert reader.encode([view_of(sample)]).pixels.mask_features.shape == (1, 32, 32, 32)


def test_bind_builds_and_checks_the_width() -> None:
    lazy = SegEarthR1Head(**TINY)
    assert lazy.hidden_size is None
    with pytest.raises(ContractError, match="bind"):
        lazy.encode([])
    lazy.bind(Pyramids())
    assert lazy.hidden_size == WIDTH
    assert not any(name.startswith("backbone") for name in lazy.state_dict())
    with pytest.raises(ContractError, match="different systems"):
        head(hidden_size=WIDTH + 1).bind(Pyramids())


def test_weights_come_back(tmp_path: Path) -> None:
    first, sample = head().eval(), miniature("mask")
    save_state(first.state_dict(), tmp_path / "head")
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "config.json").write_text(json.dumps({"text_config": {"hidden_size": WIDTH}}))
    torch.manual_seed(5)
    again = SegEarthR1Head(tmp_path, **TINY).eval()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())
    assert again.read(said(), sample, view_of(sample)).regions == first.read(said(), sample, view_of(sample)).regions
    with pytest.raises(CheckpointError, match="of another shape"):
        SegEarthR1Head(tmp_path, **{**TINY, "width": 64})


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"preset": "large"}, UnknownNameError, "preset"),
        ({"sise": 64}, UnknownNameError, "Did you mean 'size'"),
        ({"swin": "swin-x"}, UnknownNameError, "swin-b"),
        ({"swin": {"embeds": 4}}, UnknownNameError, "Did you mean 'embed'"),
        ({"encoder": "clip"}, UnknownNameError, "backbone"),
        ({"mask_stride": 3}, ShapeError, "4 or 2"),
        ({"width": 48}, ShapeError, "multiple of 32"),
        ({"size": 100}, ShapeError, "multiple of 32"),
        ({"reject": 2.0}, ShapeError, "reject"),
        ({"encoder": "backbone", "channels": (3, 3)}, ShapeError, "4 maps"),
    ],
)
def test_options_are_checked(options: dict[str, object], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        SegEarthR1Head(hidden_size=WIDTH, **{**TINY, **options})


def test_presets_say_what_is_default() -> None:
    assert not PRESETS["paper"].presence
    assert PRESETS["small"].presence
    assert PRESETS["paper"].tower.channels == (128, 256, 512, 1024)
    assert (PRESETS["paper"].layers, PRESETS["paper"].points) == (9, 12544)


def test_parts_of_a_mask_become_regions() -> None:
    probability = np.zeros((40, 60), np.float32)
    probability[2:12, 2:12] = 0.9
    probability[20:35, 30:50] = 0.8
    probability[0, 59] = 0.7
    (whole,) = answers.regions_of(probability)
    assert hbb_of(whole) == (2.0, 0.0, 60.0, 35.0)
    (tidy,) = answers.regions_of(probability, tidy=0.1)
    assert hbb_of(tidy) == (2.0, 2.0, 50.0, 35.0)
    large, small = answers.regions_of(probability, split=True, tidy=0.1, presence=0.5)
    assert (hbb_of(large), hbb_of(small)) == ((30.0, 20.0, 50.0, 35.0), (2.0, 2.0, 12.0, 12.0))
    assert (large.score, small.score) == (pytest.approx(0.4), pytest.approx(0.45))
    assert len(answers.regions_of(probability, split=True)) == 3
    assert answers.regions_of(probability * 0.5) == ()


def test_a_ring_keeps_its_hole() -> None:
    probability = np.zeros((30, 30), np.float32)
    probability[5:25, 5:25] = 1.0
    probability[10:20, 10:20] = 0.0
    (ring,) = answers.regions_of(probability, split=True, tidy=0.1)
    assert (mask_of(ring, (30, 30)) == (probability > 0.5)).all()


def test_the_published_layout_answers_as_the_whole_model(published: Path, paper: dict[str, object]) -> None:
    """Head and backbone, joined by the registry's way, against the model run in one piece."""
    from rsground_segtoken.segearth.backbone import SegEarthR1Backbone
    from rsground_segtoken.segearth.checkpoint import load_language
    from rsground_segtoken.segearth.frame import Frame, framed
    from rsground_segtoken.segearth.model import description_rows, last_states
    from rsground_segtoken.segearth.packing import pack, turn

    reader = SegEarthR1Head(published, **paper).eval()
    backbone = SegEarthR1Backbone(published, device="cpu", dtype="float32", batch_size=2)
    reader.bind(backbone)
    samples = [replace(miniature("mask", size=(100, 128)), expression=text) for text in ("the tank", "the road beside")]
    views = [view_of(each, seed) for seed, each in enumerate(samples)]
    generations = backbone.generate([reader.prompt(*pair) for pair in zip(samples, views, strict=True)])
    assert [generation.finish for generation in generations] == ["forced", "forced"]
    assert generations[0].usage.visual_tokens == 1
    language = load_language(published)
    for sample, view, generation in zip(samples, views, generations, strict=True):
        frame = Frame.of(view.size, 128)
        with torch.no_grad():
            maps = reader.encoder(framed(view.images[0], frame)[None])
            made = turn(sample.expression, backbone._encode, reader.token_ids["[SEG]"])
            packed = pack([made], reader.connector(maps[-1]), language.get_input_embeddings())
            states = description_rows(last_states(language, packed), packed)
            logits = reader.branch.masks(states[0].mean(0)[None], maps[-1], reader.branch.pixels(maps)).logits[-1]
        assert torch.allclose(generation.hidden, states[0], atol=1e-4)
        assert len(generation.hidden) == len(sample.expression.split()) + 1
        expected = frame.take(logits[0])[0].numpy() > 0
        found = reader.read(generation, sample, view).regions
        assert (mask_of(found[0], sample.size) == expected).all() if found else not expected.any()


def test_the_published_layout_assembles(published: Path, paper: dict[str, object]) -> None:
    description = {
        "head": {"name": "segearth-r1", "options": paper},
        "backbone": {"name": "segearth-r1-phi", "options": {}},
        "preprocess": [], "segmenter": None, "checkpoint": str(published),
    }  # fmt: skip
    pytest.importorskip("rsground_segtoken")
    from rsground.registry import registry

    if "segearth-r1-phi" not in registry().offers("backbone"):
        pytest.skip("the backbone is not registered")
    parts = assemble(description, {"device": "cpu", "dtype": "float32"})
    assert isinstance(parts.head, SegEarthR1Head)
    assert parts.head.token_ids["[SEG]"] > 0


def test_the_backbone_says_what_it_needs(published: Path) -> None:
    from rsground_segtoken.segearth.backbone import SegEarthR1Backbone

    backbone = SegEarthR1Backbone(published, device="cpu", dtype="float32")
    with pytest.raises(PromptError, match="writes nothing"):
        backbone.generate([Prompt("where?")])
    with pytest.raises(PromptError, match="connector"):
        backbone.generate([Prompt("where?", answer="the tank[SEG]")])
    assert backbone.count_tokens("the tank") == 2
    assert backbone.hidden_size == 32


def test_a_description_longer_than_the_context_is_refused_before_the_image_is_seen(
    published: Path, paper: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last description that fits is answered; one word more is named, and no encoder runs for it."""
    from rsground_segtoken.segearth.backbone import SegEarthR1Backbone

    reader = SegEarthR1Head(published, **paper).eval()
    backbone = SegEarthR1Backbone(published, device="cpu", dtype="float32")
    reader.bind(backbone)
    sample = miniature("mask", size=(100, 128))
    view = view_of(sample, 0)
    used = backbone.generate([reader.prompt(replace(sample, expression="tank"), view)])[0].usage
    spare = backbone.model.config.max_position_embeddings - used.prompt_tokens - used.visual_tokens - 2
    longest = replace(sample, expression=" ".join(["tank"] * (spare + 1)))
    assert backbone.generate([reader.prompt(longest, view)])[0].usage.output_tokens == spare + 2
    monkeypatch.setattr(backbone, "see", None)
    with pytest.raises(PromptError, match=r"takes 2049 tokens with its prompt, 1 of them visual.*context is 2048"):
        backbone.generate([reader.prompt(replace(longest, expression=longest.expression + " tank"), view)])


def test_the_head_needs_no_transformers() -> None:
    asked = "import sys, rsground_segtoken.segearth; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_head_serves_regions_only() -> None:
    assert SegEarthR1Head.tasks == {Task.MASK, Task.HBB, Task.OBB}
    assert SegEarthR1Head.special_tokens == ("[SEG]",)


class TestSegEarthR1(HeadConformance):
    """What every head owes; its options are those of a fresh head that no backbone has bound yet."""

    head_name = "segearth-r1"
