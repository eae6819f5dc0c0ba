"""The training recipe: drawing once, prompts that fit their masks, losses that mean what they say, going on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rsground.errors import CheckpointError, DataError

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from rsground.datasets.scenes import Scene  # noqa: E402
from rsground.geometry.rle import rle_to_mask  # noqa: E402
from rsground_sam2.config import ImageModelConfig  # noqa: E402
from rsground_sam2.image_model import ImageModel  # noqa: E402
from rsground_sam2.training.__main__ import main  # noqa: E402
from rsground_sam2.training.asking import answer, crops_to_pixels  # noqa: E402
from rsground_sam2.training.beginning import begin  # noqa: E402
from rsground_sam2.training.cache import CacheKey, SceneCache  # noqa: E402
from rsground_sam2.training.loop import Budget, Trainer, make_optimiser, run  # noqa: E402
from rsground_sam2.training.losses import borders, edge_distances, mask_losses, overlap, prompt_loss  # noqa: E402
from rsground_sam2.training.pool import FeaturePool  # noqa: E402
from rsground_sam2.training.probing import given  # noqa: E402
from rsground_sam2.training.sampling import KINDS, Ask, coarse_logits, jittered, sample, tight_box  # noqa: E402
from rsground_sam2.training.scores import filled, score  # noqa: E402
from rsground_sam2.training.small import SMALL, small_model  # noqa: E402
from rsground_sam2.training.state import (  # noqa: E402
    Record,
    load_training,
    load_trunk,
    load_weights,
    save_training,
    write_record,
)
from rsground_sam2.weights import save_model  # noqa: E402

TINY = ImageModelConfig(
    trunk={**SMALL.trunk, "embed_dim": 8, "stages": [1, 1, 1, 2], "global_att_blocks": [4]},
    width=16,
    image_size=512,
    top_down=(0, 1, 2, 3),
    heads=2,
    mlp_dim=16,
    iou_hidden=8,
    object_scores=False,
    no_memory=False,
)
KEY = CacheKey(seed=3, first=5, count=2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> SceneCache:
    made = SceneCache(tmp_path_factory.mktemp("scenes"), KEY)
    made.draw()
    return made


def test_a_cache_holds_the_scenes_own_masks(cache: SceneCache) -> None:
    scene = Scene(3, 6)
    np.testing.assert_array_equal(cache.images[1], scene.render())
    for number, thing in enumerate(scene.graph.objects, 1):
        assert thing.region.rle is not None
        np.testing.assert_array_equal(cache.labels[1] == number, rle_to_mask(thing.region.rle))


def test_a_cache_goes_on_and_refuses_other_scenes(tmp_path: Path) -> None:
    first = SceneCache(tmp_path, KEY)
    assert first.ready().tolist() == []
    first.done[0] = True  # as if it had been drawn and then stopped
    seen: list[int] = []
    SceneCache(tmp_path, KEY).draw(lambda done, of: seen.append(done))
    assert seen == [2]
    with pytest.raises(DataError, match="another folder"):
        SceneCache(tmp_path, CacheKey(seed=4, first=5, count=2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [64, 256])
def test_prompts_fit_their_masks(cache: SceneCache, kind: str, side: int) -> None:
    rng = np.random.default_rng(7)
    asks = [sample(cache, 1, side, 5, rng, kind) for _ in range(12)]
    kept = [ask for ask in asks if ask is not None]
    assert kept
    for ask in kept:
        assert ask.targets.shape == (5, side, side)
        assert ask.targets.any((1, 2)).all()
        for row, mask in enumerate(ask.targets):
            if ask.points is not None and ask.signs is not None:
                x, y = (ask.points[row] - ask.corner).astype(int).T
                assert mask[y, x].tolist() == (ask.signs[row] > 0).tolist()
            if ask.boxes is not None:
                x1, y1, x2, y2 = tight_box(mask) + np.tile(ask.corner, 2)
                slack = np.array([x2 - x1, y2 - y1] * 2) * 0.16 + 2.01
                assert (np.abs(ask.boxes[row] - [x1, y1, x2, y2]) <= slack).all()
            if ask.masks is not None:
                assert ask.masks[row].shape == (1, 32, 32)
                assert ask.masks[row].max() > 0 or mask.sum() < 64


def test_a_box_without_jitter_is_itself() -> None:
    box = np.array([3, 4, 10, 20], np.float32)
    np.testing.assert_array_equal(jittered(box, np.random.default_rng(0), 0.0), box)


def test_coarse_logits_cover_what_they_are_of() -> None:
    mask = np.zeros((256, 256), np.bool_)
    mask[40:90, 100:180] = True
    for seed in range(6):
        logits = coarse_logits(mask, np.random.default_rng(seed))
        inside = logits[6:11, 13:22]
        assert (inside > 0).mean() > 0.95
        assert (logits > 0).sum() < 1.5 * 50 * 80 / 64 + 20


def test_losses_prefer_the_right_mask() -> None:
    targets = torch.zeros(2, 16, 16)
    targets[0, 3:9, 4:12] = 1
    targets[1, 0:2, 0:3] = 1
    right = (targets * 2 - 1)[:, None] * 12
    losses = mask_losses(torch.cat([right, -right, torch.zeros_like(right)], 1), targets)
    assert (losses[:, 0] < 0.02).all()
    assert (losses[:, 0] < losses[:, 2]).all()
    assert (losses[:, 2] < losses[:, 1]).all()
    assert overlap(torch.cat([right, -right], 1), targets).tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_only_the_best_alternative_is_taught() -> None:
    targets = torch.zeros(1, 8, 8)
    targets[0, 2:5, 2:5] = 1
    right = (targets * 2 - 1)[:, None] * 3
    logits = torch.cat([right, -right, right, torch.zeros_like(right)], 1).requires_grad_()
    prompt_loss(logits, torch.zeros(1, 4), targets).backward()
    assert logits.grad is not None
    assert (logits.grad.abs().sum((2, 3)) > 0).tolist() == [[True, False, True, False]]


def test_edge_distances_and_borders_of_a_known_picture() -> None:
    labels = torch.zeros(2, 6, 8, dtype=torch.long)
    labels[1, 1:5, 2:7] = 3
    found = edge_distances(labels)[1, :, 2, 3]
    assert found.tolist() == [1.0, 1.0, 3.0, 2.0]  # left, up, right, down, between pixel centres
    assert borders(labels)[0].sum() == 0
    assert borders(labels)[1].sum() == 4 * 5 - 2 * 3


def test_a_whole_scene_as_a_crop_is_the_segmenters_own_answer(cache: SceneCache) -> None:
    """Crops are shifted by positions only: with the whole scene nothing may differ from ordinary decoding."""
    torch.manual_seed(0)
    model = ImageModel(TINY, stability=False).eval()
    rng = np.random.default_rng(0)
    ask = next(a for a in (sample(cache, 0, 256, 3, rng, "box") for _ in range(9)) if a is not None)
    with torch.no_grad():
        image = model.features(crops_to_pixels([ask], 2))[0]
        logits, quality = answer(model, image, ask, 2)
        sparse = model.sparse(3, torch.from_numpy(ask.boxes) * 2)
        single, score_ = model.decode(image, sparse, model.dense(3, (32, 32)))
    torch.testing.assert_close(logits[:, :1], single)
    torch.testing.assert_close(quality[:, :1], score_)


def test_a_run_learns_saves_and_goes_on(cache: SceneCache, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trainer = Trainer(ImageModel(TINY))
    optimiser = make_optimiser(trainer, 1e-3)
    record = Record("test", {}, "cpu", 0)
    lines: list[str] = []
    budget = Budget(steps=4, dense=0.5, sides=((0.7, 64), (1.0, 128)), crops=2, prompts=4)
    before = {key: value.clone() for key, value in trainer.state_dict().items()}
    run(trainer, optimiser, cache, record, budget, tmp_path, lines.append)
    moved = [key for key, value in trainer.state_dict().items() if not torch.equal(value, before[key])]
    assert len(moved) > 0.8 * len(before)
    assert (record.steps, record.prompts > 0) == (4, True)
    again = Trainer(ImageModel(TINY))
    optimiser = make_optimiser(again, 1e-3)
    resumed = load_training(tmp_path, again, optimiser)
    assert resumed.steps == 4
    for one, other in zip(trainer.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    run(again, optimiser, cache, resumed, Budget(steps=1, dense=0.0, crops=1, prompts=2), tmp_path, lines.append)
    assert json.loads((tmp_path / "training.json").read_text())["steps"] == 5
    run(again, optimiser, cache, resumed, Budget(steps=0), tmp_path, lines.append)
    assert resumed.steps == 5
    with pytest.raises(CheckpointError, match="leave --resume out"):
        load_training(tmp_path / "nowhere", again, optimiser)


def test_another_trainings_trunk_can_be_the_beginning(cache: SceneCache, tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = Trainer(ImageModel(TINY)), Trainer(ImageModel(TINY))
    save_training(tmp_path, first, make_optimiser(first, 1e-3), Record("test", {}, "cpu", 0))
    load_trunk(tmp_path, second)
    same = {key for key, value in second.state_dict().items() if torch.equal(value, first.state_dict()[key])}
    assert {key for key in first.state_dict() if key.startswith(("model.image_encoder.", "dense."))} <= same
    assert "model.sam_mask_decoder.mask_tokens.weight" not in same


def test_a_saved_model_can_be_the_beginning_and_its_record_goes_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved, trainer = ImageModel(TINY), Trainer(ImageModel(TINY))
    save_model(saved, tmp_path)
    write_record(Record("test", {"scenes": 2}, "cpu", 5, steps=70), tmp_path / "training.json")
    record = load_weights(tmp_path, trainer.model)
    assert (record.seed, record.steps) == (5, 70)
    for one, other in zip(saved.parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(one, other)
    (tmp_path / "training.json").unlink()
    with pytest.raises(CheckpointError, match="--model names a folder"):
        load_weights(tmp_path, trainer.model)


@pytest.mark.parametrize("ways", [["--resume", "--model", "there"], ["--trunk", "here", "--model", "there"]])
def test_a_training_begins_in_one_way(ways: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--cache", "scenes", "--out", "out", *ways])
    assert "begins in one way" in capsys.readouterr().err


def test_positions_of_the_small_model_tell_neighbours_apart() -> None:
    code = small_model().positions()[0].flatten(1)
    here, beside, far = (code[:, place] for place in (500, 501, 520))
    alike = torch.nn.functional.cosine_similarity
    assert alike(here, far, dim=0) + 0.15 < alike(here, beside, dim=0) < 0.9


def test_prompts_of_the_small_model_attend_to_their_place_from_the_start() -> None:
    torch.manual_seed(0)
    model = small_model()
    code = model.positions()[0].flatten(1).T  # (cells, C)
    for layer in model.sam_mask_decoder.transformer.layers:
        attention = layer.cross_attn_token_to_image
        scores = attention.q_proj(code[[500]]) @ attention.k_proj(code).T
        assert int(scores.argmax()) == 500


def test_pooled_features_are_those_of_the_whole_scene(cache: SceneCache) -> None:
    torch.manual_seed(0)
    model = ImageModel(TINY).eval()
    pool = FeaturePool(model, cache, np.random.default_rng(0), size=2)
    for _ in range(4):
        ask, levels = pool.draw(64, 3)
        x, y = ask.corner
        match = [scene for scene in pool.scenes if np.array_equal(scene[0][y : y + 64, x : x + 64], ask.pixels)]
        assert match
        whole = Ask("", match[0][0], match[0][1], (0, 0), np.zeros((0, 1, 1), np.bool_))
        with torch.no_grad():
            wanted = model.image_encoder(crops_to_pixels([whole], 2))["backbone_fpn"][-3:]
        for step, part, level in zip((2, 4, 8), levels, wanted, strict=True):
            cut = level[:, :, y // step : (y + 64) // step, x // step : (x + 64) // step]
            torch.testing.assert_close(part, cut)
    before = pool.scenes[0][2][0]
    pool.renew()
    assert pool.scenes[0][2][0] is not before


def test_a_frozen_run_leaves_the_trunk_alone(cache: SceneCache, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trainer = Trainer(ImageModel(TINY))
    before = {key: value.clone() for key, value in trainer.state_dict().items()}
    pool = FeaturePool(trainer.model, cache, np.random.default_rng(0), size=1)
    budget = Budget(steps=3, frozen=True)
    record = Record("test", {}, "cpu", 0)
    run(trainer, make_optimiser(trainer, 1e-3), cache, record, budget, tmp_path, lambda line: None, pool)
    moved = {key for key, value in trainer.state_dict().items() if not torch.equal(value, before[key])}
    assert record.prompts > 0
    assert any(key.startswith("model.sam_mask_decoder.") for key in moved)
    assert not [key for key in moved if key.startswith(("model.image_encoder.", "dense."))]


@pytest.fixture(scope="module")
def begun(cache: SceneCache) -> tuple[ImageModel, FeaturePool]:
    torch.manual_seed(0)
    trainer = Trainer(small_model())
    pool = FeaturePool(trainer.model, cache, np.random.default_rng(0), size=4)
    begin(trainer.model, trainer.dense, pool, count=16)
    return trainer.model.eval(), pool


def test_cells_beyond_an_edge_attend_to_its_corner_from_the_start(begun: tuple[ImageModel, FeaturePool]) -> None:
    model, pool = begun
    ask, levels = pool.draw(256, 4, "box")
    assert ask.boxes is not None
    attention = model.sam_mask_decoder.transformer.layers[0].cross_attn_image_to_token
    with torch.no_grad():
        query, key, _ = given(model, ask, levels, attention)
        split = attention._separate_heads
        scores = split(attention.q_proj(query), 4) @ split(attention.k_proj(key), 4).transpose(2, 3)
    shares = (scores / 8**0.5).softmax(-1).reshape(4, 4, 32, 32, -1)
    corners = (5, 5, 6, 6)  # after the decoder's own five tokens: the first corner twice, then the second
    at = np.arange(32) * 8 + 4.0
    for row, box in enumerate(ask.boxes):
        for head, corner in enumerate(corners):
            gone = box[head] - at if head < 2 else at - box[head]
            share = shares[row, head, :, :, corner].numpy()
            lines = share if head % 2 else share.T  # first axis along the edge's own
            sure = np.abs(gone) > 16
            assert (np.abs(lines[sure] - (gone[sure] > 0)[:, None]) < 0.5).mean() > 0.95


def test_masks_begin_as_boxes(begun: tuple[ImageModel, FeaturePool]) -> None:
    model, pool = begun
    found = []
    for _ in range(12):
        ask, levels = pool.draw(256, 4, "box")
        assert ask.boxes is not None
        with torch.no_grad():
            masks = answer(model, model.read(levels), ask, 2)[0][:, 0] > 0
        for mask, box in zip(masks, ask.boxes, strict=True):
            x1, y1, x2, y2 = (np.clip(box / 2, 0, 128)).round().astype(int)
            if min(x2 - x1, y2 - y1) >= 10:
                grown = mask[max(y1 - 6, 0) : y2 + 6, max(x1 - 6, 0) : x2 + 6]
                found.append((float(mask[y1:y2, x1:x2].float().mean()), float(grown.sum() / mask.sum().clamp(min=1))))
    assert len(found) > 4
    inside, share = np.mean(found, axis=0)
    assert inside > 0.25  # what is inside may be background
    assert share > 0.8


def test_scores_count_every_visible_object(cache: SceneCache) -> None:
    torch.manual_seed(0)
    table = score(ImageModel(TINY), cache, 1, ("box", "mask"))
    objects = np.bincount(cache.labels[0].ravel())[1:]
    assert table["box"]["count"] == table["mask"]["count"] == table["filled box"]["count"] == (objects >= 6).sum()
    assert all(0 <= value <= 1 for name, value in table["box"].items() if name != "count")


def test_a_filled_box_scores_as_one_would_by_hand() -> None:
    target = np.zeros((1, 32, 32), np.bool_)
    target[0, 4:12, 8:20] = True
    boxes = np.array([[9.6, 3.8, 20.4, 12.2]], np.float32)  # rounds to x 10..20, y 4..12
    ask = Ask("box", np.zeros((32, 32, 3), np.uint8), target[0].astype(np.uint16), (0, 0), target, boxes=boxes)
    assert filled(ask) == [(12.0, 10 / 12, 10 / 12)]
