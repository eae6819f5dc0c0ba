"""The full-size module: keys of the published checkpoint, its arithmetic, and a small folder of the same layout."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")
pytest.importorskip("transformers")
spm = pytest.importorskip("sentencepiece")

from rsground.contracts import Prompt  # noqa: E402
from rsground.errors import CheckpointError, ContractError, PromptError, ShapeError  # noqa: E402
from rsground.models.folder import save_state  # noqa: E402
from rsground.models.tokens import positions  # noqa: E402
from rsground.testing import BackboneConformance, miniature  # noqa: E402
from rsground.types import Task, View  # noqa: E402
from rsground_segtoken.geopixel.full.backbone import GeoPixelBackbone  # noqa: E402
from rsground_segtoken.geopixel.full.config import (  # noqa: E402
    GeoPixelConfig,
    LanguageConfig,
    VisionConfig,
    read_config,
)
from rsground_segtoken.geopixel.full.language import Attention, LanguageModel, rotate, rotations  # noqa: E402
from rsground_segtoken.geopixel.full.model import GeoPixel  # noqa: E402
from rsground_segtoken.geopixel.full.plora import PLoRALinear  # noqa: E402
from rsground_segtoken.geopixel.full.tokenizer import END, START, PieceTokenizer  # noqa: E402
from rsground_segtoken.geopixel.full.vision import fold, join, prepare, token_count  # noqa: E402
from rsground_segtoken.geopixel.full.weights import load_geopixel, published_key  # noqa: E402
from rsground_segtoken.geopixel.head import GeoPixelHead  # noqa: E402
from rsground_segtoken.hd_tiles import HDTiles  # noqa: E402

KEYS = Path(__file__).with_name("geopixel_keys.txt")
SAM_OVERRIDES = (
    "++model.image_size=128",
    "++model.image_encoder.trunk.embed_dim=8",
    "++model.image_encoder.trunk.num_heads=1",
    "++model.image_encoder.trunk.stages=[1,1,2,1]",
    "++model.image_encoder.trunk.global_att_blocks=[3]",
    "++model.image_encoder.neck.backbone_channel_list=[64,32,16,8]",
    "++model.memory_attention.num_layers=1",
)
LANGUAGE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "plora_rank": 4,
}
VISION = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 7,
}
SENTENCES = [
    "Sure, it is there in this image.",
    "Could you provide a segmentation mask for the ship?",
    "user assistant",
]


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Every key and shape of the published checkpoint, from the listing with its runs of layers written out."""
    found = {}
    for line in KEYS.read_text(encoding="utf-8").splitlines():
        key, shape = line.split()
        size = tuple(int(value) for value in shape.split("x"))
        run = re.search(r"\{(.*?)\}", key)
        if run is None:
            found[key] = size
            continue
        for part in run[1].split(","):
            first, _, last = part.partition("-")
            for number in range(int(first), int(last or first) + 1):
                found[key[: run.start()] + str(number) + key[run.end() :]] = size
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GeoPixel with random weights, its files named and laid out as the published ones."""
    place = tmp_path_factory.mktemp("geopixel")
    written = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20),
        model_writer=written,
        vocab_size=80,
        hard_vocab_limit=False,
        user_defined_symbols=[END, START],
        minloglevel=2,
    )
    (place / "tokenizer.model").write_bytes(written.getvalue())
    base = spm.SentencePieceProcessor(model_proto=written.getvalue()).get_piece_size()
    added = {"[SEG]": base, "<p>": base + 1, "</p>": base + 2}
    (place / "added_tokens.json").write_text(json.dumps(added))
    language = {**LANGUAGE, "vocab_size": base + 3}
    config = {
        "architectures": ["GeoPixelForCausalLM"],
        "model_type": "internlm2",
        "out_dim": 256,
        **language,
        "vision_config": VISION,
        "sam_overrides": list(SAM_OVERRIDES),
    }
    (place / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = GeoPixel(read_config(place), unused=True)
    torch.nn.init.normal_(model.plora_sub_GN)
    torch.nn.init.normal_(model.plora_glb_GN)
    state = {
        key.replace("gamma", "weight") if "memory_encoder.fuser" in key else key: value
        for key, value in model.state_dict().items()
    }
    save_state(state, place)
    return place


@pytest.fixture(scope="module")
def backbone(folder: Path) -> GeoPixelBackbone:
    return GeoPixelBackbone(folder, device="cpu", hd_num=4)


class TestGeoPixel7B(BackboneConformance):
    backbone_name = "geopixel-7b"

    @pytest.fixture(autouse=True)
    def _weights(self, folder: Path) -> None:
        self.backbone_options = {"checkpoint": folder, "device": "cpu", "hd_num": 1}


def system(backbone: GeoPixelBackbone, folder: Path) -> GeoPixelHead:
    head = GeoPixelHead(folder)
    head.bind(backbone)
    return head.eval()


def picture(height: int = 40, width: int = 60, seed: int = 0) -> View:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return View((image,), (height, width))


def test_keys_and_shapes_are_those_of_the_published_checkpoint() -> None:
    with torch.device("meta"):
        model = GeoPixel(GeoPixelConfig(), unused=True)
    wanted = published_shapes()
    assert len(wanted) == 2808
    held = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    fuser = "model.visual_model.memory_encoder.fuser.layers.{}.{}"
    gammas = {fuser.format(number, "gamma"): fuser.format(number, "weight") for number in (0, 1)}
    assert {gammas.get(key, key): shape for key, shape in held.items()} == wanted
    dropped = sum(int(np.prod(shape)) for key, shape in wanted.items() if published_key(key) is None)
    assert dropped / 1e9 == pytest.approx(2.42, abs=0.01)
    assert sum(int(np.prod(shape)) for shape in wanted.values()) / 1e9 == pytest.approx(11.338, abs=0.001)


def test_the_listing_is_the_published_one(shared_specs: Path) -> None:
    listed = json.loads((shared_specs / "seg_token_keys_geopixel.json").read_text(encoding="utf-8"))
    assert {key: tuple(shape) for key, shape in listed.items()} == published_shapes()


def test_keys_are_renamed_or_left_out() -> None:
    scale = "model.visual_model.memory_encoder.fuser.layers.1."
    assert published_key(scale + "weight") == published_key(scale + "gamma") == scale + "gamma"
    assert published_key(scale + "dwconv.weight") == scale + "dwconv.weight"
    assert published_key("model.layers.3.attention.wo.lora_web_B.weight") is None
    assert published_key("model.layers.3.attention.wo.Plora_B.weight") is not None
    assert published_key("vit.vision_tower.vision_model.embeddings.position_ids") is None
    flat = "vit.vision_tower.pre_layrnorm.bias"
    assert published_key(flat) == "vit.vision_tower.vision_model.pre_layrnorm.bias"


def test_plora_adds_its_update_on_image_rows_only() -> None:
    torch.manual_seed(0)
    layer = PLoRALinear(6, 5, 3).eval()
    states, image = torch.randn(2, 4, 6), torch.tensor([[True, False, True, False], [False, False, False, True]])
    plain = states @ layer.weight.T
    update = states @ layer.Plora_A.weight.T @ layer.Plora_B.weight.T
    torch.testing.assert_close(layer(states, image), plain + update * image[..., None])
    torch.testing.assert_close(layer(states), plain)
    assert update.abs().min() > 0


def test_fused_projection_is_grouped() -> None:
    """For every key-value head: its query heads, then its key, then its value."""
    config = LanguageConfig(**LANGUAGE)  # 4 query heads, 2 key-value heads, 8 wide
    fused = torch.arange(8.0).repeat_interleave(8)[None, None]  # heads numbered in stored order
    queries, keys, values = Attention(config).split(fused)
    assert queries[0, :, 0, 0].tolist() == [0, 1, 4, 5]
    assert keys[0, :, 0, 0].tolist() == [2, 6]
    assert values[0, :, 0, 0].tolist() == [3, 7]


def reference_states(model: LanguageModel, embeddings: Any, image: Any) -> Any:
    """The same language model from its equations, head by head and position by position."""
    config, states = model.config, embeddings[0].double()
    size, length = config.head_dim, embeddings.shape[1]

    def linear(layer: PLoRALinear, rows: Any) -> Any:
        update = rows @ layer.Plora_A.weight.double().T @ layer.Plora_B.weight.double().T
        return rows @ layer.weight.double().T + update * image[0][:, None]

    def norm(layer: Any, rows: Any) -> Any:
        return rows / (rows.pow(2).mean(-1, keepdim=True) + config.rms_norm_eps).sqrt() * layer.weight.double()

    def turn(vector: Any, place: int) -> Any:
        turned = vector.clone()
        for index in range(size // 2):
            angle = torch.tensor(place * config.rope_theta ** (-2 * index / size), dtype=torch.float64)
            one, two = vector[index], vector[index + size // 2]
            turned[index] = one * angle.cos() - two * angle.sin()
            turned[index + size // 2] = two * angle.cos() + one * angle.sin()
        return turned

    for layer in model.layers:
        fused = linear(layer.attention.wqkv, norm(layer.attention_norm, states))
        mixed = torch.zeros(length, config.num_attention_heads * size, dtype=torch.float64)
        for head in range(config.num_attention_heads):
            pair, number = divmod(head, config.groups)
            base = pair * (config.groups + 2)
            cut = [fused[:, (base + part) * size :][:, :size] for part in (number, config.groups, config.groups + 1)]
            queries, keys = ([turn(row, place) for place, row in enumerate(rows)] for rows in cut[:2])
            for place in range(length):
                logits = torch.stack([queries[place] @ keys[other] for other in range(place + 1)]) / size**0.5
                mixed[place, head * size : (head + 1) * size] = logits.softmax(0) @ cut[2][: place + 1]
        states = states + linear(layer.attention.wo, mixed)
        inner = norm(layer.ffn_norm, states)
        feed = layer.feed_forward
        gate = torch.nn.functional.silu(linear(feed.w1, inner)) * linear(feed.w3, inner)
        states = states + linear(feed.w2, gate)
    return norm(model.norm, states)


def test_language_model_follows_its_equations() -> None:
    torch.manual_seed(1)
    model = LanguageModel(LanguageConfig(vocab_size=11, **LANGUAGE)).eval()
    embeddings, image = torch.randn(1, 7, 32), torch.tensor([[False, True, True, True, False, False, False]])
    with torch.no_grad():
        found = model(embeddings, image)
        torch.testing.assert_close(found[0].double(), reference_states(model, embeddings, image), atol=2e-5, rtol=2e-5)


def test_remembered_steps_equal_one_pass() -> None:
    torch.manual_seed(2)
    model = LanguageModel(LanguageConfig(vocab_size=11, **LANGUAGE)).eval()
    embeddings, image = torch.randn(1, 9, 32), torch.zeros(1, 9, dtype=torch.bool)
    image[0, 1:4] = True
    with torch.no_grad():
        whole, memory = model(embeddings, image), []
        parts = [model(embeddings[:, a:b], image[:, a:b], memory) for a, b in ((0, 5), (5, 6), (6, 9))]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


def test_scaled_positions() -> None:
    cpu, full = torch.device("cpu"), torch.float32
    plain = LanguageConfig(**LANGUAGE, max_position_embeddings=8)
    half = LanguageConfig(**LANGUAGE, rope_scaling={"type": "linear", "factor": 2.0})
    torch.testing.assert_close(rotations(half, 0, 5, cpu, full)[0][4], rotations(plain, 0, 5, cpu, full)[0][2])
    stretched = LanguageConfig(**LANGUAGE, max_position_embeddings=8, rope_scaling={"type": "dynamic", "factor": 3.0})
    short, long = (rotations(stretched, 0, count, cpu, full)[0] for count in (8, 16))
    torch.testing.assert_close(short, rotations(plain, 0, 8, cpu, full)[0])
    base = 1e6 * (3.0 * 16 / 8 - 2.0) ** (8 / 6)
    assert long[5, 1].item() == pytest.approx(float(np.cos(5 * base ** (-2 / 8))), abs=1e-6)
    assert not LanguageModel(stretched).remembers
    vector = torch.randn(1, 1, 5, 8)
    torch.testing.assert_close(rotate(vector, rotations(plain, 0, 5, cpu, full)).norm(dim=-1), vector.norm(dim=-1))


def test_patches_fold_row_by_row() -> None:
    cells = fold(torch.arange(16.0).view(1, 16, 1))
    assert cells[0, 0, 0].tolist() == [0, 1, 4, 5]
    assert cells[0, 0, 1].tolist() == [2, 3, 6, 7]
    assert cells[0, 1, 0].tolist() == [8, 9, 12, 13]
    with pytest.raises(ShapeError, match="even side"):
        fold(torch.zeros(1, 9, 1))


@pytest.mark.parametrize(("grid", "count"), [((1, 1), 841), ((2, 2), 2061), ((3, 3), 4081)])
def test_published_token_counts(grid: tuple[int, int], count: int) -> None:
    rows, columns = grid
    patches = torch.zeros(1 + rows * columns, 40 * 40, 1)  # 560 pixels a tile, 14 a patch
    assert len(join(patches, grid, torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 4))) == token_count(grid) == count


def test_views_are_joined_with_newlines_and_a_separator() -> None:
    """Two tiles beside each other, cells 2 x 2: each cell says its tile and place."""
    patches = torch.zeros(3, 16, 1)
    for tile in range(3):
        for row in range(4):
            for column in range(4):
                patches[tile, row * 4 + column] = 100 * tile + 10 * (row // 2) + column // 2
    found = join(patches, (1, 2), torch.full((1, 1, 1, 4), -1.0), torch.full((1, 1, 4), -2.0))
    assert found[:, 0].tolist() == [0, 1, -1, 10, 11, -1, -2, 100, 101, 200, 201, -1, 110, 111, 210, 211, -1]


def test_a_canvas_becomes_a_global_view_and_its_tiles() -> None:
    canvas = np.random.default_rng(0).integers(0, 256, (56, 84, 3), np.uint8)
    tiles, grid = prepare(canvas, 28)
    assert grid == (2, 3)
    assert tiles.shape == (7, 3, 28, 28)
    mean, deviation = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    wanted = (canvas[28:, 28:56] / 255 - mean) / deviation
    np.testing.assert_allclose(tiles[1 + 4].permute(1, 2, 0).numpy(), wanted, atol=1e-5)
    with pytest.raises(ShapeError, match="whole tiles"):
        prepare(canvas[:50], 28)


def test_a_folder_comes_back_whole(folder: Path) -> None:
    model = load_geopixel(folder)
    torch.manual_seed(0)
    again = GeoPixel(read_config(folder), unused=True).state_dict()
    assert not any(value.is_meta for value in [*model.state_dict().values(), *model.buffers()])
    for key in ("model.layers.1.feed_forward.w2.Plora_B.weight", "output.weight", "model.text_hidden_fcs.0.2.bias"):
        assert torch.equal(model.state_dict()[key], again[key])
    gamma = "model.visual_model.memory_encoder.fuser.layers.0.gamma"
    assert torch.equal(model.state_dict()[gamma], again[gamma])
    assert load_geopixel(folder, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_shards_are_the_same_model(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    homes = {}
    for number, file in enumerate(files):
        part = names[number::2]
        save_file({name: state[name] for name in part}, tmp_path / file)
        homes |= dict.fromkeys(part, file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": homes}))
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    one, two = (load_geopixel(place).state_dict() for place in (folder, tmp_path))
    assert all(torch.equal(one[key], two[key]) for key in one)
    head = GeoPixelHead(tmp_path)
    assert torch.equal(head.state_dict()["text_hidden_fcs.0.0.weight"], one["model.text_hidden_fcs.0.0.weight"])


def test_wrong_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_geopixel(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match="another model"):
        load_geopixel(tmp_path)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "pytorch_model-00001-of-00002.bin").write_bytes(b"PK\x03\x04")
    with pytest.raises(CheckpointError, match=r"weights_only=True.*model\.safetensors"):
        load_geopixel(tmp_path)
    (tmp_path / "pytorch_model-00001-of-00002.bin").unlink()
    save_state({"output.weight": torch.zeros(2, 2)}, tmp_path)
    with pytest.raises(CheckpointError, match="missing"):
        load_geopixel(tmp_path)


def test_tokenizer_keeps_marks(folder: Path) -> None:
    tokenizer = PieceTokenizer(folder)
    text = "Sure, it is <p> the ship </p> [SEG] there"
    ids = tokenizer.encode(text)
    assert tokenizer.decode([1, *ids, 2]) == text
    assert len(positions(ids, tokenizer.convert_tokens_to_ids("[SEG]"))) == 1
    chat = tokenizer.encode(f"{START}user\nship{END}\n")
    assert chat.count(tokenizer.convert_tokens_to_ids(START)) == chat.count(tokenizer.end_of_turn) == 1
    assert tokenizer.convert_tokens_to_ids("no such piece") is None


def test_a_base_vocabulary_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes((folder / "tokenizer.model").read_bytes())
    with pytest.raises(CheckpointError, match=r"lacks \[SEG\], <p>, </p>"):
        PieceTokenizer(tmp_path)
    held = {"added_tokens_decoder": {"90": {"content": "[SEG]"}, "91": {"content": "<p>"}, "92": {"content": "</p>"}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(held))
    assert PieceTokenizer(tmp_path).convert_tokens_to_ids("</p>") == 92


def test_states_are_taken_where_seg_is_the_input(backbone: GeoPixelBackbone, folder: Path) -> None:
    """One pass over prompt and answer, as upstream reads them: last states, final norm, no shift."""
    view, answer = picture(), "Sure, it is [SEG] there [SEG]"
    prompt = Prompt("Where is the ship?", view, answer=answer, capture=frozenset({"hidden"}))
    (found,) = backbone.generate([prompt])
    assert found.finish == "forced"
    asked = backbone._asked(prompt)
    embeddings = torch.cat([asked.embeddings, backbone.model.embed(list(found.token_ids))[None]], 1)
    image = torch.cat([asked.image, torch.zeros(1, len(found.token_ids), dtype=torch.bool)], 1)
    with torch.no_grad():
        states = backbone.model.states(embeddings, image)[0]
    head = system(backbone, folder)
    places = positions(found.token_ids, head.token_ids["[SEG]"])
    assert len(places) == 2
    assert places[-1] == len(found.token_ids) - 1
    start = asked.embeddings.shape[1]
    torch.testing.assert_close(found.hidden[list(places)], states[[start + place for place in places]])
    assert found.usage.visual_tokens == int(asked.image.sum()) == 27  # (4 tiles + 1) * 4 cells + 1 + 6 ends of rows
    assert not asked.image[0, 0]  # begin of text stands before the image
    assert asked.image[0, 1 : 1 + found.usage.visual_tokens].all()


def test_decoding_equals_feeding_everything_again(backbone: GeoPixelBackbone) -> None:
    prompt = Prompt("Where is the ship?", picture(), capture=frozenset({"hidden"}), max_new_tokens=6)
    (found,) = backbone.generate([prompt])
    asked, ids = backbone._asked(prompt), []
    ends = (2, backbone.tokenizer.end_of_turn)
    with torch.no_grad():
        while len(ids) < 6:
            embeddings = torch.cat([asked.embeddings, backbone.model.embed(ids)[None]], 1)
            image = torch.cat([asked.image, torch.zeros(1, len(ids), dtype=torch.bool)], 1)
            number = int(backbone.model.output(backbone.model.states(embeddings, image)[0, -1]).argmax())
            if number in ends:
                break
            ids.append(number)
    assert found.token_ids == tuple(ids)
    forced = backbone._forced(asked, ids)
    torch.testing.assert_close(found.hidden, forced, atol=1e-5, rtol=1e-5)


def test_from_image_and_words_to_masks(backbone: GeoPixelBackbone, folder: Path) -> None:
    sample, view = miniature(Task.GCG, targets=2, size=(40, 60)), picture()
    head = system(backbone, folder)
    prompt = head.prompt(sample, view)
    answer = "<p> the ship </p> [SEG] there <p> ship </p> [SEG]"
    forced = Prompt(prompt.text, view, answer=answer, capture=prompt.capture)
    (generation,) = backbone.generate([forced])
    found = head.read(generation, sample, view)
    assert [region.label for region in found.regions] == ["the ship", "ship"]
    assert all(region.rle.size == (40, 60) for region in found.regions)
    features = backbone.segmenter.encode(view.images[0])
    embeddings = head.project(generation.hidden[list(positions(generation.token_ids, head.token_ids["[SEG]"]))])
    logits, quality = backbone.segmenter.decode(features, embeddings=embeddings[:, None])
    assert logits.shape == (2, 1, 32, 32)
    assert quality.shape == (2, 1)


def test_the_segmenter_takes_the_projection_alone_as_prompt(backbone: GeoPixelBackbone) -> None:
    """Against SAM 2's own image path: the same features, and its positional code."""
    segmenter = backbone.segmenter
    module = segmenter.module
    with torch.no_grad():
        features = segmenter.encode(picture().images[0])
        code = module.sam_prompt_encoder.get_dense_pe()
        torch.testing.assert_close(segmenter.positions(), code, atol=1e-5, rtol=1e-5)
        found = module.forward_image(segmenter.pixels(picture().images[0]))
        _, vectors, _, _ = module._prepare_backbone_features(found)
        stock = (vectors[-1] + module.no_mem_embed).permute(1, 2, 0).reshape(1, 256, 8, 8)
        torch.testing.assert_close(features.image, stock)
        embeddings = torch.randn(3, 1, 256)
        together, _ = segmenter.decode(features, embeddings=embeddings)
        alone, _ = segmenter.decode(features, embeddings=embeddings[1:2])
        torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-4)


def test_an_own_canvas_is_used_as_it_is(backbone: GeoPixelBackbone) -> None:
    view = picture(33, 70)
    tiled = HDTiles(hd_num=4, tile=28).apply(view, miniature(Task.MASK, size=(33, 70)))
    np.testing.assert_array_equal(backbone.canvas(tiled), backbone.canvas(view))
    small = HDTiles(hd_num=4, tile=28, show="global").apply(view, miniature(Task.MASK, size=(33, 70)))
    np.testing.assert_array_equal(backbone.canvas(small), backbone.canvas(view))


def test_a_large_image_is_answered_with_fewer_tiles(folder: Path) -> None:
    """71 x 71 tiles upstream."""
    backbone = GeoPixelBackbone(folder, device="cpu", hd_num=4)
    (found,) = backbone.generate([Prompt("Where is the ship?", picture(2000, 2000), answer="there")])
    assert found.usage.visual_tokens == token_count((6, 6), 2)


@pytest.mark.parametrize("own", [True, False])
def test_too_many_tiles_are_refused_before_they_are_looked_at(
    folder: Path, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cap off, as upstream. The number that the message gives is the largest that fits."""

    def asked(tiles: int) -> int | None:
        backbone = GeoPixelBackbone(folder, device="cpu", hd_num=4, max_tiles=1 if own else tiles)
        view = picture(300, 500)
        if own:
            view = HDTiles(hd_num=4, tile=28, max_tiles=tiles).apply(view, miniature(Task.MASK, size=(300, 500)))
        object.__setattr__(backbone.model.config.language, "max_length", 400)
        if tiles > 96:
            monkeypatch.setattr(backbone.model, "image_tokens", lambda canvas: pytest.fail("CLIP ran"))
        (found,) = backbone.generate([Prompt("Where is the ship?", view, answer="there")])
        return found.usage.visual_tokens

    with pytest.raises(PromptError, match=r"777 of them visual.*bound is 400; give") as caught:
        asked(10**9)
    assert ("hd-tiles" if own else "geopixel-7b") in str(caught.value)
    advised = int(str(caught.value).rpartition("max_tiles=")[2])
    visual = asked(advised)
    assert visual is not None
    assert visual < 400
    with pytest.raises(PromptError, match=f"max_tiles={advised}$"):
        asked(96)


def test_what_cannot_be_asked(backbone: GeoPixelBackbone) -> None:
    from rsground.contracts import MaskPrompt

    for view in (picture(), None):
        with pytest.raises(PromptError, match=r"visual.*use fewer words"):
            backbone.generate([Prompt("ship " * 9000, view)])
    features = backbone.segmenter.encode(picture().images[0])
    with pytest.raises(ContractError, match="embeddings only"):
        backbone.segmenter.segment(features, [MaskPrompt(box=(0, 0, 4, 4))], (40, 60))
    masks, scores = backbone.segmenter.segment(features, [MaskPrompt(embedding=torch.zeros(256))], (40, 60))
    assert masks.shape == (1, 40, 60)
    assert scores.shape == (1,)
    assert VisionConfig().cells == 20
