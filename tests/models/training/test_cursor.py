"""The cursor: it follows grids as they are written, in one piece or word by word, and tells nothing elsewhere."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import TOWER, inputs, model, piece_by_piece, tokenizer
from small import WORDS as TEXTS

from rsground.models.tower_lm import TowerLM, TowerLMConfig
from rsground.models.tower_lm.cursor import Cursor, grid_tokens, next_met
from rsground.models.tower_lm.recall import Memory
from rsground.models.tower_lm.tokenizer import make_tokenizer, number_ids
from rsground.models.training.dense import normalised
from rsground.models.training.language_setup import resume_from, save_model
from rsground.models.training.packing import Lesson, pack, run_packed

WORDS = make_tokenizer(TEXTS, ["Where is ", "<seg>", "</seg>", "\n</seg>", "\n "], size=320)
GRID = "<seg>0 *32\n 0 *18| 1 *3| 0 *11\n 1 *32\n 0 *32\n</seg>"
PIECES = [
    "<seg>",
    "</seg>",
    "\n",
    "\n ",
    "0 *32\n",
    " ",
    "0 *18",
    "| 1 *3",
    "| 0 *11",
    "1 *32",
    "red",
    "437",
    "[5,1000,",
    "0",
    "\n</seg>",
]


def ids(text: str) -> list[int]:
    """Tokens of a text."""
    found: list[int] = WORDS(text, add_special_tokens=False)["input_ids"]
    return found


def cursor() -> Cursor:
    """Of the size of the tests' models."""
    made = Cursor(32, 32, grid_tokens(WORDS), list(number_ids(WORDS).values()))
    torch.manual_seed(0)
    made.begin(torch.randn(32, 17 * 32))
    return made


def written(text: str) -> tuple[int, int]:
    """Where a reader of the text is: line from 1 and column in the grid that is open, zeros outside."""
    opened, closed = text.rfind("<seg>"), text.rfind("</seg>")
    if opened < 0 or closed > opened:
        return 0, 0
    lines = text[opened + 5 :].split("\n")
    return len(lines), sum(int(each) for each in re.findall(r"[01] \*(\d+)", lines[-1]))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_where_the_cursor_is_is_where_a_reader_is(pieces: list[str], first: int, second: int) -> None:
    tokens = torch.tensor([each for piece in pieces for each in ids(piece)])[None]
    texts = [WORDS.decode([each]) for each in tokens[0].tolist()]
    wanted = [written("~".join(texts[: at + 1])) for at in range(len(texts))]
    answering = torch.ones_like(tokens, dtype=torch.bool)
    made = cursor()
    whole = made.follow(tokens, answering)
    assert [(int(line), int(column)) for line, column in whole[0, :, :2].tolist()] == wanted
    said: list[int] = [0] * 4
    for text, latest in zip(texts, whole[0, :, 2:].tolist(), strict=True):
        said += [int(text) + 1] if re.fullmatch(r"\d+", text) else []
        assert latest == said[-4:], "the numbers written last"
    cuts = sorted({0, *(min(each, tokens.shape[1]) for each in (first, second)), tokens.shape[1]})
    before, found = None, []
    for start, stop in itertools.pairwise(cuts):
        found.append(made.follow(tokens[:, start:stop], answering[:, start:stop], before))
        before = found[-1][:, -1]
    assert torch.equal(torch.cat(found, 1), whole)


def test_what_is_no_answer_ends_a_grid() -> None:
    tokens = torch.tensor([ids("<seg>0 *32\n 0 *18")])
    answering = torch.ones_like(tokens, dtype=torch.bool)
    answering[:, :1] = False
    assert not cursor().follow(tokens, answering).any(), "a question that holds a grid"
    answering = ~answering
    answering[:, 1:3] = True
    assert cursor().follow(tokens, answering)[0, :, 0].tolist() == [1.0, 2.0, 2.0, *[0.0] * (tokens.shape[1] - 3)]
    tokens = torch.tensor([ids("[1,2,3,4] of [7")])
    answering = torch.tensor([[text != " of" for text in map(WORDS.decode, tokens[0])]])
    latest = cursor().follow(tokens, answering)[0, :, 2:]
    assert not latest[~answering[0]].any(), "numbers of a question, or of another answer"
    assert latest[-1].tolist() == [0.0, 0.0, 0.0, 8.0]


BOXES = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(BOXES, st.booleans()), min_size=1, max_size=6), st.integers(0, 31), st.integers(0, 31))
def test_what_is_met_next_is_what_a_reader_meets(objects: list[tuple[Any, bool]], line: int, column: int) -> None:
    """Cells are read one after another until one of them belongs to something that is meant."""
    boxes = [(x, y, x + width, y + height) for (x, y, width, height), _ in objects]
    meant = [each for _, each in objects]
    cells = torch.tensor([[[line + 1.0, float(column)]]])
    found = next_met(cells, torch.tensor([boxes], dtype=torch.float32), torch.tensor([[meant]]))
    ahead = [(line, x) for x in range(column, 40)] + [(y, x) for y in range(line + 1, 40) for x in range(40)]
    for y, x in ahead:
        here = [at for at, (x1, y1, x2, y2) in enumerate(boxes) if meant[at] and x1 <= x < x2 and y1 <= y < y2]
        if here:
            assert int(found) in [at for at in here if boxes[at][0] == min(boxes[each][0] for each in here)]
            break


@torch.no_grad()
def test_words_are_told_how_what_they_meet_lies() -> None:
    """Of two objects, one above the other, the upper one counts before it is passed, then the lower one."""
    made = cursor()
    numbers = torch.zeros(1, 3, 17)
    numbers[0, :2, :4] = torch.tensor([[0.1, 0.1, 0.3, 0.2], [0.5, 0.7, 0.6, 0.9]])
    cells = torch.tensor([[[1.0, 3.0, 0, 0, 0, 0], [20.0, 3.0, 0, 9, 9, 9], [0.0, 0.0, 1, 1, 900, 900]]])
    meant = torch.tensor([[[True, True, False]]])
    told = made(cells, numbers, meant)
    assert not told[0, 2].any(), "outside a grid"
    for moved, at, kept in ((0, 0, 1), (1, 1, 0)):
        other = numbers.clone()
        other[0, moved, 0] += 0.03
        again = made(cells, other, meant)
        assert not torch.allclose(again[0, at], told[0, at])
        torch.testing.assert_close(again[0, kept], told[0, kept])
    nothing = made(cells, numbers, torch.zeros_like(meant))
    torch.testing.assert_close(nothing, made(cells, torch.rand(1, 3, 17), torch.zeros_like(meant)))
    assert not torch.allclose(nothing[0, 0], nothing[0, 1]), "where the cell is"


@torch.no_grad()
def test_in_a_box_it_is_its_object_that_is_met() -> None:
    """In the box's own cells, whatever else is meant: upright objects are told alike, wherever they stand."""
    made = cursor()
    numbers = torch.zeros(1, 3, 17)
    numbers[0, :, :4] = torch.tensor([[0.0, 0.1, 0.1, 0.9], [0.2, 0.1, 0.4, 0.5], [0.6, 0.2, 0.7, 0.4]])
    numbers[0, :, 8:16] = numbers[0][:, [0, 1, 2, 1, 2, 3, 0, 3]]
    boxes = torch.tensor([[[201.0, 101, 401, 501], [601, 201, 701, 401]]])
    cells = torch.tensor([[[5.0, 3.0], [5.0, 3.0]]])
    framed, whole = (torch.cat([cells, each], -1) for each in (boxes, torch.zeros_like(boxes)))
    meant = torch.tensor([[[True, False, False]]])
    told = made(framed, numbers, meant)
    torch.testing.assert_close(told[0, 0], told[0, 1], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(told, made(whole, numbers, meant), atol=1e-2)
    other = numbers.clone()
    other[0, 1, 8] += 0.05
    again = made(framed, other, meant)
    assert not torch.allclose(again[0, 0], told[0, 0], atol=1e-3)
    torch.testing.assert_close(again[0, 1], told[0, 1])
    elsewhere = torch.cat([cells, boxes.new_tensor([801, 801, 1001, 1001]).expand_as(boxes)], -1)
    nothing = torch.zeros_like(meant)
    torch.testing.assert_close(made(elsewhere, numbers, meant), made(whole, numbers, nothing))


def boxed(small: TowerLM, given: Any) -> str:
    """An answer of two boxes that visual tokens tell, and what is in them."""
    told = small.facts(given["pixel_values"]).numbers[0, :, :4]
    widest = (told[:, 2:] - told[:, :2]).clamp(min=0).prod(-1).topk(2).indices
    grid = "<seg>0 *12\n 1 *4| 0 *8\n 1 *12\n</seg>"
    return ",".join(f"[{','.join(str(round(1000 * each)) for each in told[at].tolist())}]{grid}" for at in widest)


@pytest.mark.parametrize("inside", [False, True])
@torch.no_grad()
def test_a_grid_word_by_word_equals_the_whole(inside: bool) -> None:
    small = model(WORDS, ledger=True, cursor=True)
    assert small.cursor is not None
    small.pointer.bias.fill_(-9.0 if inside else 2.0)  # so that nothing is meant; something is, and words do point
    question = "<image>Where is the large white ship<answer>"
    answer = boxed(small, inputs(small, WORDS, question)) if inside else f"{GRID}, {GRID}"
    given = inputs(small, WORDS, question + answer)
    whole = small(**given).logits[0]
    mark = int((given["input_ids"][0] == 3).nonzero()[-1])
    lies = small.cursor.lies.weight.clone()
    small.cursor.lies.weight.zero_()
    blind = small(**given).logits[0]
    small.cursor.lies.weight.copy_(lies)
    assert (whole - blind)[mark + 1 :].abs().max() > 1e-2, "what is meant makes no difference"
    torch.testing.assert_close(whole[: mark + 1], blind[: mark + 1])
    for pieces in (1, 3):
        said = piece_by_piece(small, given, mark, pieces)
        torch.testing.assert_close(said, whole[mark:], rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("inside", [False, True])
@torch.no_grad()
def test_lessons_are_told_what_is_meant(inside: bool) -> None:
    """Packed lessons of which what is meant is what the model settles on are read as the model reads them alone."""
    small = model(WORDS, cursor=True)
    question = "Where is the large white ship<answer>"
    text = boxed(small, inputs(small, WORDS, f"<image>{question}")) if inside else GRID
    given = inputs(small, WORDS, f"<image>{question}{text}")
    prompt, answer = tuple(ids(question)), tuple(ids(text))
    start = given["input_ids"].shape[1] - len(answer)
    cut = {name: given[name][:, :start] for name in ("input_ids", "attention_mask")}

    def settled() -> torch.Tensor:
        asked = small(**{**given, **cut}, use_cache=True)
        kept = Memory.kept(asked.past_key_values, small.config.text_config.num_hidden_layers)
        assert kept is not None
        return kept.settled[0, kept.shown[0]]

    small.pointer.bias.sub_(settled().median())  # so that some are meant and some are not
    states = small(**given, output_hidden_states=True)
    visual = small.config.visual_tokens
    meant = (settled() > 0).int()
    assert 0 < int(meant.sum()) < visual
    shown = torch.where(meant > 0, 5, -1)
    other = Lesson((*ids("a small red car"), 3), tuple(ids("0 *18</seg>")), (7,))
    packed = pack([[other, Lesson(prompt, answer, (5,))]], [shown], visual, WORDS.eos_token_id)
    pixels = np.random.default_rng(2).integers(0, 255, (1, 64, 64, 3), dtype=np.uint8)
    read = run_packed(small, small.facts(normalised(torch.from_numpy(pixels))), packed)
    torch.testing.assert_close(
        read.plain[0, -len(answer) :], states.hidden_states[-1][0, -len(answer) :], rtol=1e-3, atol=2e-3
    )


def test_a_model_gone_on_with_may_get_a_cursor(tmp_path: Path) -> None:
    save_model(model(WORDS), WORDS, tmp_path / "plain")
    after, _ = resume_from(tmp_path / "plain", cursor=True)
    assert after.cursor is not None
    assert after.config.cursor == grid_tokens(WORDS)
    assert after.cursor.lies.weight.std() < 0.02
    with torch.no_grad():
        after.cursor.line.weight.fill_(0.25)
    save_model(after, WORDS, tmp_path / "cursor")
    again, _ = resume_from(tmp_path / "cursor", cursor=True)
    assert again.cursor is not None
    assert (again.cursor.line.weight == 0.25).all(), "what was learned is kept"
    assert again.cursor.tokens["whole"] == 32
    other, _ = resume_from(tmp_path / "cursor", cursor={"whole": 16, "inside": 8})
    assert other.cursor is not None
    assert (other.cursor.tokens["whole"], other.cursor.tokens["inside"]) == (16, 8)
    with pytest.raises(ValueError, match="needs judge_layers >= 1"):
        TowerLMConfig(**TOWER, cursor=grid_tokens(WORDS))
    with pytest.raises(ValueError, match="no token of this vocabulary opens one"):
        grid_tokens(tokenizer())
