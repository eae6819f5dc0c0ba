"""The segmenter against the package's own image predictor, and what it owes by contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsground.cli import main
from rsground.contracts import MaskPrompt
from rsground.errors import CheckpointError, DeviceError, ShapeError, UnknownNameError
from rsground.models.card import Card, PartCard, write_card
from rsground.registry import load
from rsground.testing import SegmenterConformance

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from rsground.models.devices import pick_device, pick_dtype  # noqa: E402
from rsground_sam2.config import ImageModelConfig  # noqa: E402
from rsground_sam2.segmenter import Sam2Segmenter  # noqa: E402
from rsground_sam2.weights import load_published  # noqa: E402

SIZE = (90, 120)
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")  # sam2's transforms


class TestConformance(SegmenterConformance):
    segmenter_name = "sam2"

    @pytest.fixture(autouse=True)
    def small(self, tiny_sam2_config: ImageModelConfig) -> None:
        self.segmenter_options = {"config": tiny_sam2_config, "device": "cpu"}


def image(seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def stock(config: ImageModelConfig) -> Any:
    """A stock SAM 2 base model of the same sizes, random but with masks that are not all alike."""
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine
    from sam2.modeling.sam2_base import SAM2Base

    torch.manual_seed(5)
    neck = FpnNeck(
        PositionEmbeddingSine(32), 32, [128, 64, 32, 16], fpn_top_down_levels=[2, 3], fpn_interp_model="nearest"
    )
    model = SAM2Base(
        ImageEncoder(Hiera(**config.trunk), neck, scalp=1),
        torch.nn.Linear(2, 2),
        torch.nn.Linear(3, 3),
        image_size=128,
        directly_add_no_mem_embed=True,
        use_high_res_features_in_sam=True,
        iou_prediction_use_sigmoid=True,
        use_obj_ptrs_in_encoder=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        fixed_no_obj_ptr=True,
        no_obj_embed_spatial=True,
        use_mlp_for_obj_ptr_proj=True,
        proj_tpos_enc_in_obj_ptrs=True,
        sam_mask_decoder_extra_args={
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        },
    )
    with torch.no_grad():
        for parameter in model.sam_mask_decoder.parameters():
            parameter.mul_(1.7)
    return model.eval()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, tiny_sam2_config: ImageModelConfig) -> tuple[Any, Sam2Segmenter]:
    """The package's predictor and our segmenter with the same weights, ours from a file as it is published."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    model = stock(tiny_sam2_config)
    path = tmp_path_factory.mktemp("published") / "any.pt"
    torch.save({"model": model.state_dict()}, path)
    predictor = SAM2ImagePredictor(model)
    predictor._bb_feat_sizes = [(32, 32), (16, 16), (8, 8)]
    predictor.set_image(image())
    return predictor, Sam2Segmenter(path, config=tiny_sam2_config, device="cpu")


BOXES = np.array([[5, 8, 50, 44], [60, 10, 118, 80], [30.5, 30.25, 36, 39]], np.float32)
POINTS = np.array([[[20, 20], [60, 50]], [[90, 30], [10, 10]], [[33, 35], [100, 80]]], np.float32)
LABELS = np.array([[1, 0], [1, 1], [1, 0]], np.float32)


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("forms", ["box", "points", "box points", "one point", "mask", "box mask"])
def test_equals_the_packages_own_predictor(pair: tuple[Any, Sam2Segmenter], forms: str, multimask: bool) -> None:
    predictor, ours = pair
    coarse = np.random.default_rng(3).normal(0, 4, (3, 1, 32, 32)).astype(np.float32)
    box = BOXES if "box" in forms else None
    some = POINTS[:, :1] if forms == "one point" else POINTS
    points, labels = (some, LABELS[:, : some.shape[1]]) if "point" in forms else (None, None)
    mask = coarse if "mask" in forms else None
    features = ours.encode(image())
    with torch.no_grad():
        logits, quality = ours.decode(
            features, boxes=box, points=points, labels=labels, masks=mask, multimask=multimask
        )
        full = torch.stack([ours.upscale(one, SIZE) for one in logits])
    for row in range(3):  # the predictor takes mask prompts one at a time
        theirs, score, low = predictor.predict(
            None if points is None else points[row],
            None if labels is None else labels[row],
            None if box is None else box[row],
            None if mask is None else mask[row],
            multimask_output=multimask,
            return_logits=True,
        )
        np.testing.assert_allclose(logits[row].clamp(-32, 32), low, atol=2e-5)
        np.testing.assert_allclose(quality[row], score, atol=1e-5)
        np.testing.assert_allclose(full[row], theirs, atol=2e-5)
        assert ((full[row].numpy() > 0) == (theirs > 0)).mean() > 0.9999


def test_the_stability_fallback_is_the_packages(
    pair: tuple[Any, Sam2Segmenter], tiny_sam2_config: ImageModelConfig
) -> None:
    predictor, ours = pair
    weights = ours.module.state_dict()
    plain = Sam2Segmenter(config=tiny_sam2_config, device="cpu", stability=False)
    plain.module.load_state_dict(weights)
    with torch.no_grad():
        single, _ = plain.decode(plain.encode(image()), boxes=BOXES)
        fallen, _ = ours.decode(ours.encode(image()), boxes=BOXES)
    model = predictor.model.sam_mask_decoder
    unstable = (model._get_stability_scores(single) < 0.98).flatten().tolist()
    changed = [not torch.equal(one, other) for one, other in zip(single, fallen, strict=True)]
    assert changed == unstable
    assert any(unstable)


def test_embeddings_alone_stand_alone(pair: tuple[Any, Sam2Segmenter]) -> None:
    """[SEG] decoders prompt with the embedding only: no "not a point" token beside it, and no mask."""
    predictor, ours = pair
    prompts = torch.randn(4, 1, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, quality = ours.decode(ours.encode(image()), embeddings=prompts)
        encoder = predictor.model.sam_prompt_encoder
        dense = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(4, -1, 8, 8)
        wanted, scores, _, _ = predictor.model.sam_mask_decoder(
            image_embeddings=predictor.get_image_embedding(),
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=prompts,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            repeat_image=True,
            high_res_features=predictor._features["high_res_feats"],
        )
    torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(quality, scores, atol=1e-5, rtol=0)


def test_a_box_as_one_embedding_is_the_sum_of_its_corners(pair: tuple[Any, Sam2Segmenter]) -> None:
    predictor, ours = pair
    boxes = np.array([[10.0, 20.0, 70.0, 80.0], [0.0, 0.0, 120.0, 90.0]])
    with torch.no_grad():
        square = torch.from_numpy(boxes).float() / torch.tensor([120.0, 90.0, 120.0, 90.0]) * 128
        corners = predictor.model.sam_prompt_encoder._embed_boxes(square)
    torch.testing.assert_close(ours.box_embeddings(boxes, SIZE), corners.sum(1), atol=1e-5, rtol=1e-5)


def test_mixed_prompts_answer_as_one_by_one(pair: tuple[Any, Sam2Segmenter]) -> None:
    _, ours = pair
    features = ours.encode(image())
    coarse = np.random.default_rng(0).normal(size=(16, 20)).astype(np.float32)
    prompts = [
        MaskPrompt(box=(4, 4, 30, 30)),
        MaskPrompt(points=((20.0, 30.0),)),
        MaskPrompt(box=(10, 8, 60, 40), points=((30.0, 20.0),), negative_points=((5.0, 5.0),)),
        MaskPrompt(mask=coarse),
        MaskPrompt(box=(40, 8, 90, 40), mask=coarse),
        MaskPrompt(embedding=torch.ones(32)),
        MaskPrompt(embedding=torch.ones(2, 32), box=(1, 2, 3, 4)),
        MaskPrompt(points=((50.0, 3.0),)),
    ]
    masks, scores = ours.segment(features, prompts, SIZE)
    for row, prompt in enumerate(prompts):
        mask, score = ours.segment(features, [prompt], SIZE)
        assert (mask[0] != masks[row]).mean() < 1e-3
        np.testing.assert_allclose(score[0], scores[row], atol=1e-5)


def test_one_point_takes_the_best_of_three(pair: tuple[Any, Sam2Segmenter]) -> None:
    _, ours = pair
    features, point = ours.encode(image()), MaskPrompt(points=((33.0, 35.0),))
    with torch.no_grad():
        logits, quality = ours.decode(features, points=[[[33.0, 35.0]]], labels=[[1.0]], multimask=True)
    best = int(quality[0].argmax())
    masks, scores = ours.segment(features, [point], SIZE)
    np.testing.assert_array_equal(masks[0], (ours.upscale(logits[:, best], SIZE)[0] > 0).numpy())
    assert scores[0] == pytest.approx(float(quality[0, best]), abs=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (128, 128), (333, 65)])
def test_images_of_any_size(pair: tuple[Any, Sam2Segmenter], size: tuple[int, int]) -> None:
    _, ours = pair
    masks, scores = ours.segment(ours.encode(image(1, size)), [MaskPrompt(box=(0, 0, size[1], size[0]))], size)
    assert masks.shape == (1, *size)
    assert np.isfinite(scores).all()


def test_no_prompts_no_masks(pair: tuple[Any, Sam2Segmenter]) -> None:
    _, ours = pair
    features = ours.encode(image())
    masks, scores = ours.segment(features, [], SIZE)
    assert masks.shape == (0, *SIZE)
    assert scores.shape == (0,)
    logits, quality = ours.decode(features, boxes=np.zeros((0, 4)), multimask=True)
    assert logits.shape == (0, 3, 32, 32)
    assert quality.shape == (0, 3)
    assert ours.upscale(logits[:, 0], SIZE).shape == (0, *SIZE)


def test_a_batch_of_images_equals_one_by_one(pair: tuple[Any, Sam2Segmenter]) -> None:
    _, ours = pair
    images = [image(1, (40, 60)), image(2, (128, 128)), image(3, (99, 30))]
    for together, each in zip(ours.encode_batch(images), images, strict=True):
        alone = ours.encode(each)
        assert together.size == alone.size == each.shape[:2]
        torch.testing.assert_close(together.pyramid.embedding, alone.pyramid.embedding, atol=1e-5, rtol=1e-5)
    assert ours.encode_batch([]) == []


def test_gradients_reach_prompts_and_pixels(pair: tuple[Any, Sam2Segmenter]) -> None:
    _, ours = pair
    pixels = ours.pixels(image()).requires_grad_()
    prompt = torch.zeros(1, 1, 32, requires_grad=True)
    (features,) = ours.features_of(pixels)
    logits, quality = ours.decode(features, embeddings=prompt)
    (logits.square().mean() + quality.sum()).backward()
    assert prompt.grad is not None
    assert float(prompt.grad.abs().sum()) > 0
    assert pixels.grad is not None
    assert float(pixels.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "vulkan"])
def test_a_device_that_is_not_there_is_refused_as_the_backbone_refuses_it(
    tiny_sam2_config: ImageModelConfig, name: str
) -> None:
    with pytest.raises(DeviceError) as rule:
        pick_device(name)
    with pytest.raises(DeviceError) as found:
        Sam2Segmenter(config=tiny_sam2_config, device=name)
    assert str(found.value) == str(rule.value)


def test_the_command_line_tells_of_a_device_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A system of which nothing but the segmenter computes anywhere."""
    Image.fromarray(image()).save(tmp_path / "image.png")
    card = Card(
        "my/boxes",
        head=PartCard("codec", {"codec": "text-hbb"}),
        backbone=PartCard("blind", {"text": "none"}),
        segmenter=PartCard("sam2", {"config": "sam2.1_hiera_tiny"}),
    )
    write_card(tmp_path / "system", card)
    words = ["predict", str(tmp_path / "image.png"), "-q", "the ship", "--system", str(tmp_path / "system")]
    assert main([*words, "--device", "cuda:99"]) == 1
    assert "rsground: device 'cuda:99' was asked for, but" in capsys.readouterr().err
    assert main([*words, "--dtype", "int7"]) == 1
    assert "no precision is called 'int7'; known: auto, float32" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["auto", "float32", "fp32", "bfloat16", "bf16", "float16", "fp16"])
def test_precisions_are_called_what_the_backbone_calls_them(
    pair: tuple[Any, Sam2Segmenter], tmp_path: Path, name: str
) -> None:
    _, ours = pair
    ours.save(tmp_path)
    found = Sam2Segmenter(tmp_path, device="cpu", dtype=name)
    low = pick_dtype(name, torch.device("cpu")) != torch.float32
    prompts = [MaskPrompt(box=(5, 8, 50, 44))]
    exact, near = (each.segment(each.encode(image()), prompts, SIZE)[1] for each in (ours, found))
    assert bool((exact != near).any()) == low
    np.testing.assert_allclose(near, exact, atol=0.05)


def test_bfloat16_stays_near(pair: tuple[Any, Sam2Segmenter], tmp_path: Path) -> None:
    _, ours = pair
    ours.save(tmp_path)
    half = Sam2Segmenter(tmp_path, device="cpu", dtype="bfloat16")
    with torch.no_grad():
        exact, _ = ours.decode(ours.encode(image()), boxes=BOXES, multimask=True)
        near, quality = half.decode(half.encode(image()), boxes=BOXES, multimask=True)
    assert near.dtype == quality.dtype == torch.float32
    assert float((exact - near).abs().mean()) < 0.05 * float(exact.abs().mean()) + 0.02


def test_a_saved_folder_answers_the_same(pair: tuple[Any, Sam2Segmenter], tmp_path: Path) -> None:
    _, ours = pair
    ours.save(tmp_path / "segmenter")
    for place in (tmp_path, tmp_path / "segmenter"):
        again = load("segmenter", "sam2", checkpoint=place, device="cpu")
        assert isinstance(again, Sam2Segmenter)
        assert again.module.config == ours.module.config
        one = ours.segment(ours.encode(image()), [MaskPrompt(box=(5, 8, 50, 44))], SIZE)
        other = again.segment(again.encode(image()), [MaskPrompt(box=(5, 8, 50, 44))], SIZE)
        np.testing.assert_array_equal(one[0], other[0])


def test_refusals_name_the_way_out(
    pair: tuple[Any, Sam2Segmenter], tmp_path: Path, tiny_sam2_config: ImageModelConfig
) -> None:
    _, ours = pair
    features = ours.encode(image())
    for prompt in (
        MaskPrompt(),
        MaskPrompt(embedding=torch.ones(31)),
        MaskPrompt(mask=np.zeros((1, 2, 2), np.float32)),
    ):
        with pytest.raises(ShapeError, match="prompt 0"):
            ours.segment(features, [prompt], SIZE)
    with pytest.raises(ShapeError, match="as many"):
        ours.decode(features, boxes=BOXES, points=POINTS[:1], labels=LABELS[:1])
    with pytest.raises(ShapeError, match="as many"):
        ours.decode(features)
    with pytest.raises(ShapeError, match="boxes must be"):
        ours.decode(features, boxes=[1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ShapeError, match="uint8 RGB"):
        ours.encode(np.zeros((4, 4), np.uint8))
    with pytest.raises(CheckpointError, match=r"sam2\.1_hiera_large"):
        Sam2Segmenter()
    with pytest.raises(UnknownNameError, match="sam2_hiera_tiny"):
        Sam2Segmenter(config="sam2_hiera_tin")
    with pytest.raises(ShapeError, match="autp"):
        Sam2Segmenter(config=tiny_sam2_config, multimask="autp")  # type: ignore[arg-type]
    for name in ("model.bin", "model.pth", "any.pt"):
        (tmp_path / name).write_bytes(b"\x80\x04K\x01.")
        with pytest.raises(CheckpointError, match=name):
            Sam2Segmenter(tmp_path / name)


def test_keys_that_do_not_fit_are_named_and_nothing_is_loaded(pair: tuple[Any, Sam2Segmenter], tmp_path: Path) -> None:
    _, ours = pair
    before = {key: value.clone() for key, value in ours.module.state_dict().items()}
    state = {key: value + 1 for key, value in before.items()}
    state["memory_attention.layers.0.norm1.weight"] = torch.zeros(3)
    del state["no_mem_embed"]
    state["surprise"] = torch.zeros(1)
    state["sam_mask_decoder.iou_token.weight"] = torch.zeros(2, 32)
    torch.save({"model": state}, tmp_path / "wrong.pt")
    with pytest.raises(CheckpointError, match="1 missing: no_mem_embed; 1 unexpected: surprise; 1 of another shape"):
        load_published(ours.module, tmp_path / "wrong.pt")
    for key, value in ours.module.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sam2_hiera_tiny.pt").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(CheckpointError, match="plain tensors"):
        Sam2Segmenter(tmp_path / "sam2_hiera_tiny.pt")
