"""Frame, prompt packing and losses of SegEarth-R1, against what the released pipeline does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from rsground.errors import ShapeError  # noqa: E402
from rsground_segtoken.segearth import criterion, frame, packing  # noqa: E402

SEG = 9999
IMAGE_TOKENS = 64


def words(text: str) -> list[int]:
    """A tokenizer of words: an id per whitespace-separated word, stable."""
    return [sum(map(ord, word)) % 5000 for word in text.split()]


@pytest.mark.parametrize(
    ("size", "inner", "corner"),
    [((600, 800), (768, 1024), (128, 0)), ((800, 600), (1024, 768), (0, 128)), ((512, 512), (1024, 1024), (0, 0)),
     ((333, 1000), (340, 1024), (342, 0)), ((2000, 3001), (682, 1024), (171, 0))],
)  # fmt: skip
def test_frame_geometry(size: tuple[int, int], inner: tuple[int, int], corner: tuple[int, int]) -> None:
    found = frame.Frame.of(size, 1024)
    assert (found.inner, (found.top, found.left)) == (inner, corner)


def test_frame_agrees_with_opencv() -> None:
    """The released preprocessing, step by step, with the library that it uses."""
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    for height, width in ((61, 100), (100, 61), (300, 200)):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        place = frame.Frame.of((height, width), 128)
        found = frame.framed(image, place)
        inner = cv2.resize(image, place.inner[::-1], interpolation=cv2.INTER_LINEAR)
        padded = np.zeros((128, 128, 3), np.uint8)
        padded[place.top : place.top + place.inner[0], place.left : place.left + place.inner[1]] = inner
        expected = (padded.astype(float) - frame.MEAN) / frame.STD
        # opencv interpolates bytes in fixed point: at most one grey level apart
        assert np.abs(found.numpy().transpose(1, 2, 0) - expected).max() <= 1.01 / 57
        mask = rng.random((height, width)) < 0.5
        nearest = cv2.resize(mask.astype(np.uint8), place.inner[::-1], interpolation=cv2.INTER_NEAREST)
        ours = frame.framed_mask(mask, place).numpy()
        inside = ours[place.top : place.top + place.inner[0], place.left : place.left + place.inner[1]]
        assert (inside == nearest).all()
        assert ours.sum() == inside.sum()


def test_padding_is_black_before_normalisation() -> None:
    place = frame.Frame.of((10, 40), 64)
    found = frame.framed(np.full((10, 40, 3), 200, np.uint8), place)
    assert place.top == 24
    assert found[:, 0, 0].tolist() == pytest.approx([-2.1179, -2.0357, -1.8044], abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.sampled_from((64, 128)))
def test_a_mask_comes_back_from_its_frame(height: int, width: int, side: int) -> None:
    place = frame.Frame.of((height, width), side)
    mask = np.zeros((height, width), bool)
    mask[height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
    back = place.take(frame.framed_mask(mask, place)[None] * 20 - 10)[0].numpy() > 0
    grown = max(2.0, height / place.inner[0] + 1, width / place.inner[1] + 1)
    assert np.logical_xor(back, mask).sum() <= grown * 2 * (height + width)
    a, b, c, d, e, f = place.to_image
    corners = [(place.left, place.top), (place.left + place.inner[1], place.top + place.inner[0])]
    moved = [value for x, y in corners for value in (a * x + b * y + c, d * x + e * y + f)]
    assert moved == pytest.approx([0, 0, width, height], abs=1e-9)


def test_frame_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(ShapeError, match="too thin"):
        frame.Frame.of((1, 5000), 1024)
    with pytest.raises(ShapeError, match="uint8 RGB"):
        frame.framed(np.zeros((4, 4, 3), np.float32), frame.Frame.of((4, 4), 64))
    with pytest.raises(ShapeError, match="this frame is for"):
        frame.Frame.of((4, 4), 64).place(torch.zeros(3, 5, 5))


def test_prompt_wording() -> None:
    asked, said = packing.prompt_text("Referring")
    assert asked.startswith("[INST] <<SYS>>\nYou are a helpful language and vision assistant.")
    assert asked.endswith(
        "\n<</SYS>>\n\nThis is an image <image>, Please doing Referring Segmentation according to the following "
        "instruction:\n<refer> [/INST]"
    )
    assert said == " \nSure. It is <seg>.  <|endoftext|>"
    assert packing.prompt_text("Reasoning")[1] == " Sure, It is <seg>. \n<answer>. <|endoftext|>"


@pytest.mark.parametrize(("kind", "placeholders"), [("Referring", 3), ("Reasoning", 4)])
def test_prompt_length(kind: str, placeholders: int) -> None:
    """Template tokens with each placeholder counted as one, less the placeholders, plus what they stand for."""
    made = packing.turn("the red roof", words, SEG, kind=kind, answer="a roof")
    text = "".join(packing.prompt_text(kind))
    for name in ("<image>", "<seg>", "<refer>", "<answer>"):
        text = text.replace(name, " placeholder ")
    template = len(words(text))
    said = 3 if kind == "Reasoning" else 0
    assert made.length(IMAGE_TOKENS) == template - placeholders + IMAGE_TOKENS + 4 + said
    assert made.refer == (*words("the red roof"), SEG)


def test_packing_places_everything() -> None:
    embed = torch.nn.Embedding(10000, 6)
    turns = [packing.turn("two words", words, SEG), packing.turn("a longer one here", words, SEG)]
    visual = torch.randn(2, IMAGE_TOKENS, 6)
    with torch.no_grad():
        packed = packing.pack(turns, visual, embed)
    lengths = [each.length(IMAGE_TOKENS) for each in turns]
    assert lengths[1] == lengths[0] + 2
    assert packed.embeddings.shape == (2, max(lengths), 6)
    assert packed.attention.sum(1).tolist() == lengths
    assert packed.attention[0, : lengths[0]].all(), "padding is on the right"
    assert (packed.embeddings[0, lengths[0] :] == 0).all()
    for row, each in enumerate(turns):
        assert torch.equal(packed.embeddings[row][packed.refer[row]], embed(torch.tensor(each.refer)).detach())
        assert each.refer[-1] == SEG, "[SEG] is part of the description"
        start = len(each.pieces[0])
        assert torch.equal(packed.embeddings[row, start : start + IMAGE_TOKENS], visual[row])
    assert (packed.labels[packed.refer] == packing.IGNORED).all()
    with pytest.raises(ShapeError, match="one image"):
        packing.pack(turns, visual[:1], embed)


def test_text_loss_is_on_the_answer_alone() -> None:
    embed = torch.nn.Embedding(10000, 6)
    made = packing.turn("where", words, SEG, kind="Reasoning", answer="over there")
    packed = packing.pack([made], torch.randn(1, 4, 6), embed)
    trained = packed.labels[packed.labels != packing.IGNORED].tolist()
    assert trained == [*words("Sure, It is"), *words(". \n"), *words("over there"), SEG, *words(". <|endoftext|>")]


def test_dropping_seg_leaves_no_token() -> None:
    made = packing.turn("where", words, SEG)
    assert "<seg>" not in made.pieces
    assert all(piece in ("<image>", "<refer>") for piece in made.pieces if isinstance(piece, str))


def test_a_description_cannot_inject_placeholders() -> None:
    plain, sly = (packing.turn(text, words, SEG) for text in ("a b c", "<image> <seg> <refer>"))
    assert sly.length(IMAGE_TOKENS) == plain.length(IMAGE_TOKENS)


def test_losses_agree_with_transformers() -> None:
    theirs = pytest.importorskip("transformers.models.mask2former.modeling_mask2former")
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 50), (torch.rand(3, 50) > 0.5).float()
    entropy, dice = criterion.point_losses(logits, labels)
    assert entropy.mean().item() == pytest.approx(theirs.sigmoid_cross_entropy_loss(logits, labels, 3).item())
    assert dice.mean().item() == pytest.approx(theirs.dice_loss(logits, labels, 3).item())


def test_points_are_taken_where_the_mask_is_undecided() -> None:
    logits = (torch.arange(32.0) - 15.5).expand(1, 32, 32)  # undecided along the middle column
    points = criterion.uncertain_points(logits, 400, generator=torch.Generator().manual_seed(0))
    assert points.shape == (1, 400, 2)
    away = (points[0, :, 0] - 0.5).abs()
    assert away[:300].quantile(0.95) < 0.15, "of 1200 candidates the 300 nearest lie within an eighth of the middle"
    assert away[300:].max() > 0.4, "the rest is anywhere"


def test_losses_sum_over_predictions_and_fall_with_the_truth() -> None:
    mask = torch.zeros(2, 64, 64)
    mask[:, 16:48, 16:48] = 1
    right = mask[:, ::4, ::4] * 20 - 10
    generator = torch.Generator().manual_seed(0)
    good = criterion.mask_losses([right] * 3, mask, 200, generator=generator)
    bad = criterion.mask_losses([-right] * 3, mask, 200, generator=generator)
    one = criterion.mask_losses([-right], mask, 200, generator=generator)
    assert bad[0] > 4 * good[0]
    assert bad[1] > 2 * good[1]
    assert bad[1].item() == pytest.approx(3 * one[1].item(), rel=0.05)


def test_an_empty_target_asks_for_an_empty_mask() -> None:
    logits = torch.zeros(1, 8, 8, requires_grad=True)
    entropy, dice = criterion.mask_losses([logits], torch.zeros(1, 32, 32), 64)
    (entropy + dice).backward()
    assert logits.grad is not None
    assert (logits.grad >= 0).all()
    assert logits.grad.sum() > 0
