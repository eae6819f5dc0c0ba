"""The full-size model has the published keys; its parts compute what independent implementations compute."""

import hashlib
import json
import math
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from rsground.errors import CheckpointError, ShapeError  # noqa: E402
from rsground.models.folder import save_state  # noqa: E402
from rsground_segtoken.segearth import checkpoint, deformable, names  # noqa: E402
from rsground_segtoken.segearth.branch import BranchConfig, MaskBranch  # noqa: E402
from rsground_segtoken.segearth.connector import CompressionConnector  # noqa: E402
from rsground_segtoken.segearth.description import DescriptionProjector, pool_rows  # noqa: E402
from rsground_segtoken.segearth.model import SegEarthR1, phi_config  # noqa: E402
from rsground_segtoken.segearth.pixel_decoder import EncoderLayer, PixelDecoder  # noqa: E402
from rsground_segtoken.segearth.predictor import MaskedDecoder, _blocked  # noqa: E402
from rsground_segtoken.segearth.swin import DropPath, Swin, SwinConfig  # noqa: E402

CHECKOUT = Path(__file__).parents[3]
PUBLISHED_KEYS = 935
PUBLISHED_VALUES = 1_588_993_080
PUBLISHED_DIGEST = "51f064723abd694378052fa64c5276b9527be75b9987b10ede7628f9706f4acc"
"""SHA-256 of the sorted lines "key shape" of the published layout."""


@pytest.fixture(scope="module")
def full() -> SegEarthR1:
    with torch.device("meta"):
        return SegEarthR1()


def tiny(seed: int = 0) -> SegEarthR1:
    torch.manual_seed(seed)
    language = phi_config(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        bos_token_id=0, eos_token_id=0, attn_implementation="eager",
    )  # fmt: skip
    vision = SwinConfig(embed=16, depths=(1, 1, 2, 1), heads=(1, 2, 2, 4), window=4)
    branch = BranchConfig(vision.channels, 32, 32, 4, pixel_layers=1, pixel_hidden=32, layers=3, hidden=32)
    return SegEarthR1(language, vision, branch, size=128).eval()


def lines(shapes: dict[str, tuple[int, ...]]) -> str:
    return "\n".join(f"{key} {tuple(shape)}" for key, shape in sorted(shapes.items()))


def test_full_size_has_the_published_keys_and_shapes(full: SegEarthR1) -> None:
    shapes = {key: tuple(tensor.shape) for key, tensor in names.to_published(full.state_dict()).items()}
    assert len(shapes) == PUBLISHED_KEYS
    assert sum(math.prod(shape) for shape in shapes.values()) == PUBLISHED_VALUES
    assert hashlib.sha256(lines(shapes).encode()).hexdigest() == PUBLISHED_DIGEST


def test_every_published_key_is_there_by_name(full: SegEarthR1) -> None:
    data = Path(os.environ.get("RSGROUND_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    listing = data.parent / "specs" / "seg_token_keys_segearth.json"
    if not listing.is_file():
        pytest.skip(f"no key listing at {listing}; the digest is checked instead")
    wanted = {key: tuple(shape) for key, shape in json.loads(listing.read_text()).items()}
    assert {key: tuple(tensor.shape) for key, tensor in names.to_published(full.state_dict()).items()} == wanted


def test_published_names_and_back_lose_nothing() -> None:
    state = tiny().state_dict()
    published = names.to_published(state, heads=4)
    assert "model.layers.0.self_attn.query_key_value.weight" in published
    back = names.from_published(published, heads=4)
    assert set(back) == set(state)
    assert all(torch.equal(back[key], state[key]) for key in state)


def test_fused_attention_is_per_head_q_k_v() -> None:
    fused = torch.arange(24.0)[:, None]  # 2 heads of 4: q of head 0 is rows 0..3, k 4..7, v 8..11
    found = names.from_published({"model.layers.0.self_attn.query_key_value.weight": fused}, heads=2)
    prefix = "language.model.layers.0.self_attn."
    assert found[f"{prefix}q_proj.weight"].flatten().tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert found[f"{prefix}v_proj.weight"].flatten().tolist() == [8, 9, 10, 11, 20, 21, 22, 23]


def test_wrong_weights_are_named() -> None:
    model, state = tiny(), dict(tiny().state_dict())
    state["text_projector.weight"] = torch.zeros(3, 3)
    state["surplus"] = state.pop("text_projector.bias")
    with pytest.raises(CheckpointError, match=r"1 missing: text_projector.bias; 1 unexpected: surplus; 1 of another"):
        checkpoint.fill(model, state, "folder")


def test_a_published_folder_is_checked(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="config"):
        checkpoint.load_published(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llava_phi", "num_hidden_layers": 1}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(CheckpointError, match="save_file"):
        checkpoint.load_published(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(CheckpointError, match="llava_phi"):
        checkpoint.load_published(tmp_path)


def test_a_model_goes_into_the_published_layout_and_comes_back(tmp_path: Path) -> None:
    """Tower and decoders of the published sizes, beside a small language model."""
    sizes = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    config = {"model_type": "llava_phi", "num_attention_heads": 4, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(config))
    language = checkpoint.phi_of(tmp_path, config)
    torch.manual_seed(0)
    model = SegEarthR1(language)
    save_state(names.to_published(model.state_dict(), heads=language.num_attention_heads), tmp_path)
    back = checkpoint.load_published(tmp_path).state_dict()
    assert back.keys() == model.state_dict().keys()
    assert all(torch.equal(back[key], value) for key, value in model.state_dict().items())


def test_swin_agrees_with_transformers() -> None:
    """Odd sizes: padding before windows, at merging, and the shift mask on the padded grid."""
    torch.manual_seed(0)
    ours = Swin(SwinConfig(embed=16, depths=(2, 2, 1, 1), heads=(1, 2, 2, 4), window=3, drop_path=0.2)).eval()
    config = transformers.SwinConfig(
        image_size=128, patch_size=4, embed_dim=16, depths=[2, 2, 1, 1], num_heads=[1, 2, 2, 4], window_size=3,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    theirs = transformers.SwinBackbone(config).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    _copy_swin(ours, theirs)
    pixels = torch.randn(2, 3, 132, 116)
    with torch.no_grad():
        for mine, other in zip(ours(pixels), theirs(pixels).feature_maps, strict=True):
            assert mine.shape == other.shape
            assert torch.allclose(mine, other, atol=2e-4), (mine - other).abs().max()


def _copy_swin(ours: Swin, theirs: torch.nn.Module) -> None:
    """Give transformers' modules, found by their place in the tree, our parameters."""

    def copy(target: torch.nn.Module, source: torch.nn.Module) -> None:
        target.load_state_dict(source.state_dict())

    modules = dict(theirs.named_modules())
    base = next(name[: -len("encoder")] for name in modules if name.endswith("encoder"))
    copy(modules[f"{base}embeddings.patch_embeddings.projection"], ours.patch_embed.proj)
    copy(modules[f"{base}embeddings.norm"], ours.patch_embed.norm)
    for index, layer in enumerate(ours.layers):
        stage = f"{base}encoder.layers.{index}"
        for place, block in enumerate(layer.blocks):
            other = dict(modules[f"{stage}.blocks.{place}"].named_modules())
            linears = [name for name, module in other.items() if isinstance(module, torch.nn.Linear)]
            q, k, v, out, up, down = (other[name] for name in linears)
            for part, weight, bias in zip(
                (q, k, v), block.attn.qkv.weight.chunk(3), block.attn.qkv.bias.chunk(3), strict=True
            ):
                part.load_state_dict({"weight": weight, "bias": bias})
            for target, source in ((out, block.attn.proj), (up, block.mlp.fc1), (down, block.mlp.fc2)):
                copy(target, source)
            copy(other["layernorm_before"], block.norm1)
            copy(other["layernorm_after"], block.norm2)
            table = next(
                p for n, p in modules[f"{stage}.blocks.{place}"].named_parameters() if n.endswith("bias_table")
            )
            table.data.copy_(block.attn.relative_position_bias_table)
        if layer.downsample is not None:
            copy(modules[f"{stage}.downsample"], layer.downsample)
        copy(theirs.hidden_states_norms[f"stage{index + 1}"], getattr(ours, f"norm{index}"))


def test_swin_pads_pixels_it_cannot_divide() -> None:
    maps = Swin(SwinConfig(embed=16, depths=(1, 1, 1, 1), heads=(1, 1, 1, 1), window=4))(torch.zeros(1, 3, 30, 50))
    assert [tuple(each.shape) for each in maps] == [(1, 16, 8, 13), (1, 32, 4, 7), (1, 64, 2, 4), (1, 128, 1, 2)]


def test_drop_path_keeps_the_mean_and_is_off_in_evaluation() -> None:
    torch.manual_seed(0)
    drop, ones = DropPath(0.3), torch.ones(4000, 2)
    found = drop(ones)
    assert found.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert torch.equal(found[:, 0], found[:, 1]), "a sample is dropped whole"
    assert found.mean().item() == pytest.approx(1.0, abs=0.05)
    assert drop.eval()(ones) is ones


def test_deformable_attention_agrees_with_transformers() -> None:
    theirs = pytest.importorskip("transformers.models.mask2former.modeling_mask2former")
    torch.manual_seed(0)
    shapes = [(3, 4), (5, 7), (10, 13)]
    total = sum(height * width for height, width in shapes)
    value, places = torch.randn(2, total, 4, 8), torch.rand(2, 6, 4, 3, 5, 2) * 1.4 - 0.2
    weights = torch.rand(2, 6, 4, 3, 5)
    ours = deformable.sample_levels(value, shapes, places, weights)
    assert torch.allclose(ours, theirs.multi_scale_deformable_attention(value, shapes, places, weights), atol=1e-5)


def test_deformable_layer_agrees_with_transformers() -> None:
    theirs = pytest.importorskip("transformers.models.mask2former.modeling_mask2former")
    torch.manual_seed(0)
    config = transformers.Mask2FormerConfig(
        feature_size=32, num_attention_heads=4, encoder_feedforward_dim=48, dropout=0.0
    )
    ours, other = EncoderLayer(32, 4, 4, 48).eval(), theirs.Mask2FormerPixelDecoderEncoderLayer(config).eval()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    renamed = {
        "norm1": "self_attn_layer_norm", "linear1": "fc1", "linear2": "fc2", "norm2": "final_layer_norm",
    }  # fmt: skip
    other.load_state_dict(
        {".".join(renamed.get(part, part) for part in key.split(".")): t for key, t in ours.state_dict().items()}
    )
    shapes = [(2, 3), (4, 6), (8, 12)]
    tokens, positions = torch.randn(2, 126, 32), torch.randn(126, 32)
    references = deformable.cell_centres(shapes, tokens)
    with torch.no_grad():
        mine = ours(tokens, positions, references, shapes)
        found = other(
            tokens, attention_mask=None, position_embeddings=positions[None].expand(2, -1, -1),
            reference_points=references[None, :, None].expand(2, -1, 3, -1), spatial_shapes_list=shapes,
            level_start_index=torch.tensor([0, 6, 30]),
        )[0]  # fmt: skip
    assert torch.allclose(mine, found, atol=1e-5)


def test_sine_positions_agree_with_transformers() -> None:
    theirs = pytest.importorskip("transformers.models.mask2former.modeling_mask2former")
    other = theirs.Mask2FormerSinePositionEmbedding(num_position_features=16, normalize=True)
    found = other(torch.Size((1, 1, 5, 9)), "cpu", torch.float32)[0]
    assert torch.allclose(deformable.sine_positions(5, 9, 32, torch.zeros(1)), found, atol=1e-6)


def test_deformable_attention_starts_looking_outwards() -> None:
    layer = deformable.MSDeformAttn(32, heads=4, levels=3, points=4)
    offsets = layer.sampling_offsets.bias.view(4, 3, 4, 2)
    expected = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    for point in range(4):
        assert torch.allclose(offsets[:, 0, point], expected * (point + 1), atol=1e-5)


def test_pixel_decoder_shapes() -> None:
    maps = [torch.randn(2, width, 64 // 2**i, 32 // 2**i) for i, width in enumerate((8, 16, 24, 32))]
    decoder = PixelDecoder((8, 16, 24, 32), 32, layers=1, heads=4, hidden=16)
    found = decoder(maps)
    assert found.mask_features.shape == (2, 32, 64, 32)
    assert [tuple(level.shape) for level in found.levels] == [(2, 32, 8, 4), (2, 32, 16, 8), (2, 32, 32, 16)]
    detailed = PixelDecoder((8, 16, 24, 32), 32, layers=1, heads=4, hidden=16, detail=3)
    assert detailed(maps, torch.randn(2, 3, 256, 128)).mask_features.shape == (2, 32, 128, 64)


def test_a_masked_query_sees_only_its_mask() -> None:
    torch.manual_seed(0)
    decoder = MaskedDecoder(32, heads=4, hidden=16, layers=1).eval()
    layer = decoder.transformer_cross_attention_layers[0]
    memory, blocked = torch.randn(1, 12, 32), torch.ones(1, 1, 12, dtype=torch.bool)
    blocked[..., 3:5] = False
    queries, positions = torch.randn(1, 1, 32), torch.zeros(12, 32)
    with torch.no_grad():
        before = layer(queries, memory, positions, blocked)
        memory[:, 5:] += 10
        assert torch.allclose(layer(queries, memory, positions, blocked), before, atol=1e-6)
        memory[:, 3] += 10
        assert not torch.allclose(layer(queries, memory, positions, blocked), before, atol=1e-3)


def test_an_empty_mask_blocks_nothing() -> None:
    logits = torch.full((1, 2, 8, 8), -5.0)
    logits[0, 1, :4] = 5.0
    blocked = _blocked(logits, torch.zeros(1, 1, 4, 4))[0]
    assert not blocked[0].any()
    assert blocked[1].view(4, 4).all(1).tolist() == [False, False, True, True]


def test_decoder_predicts_before_and_after_every_layer() -> None:
    maps = [torch.randn(2, 32, 16 // 2**i, 16 // 2**i) for i in range(4)]
    features = PixelDecoder((32,) * 4, 32, layers=0, heads=4, hidden=16)(maps)
    found = MaskedDecoder(32, heads=4, hidden=16, layers=3)(torch.randn(2, 1, 32), features)
    assert [tuple(logits.shape) for logits in found.logits] == [(2, 1, 16, 16)] * 4
    assert found.queries.shape == (2, 1, 32)


def test_description_projector_step_by_step() -> None:
    """Against the arithmetic written out: the pooled latent looks at the image and at itself."""
    torch.manual_seed(0)
    module = DescriptionProjector(16, heads=2).eval()
    media, latent = torch.randn(1, 5, 16), torch.randn(1, 16)
    attend, feed = module.layers[0]
    normed = attend.norm_latents(latent)
    keys, values = attend.to_kv(torch.cat([attend.norm_media(media[0]), normed])).split(16, -1)
    query = attend.to_q(normed)[0]
    heads = []
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        heads.append(((keys[:, part] @ query[part]) * 8**-0.5).softmax(0) @ values[:, part])
    refined = latent + attend.to_out(torch.cat(heads))
    refined = module.norm(refined + feed(refined))
    assert torch.allclose(module(media, latent), refined, atol=1e-5)


def test_pooling_is_the_mean_and_needs_rows() -> None:
    assert pool_rows([torch.tensor([[1.0, 2.0], [3.0, 4.0]])]).tolist() == [[2.0, 3.0]]
    with pytest.raises(ShapeError, match="description 0"):
        pool_rows([torch.zeros(0, 4)])


def test_connector_compresses_sixteen_to_one() -> None:
    connector = CompressionConnector(8, 16, grid=8)
    assert connector.tokens == 4
    assert connector(torch.randn(2, 8, 8, 8)).shape == (2, 4, 16)
    with pytest.raises(ShapeError, match="256 px"):
        connector(torch.randn(2, 8, 16, 16))
    with pytest.raises(ShapeError, match="multiple of 4"):
        CompressionConnector(8, 16, grid=10)


def test_query_is_origin_and_refined_side_by_side() -> None:
    torch.manual_seed(0)
    branch = MaskBranch(12, BranchConfig((8, 8, 8, 8), 32, 16, 4, pixel_layers=0, layers=1, hidden=16)).eval()
    pooled, coarsest = torch.randn(2, 12), torch.randn(2, 8, 3, 3)
    query = branch.query(pooled, coarsest)
    assert query.shape == (2, 1, 32)
    assert not torch.allclose(query, branch.query(pooled, coarsest + 1.0), atol=1e-4), "the image must matter"
    with torch.no_grad():
        branch.SEG_token_projector.weight[:, 16:] = 0
    assert torch.allclose(branch.query(pooled, coarsest), branch.query(pooled, coarsest + 1.0))
