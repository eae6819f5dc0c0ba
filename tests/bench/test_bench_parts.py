"""The core's head and backbones that are no model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rsground.builtin.codec_head import CodecHead
from rsground.builtin.oracle import Oracle
from rsground.builtin.replay import Replay
from rsground.contracts import Prompt
from rsground.errors import DataError, ShapeError, UnknownNameError
from rsground.registry import load, registry
from rsground.testing.samples import blank_view, miniature
from rsground.types import Generation, Task


@pytest.mark.parametrize("codec", sorted(registry().offers("codec")))
def test_every_codec_makes_a_head_that_reads_its_own_answer(codec: str) -> None:
    head = load("head", "codec", codec=codec)
    sample = miniature(Task.MASK)
    view = blank_view(sample)
    answer = head.target(sample, view)
    found = head.read(Generation(answer), sample, view)
    assert found.parsed
    assert len(found.regions) == 1
    assert head.grammar(sample, view).matches(answer)


def test_codec_head_asks_for_the_expression_in_the_codecs_form() -> None:
    sample = replace(miniature(Task.HBB), expression="the {form} of {expression}")
    prompt = CodecHead("text-obb").prompt(sample, blank_view(sample))
    assert prompt.text == "Give the oriented bounding box of: the {form} of {expression}"


def test_codec_head_answers_in_view_pixels() -> None:
    sample = miniature(Task.HBB)
    view = replace(blank_view(sample), to_original=(2.0, 0.0, 0.0, 0.0, 2.0, 0.0))
    head = CodecHead("qwen2.5-vl")
    (found,) = head.read(Generation(head.target(sample, view)), sample, view).regions
    assert found.hbb == pytest.approx((sample.targets or ())[0].hbb, abs=2.0)


def test_codec_head_refuses_unknown_things() -> None:
    with pytest.raises(UnknownNameError, match=r"no codec named 'text-hb'. Did you mean 'text-hbb'\?"):
        CodecHead("text-hb")
    with pytest.raises(UnknownNameError, match=r"no option of codec 'text-hbb' named 'res'"):
        CodecHead("text-hbb", res=3)
    with pytest.raises(ShapeError, match=r"must hold \{expression\}"):
        CodecHead(question="where?")


def test_oracle_repeats_the_answer_and_knows_nothing_else() -> None:
    told, asked = Oracle().generate([Prompt("q", answer="[1,2]"), Prompt("q")])
    assert (told.text, told.finish) == ("[1,2]", "forced")
    assert (asked.text, asked.finish) == ("", "stop")


def test_slips_change_digits_only_and_repeat_with_their_seed() -> None:
    sample = miniature(Task.HBB)
    prompt = Prompt("q", answer="<box>[[" + "1234567890," * 50 + "]]</box>", sample=sample, options={"seed": 3})
    (first,), (again,) = Oracle(slips=0.2).generate([prompt]), Oracle(slips=0.2).generate([prompt])
    (other,) = Oracle(slips=0.2).generate([replace(prompt, options={"seed": 4})])
    assert first.text == again.text != other.text
    pairs = list(zip(first.text, prompt.answer or "", strict=True))
    assert all(new == old or (new.isdigit() and old.isdigit()) for new, old in pairs)
    changed = sum(new != old for new, old in pairs)
    assert 0.1 < changed / 500 < 0.3
    (every,) = Oracle(slips=1.0).generate([prompt])
    assert not any(new == old for new, old in zip(every.text, prompt.answer or "", strict=True) if old.isdigit())
    with pytest.raises(ShapeError, match="probability"):
        Oracle(slips=1.5)


def lines(path: Path, *records: object) -> str:
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n", "utf-8")
    return str(path)


def test_replay_answers_by_id_with_usage(tmp_path: Path) -> None:
    sample = miniature(Task.HBB)
    path = lines(
        tmp_path / "answers.jsonl",
        {"id": "x\u00e9", "text": "other"},
        {"id": sample.id, "text": "hier \u2028 da", "output_tokens": 7, "finish": "length"},
        {"id": 12, "text": "a number for an id"},
    )
    backbone = Replay(path)
    (found,) = backbone.generate([Prompt("q", sample=sample)])
    assert (found.text, found.finish, found.usage.output_tokens) == ("hier \u2028 da", "length", 7)
    (number,) = backbone.generate([Prompt("q", sample=replace(sample, id="12"))])
    assert number.text == "a number for an id"
    with pytest.raises(DataError, match="no answer to sample 'nobody'"):
        backbone.generate([Prompt("q", sample=replace(sample, id="nobody"))])
    with pytest.raises(DataError, match="brings no sample"):
        backbone.generate([Prompt("q")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"}', r'answers.jsonl:1: a line must be an object with "id" and "text"'),
        ('{"id": "a", "text": "x"}\n\n{"id": "a", "text": "y"}', r"answers.jsonl:3: a second answer to sample 'a'"),
        ("[1]", r"answers.jsonl:1: a line must be an object"),
        ("{", r"answers.jsonl:1: a line must be a JSON object"),
        ("\udcff", r"answers.jsonl:1: a line must be a JSON object"),
    ],
)
def test_replay_names_the_bad_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=message):
        Replay(str(path))
    with pytest.raises(DataError, match="cannot be read"):
        Replay(str(tmp_path / "nowhere.jsonl"))


def test_blind_says_one_thing() -> None:
    first, second = load("backbone", "blind", text="<box>[[0,0,9,9]]</box>").generate(
        [Prompt("a"), Prompt("b", answer="c")]
    )
    assert first.text == "<box>[[0,0,9,9]]</box>"
    assert second.text == "c"
