"""The decode loop on a tiny random model: valid answers whatever the weights, equal in a batch and alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wordings import CODEC_NAMES, model, prompts, tokenizer, tokens, vocabulary

from rsground.models import passes
from rsground.models.constrain import TokenGrammar
from rsground.models.decoding import Decoded, Row, decode

TEXTS = ["where is the ship?", "0 1 2", "the large white ship left of the pier, 12 or 13 of them"]
KINDS = ["bytes", "pieces", "words"]


def row(automaton: TokenGrammar | None, most: int, seed: int | None = None, top_p: float = 1.0) -> Row:
    if seed is None:
        return Row(automaton, most)
    return Row(automaton, most, temperature=1.5, top_p=top_p, dice=torch.Generator().manual_seed(seed))


def answers(kind: str, texts: list[str], rows: list[Row], **options: Any) -> list[Decoded]:
    return decode(model(kind), prompts(texts, kind), rows, vocabulary(kind), **options)


def assert_same(found: Decoded, expected: Decoded) -> None:
    assert (found.token_ids, found.text, found.finish) == (expected.token_ids, expected.text, expected.finish)
    assert found.forced == expected.forced
    if expected.hidden is not None:
        assert found.hidden is not None
        torch.testing.assert_close(found.hidden, expected.hidden, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", CODEC_NAMES)
def test_a_random_model_under_a_grammar_gives_valid_answers(name: str) -> None:
    kind = KINDS[CODEC_NAMES.index(name) % len(KINDS)]
    automaton = tokens(name, kind)
    shortest = len(automaton.ending(automaton.start()))
    rows = [row(automaton, shortest + 12), row(automaton, shortest + 25, seed=1), row(automaton, shortest, 2, 0.8)]
    for found, asked in zip(answers(kind, TEXTS, rows), rows, strict=True):
        assert automaton.grammar.matches(found.text), found.text
        assert len(found.token_ids) <= asked.max_new_tokens
        assert found.finish in ("stop", "length")
        assert found.text == vocabulary(kind).text(found.token_ids)
        assert 0 <= found.forced <= len(found.token_ids)


@settings(max_examples=4, deadline=None)
@given(
    names=st.lists(st.sampled_from([*CODEC_NAMES, None]), min_size=2, max_size=3),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**31),
    hidden=st.booleans(),
)
@example(names=["text-hbb", None, "polygon"], kind="bytes", seed=207814864, hidden=False)
def test_a_batch_answers_as_its_rows_would_alone(names: list[str | None], kind: str, seed: int, hidden: bool) -> None:
    automata = [None if name is None else tokens(name, kind) for name in names]

    def rows() -> list[Row]:
        return [row(each, 20 + 9 * at, (seed + at) if at % 2 else None) for at, each in enumerate(automata)]

    texts = TEXTS[: len(names)]
    together = answers(kind, texts, rows(), hidden=hidden)
    for at, found in enumerate(together):
        (alone,) = answers(kind, [texts[at]], [rows()[at]], hidden=hidden)
        assert_same(found, alone)


def test_free_text_is_what_generate_of_the_hub_says() -> None:
    for text in TEXTS:
        inputs = prompts([text], "bytes")
        (found,) = decode(model("bytes"), inputs, [Row(None, 24)], vocabulary("bytes"))
        expected = model("bytes").generate(**inputs, max_new_tokens=24, do_sample=False)[0]
        expected = expected[inputs["input_ids"].shape[1] :].tolist()
        assert list(found.token_ids) == [token for token in expected if token != 1]
        assert found.finish == ("stop" if 1 in expected else "length")
        assert found.forced == 0


def test_states_are_those_of_one_pass_over_prompt_and_answer() -> None:
    automaton = tokens("text-hbb", "bytes")
    rows = [row(automaton, 60), row(automaton, 12, 5), Row(None, 7)]
    found = answers("bytes", TEXTS, rows, hidden=True)
    for text, each in zip(TEXTS, found, strict=True):
        assert each.hidden is not None
        assert each.hidden.shape == (len(each.token_ids), 32)
        prompt = prompts([text], "bytes")["input_ids"]
        whole = torch.cat([prompt, torch.tensor([each.token_ids])], dim=1)
        with torch.no_grad():
            states = model("bytes").model(input_ids=whole).last_hidden_state[0, prompt.shape[1] :]
        torch.testing.assert_close(each.hidden, states, rtol=1e-3, atol=1e-4)


def test_nothing_said_has_no_states() -> None:
    (found,) = answers("bytes", TEXTS[:1], [Row(None, 0)], hidden=True)
    assert (found.token_ids, found.finish) == ((), "length")
    assert found.hidden is not None
    assert found.hidden.shape == (0, 32)


@pytest.mark.parametrize("name", ["text-hbb", "geochat", "text-mask"])
def test_tokens_forced_one_by_one_change_no_answer(name: str) -> None:
    both = [
        answers("words", TEXTS[:2], [row(tokens(name, "words", force=force), 40, seed) for seed in (None, 3)])
        for force in ("none", "tokens")
    ]
    for plain, forced in zip(*both, strict=True):
        assert plain.token_ids == forced.token_ids
        assert plain.text == forced.text


def test_forced_text_saves_passes() -> None:
    counted = {}
    for force in ("none", "text"):
        automaton = tokens("text-mask", "words", force=force)
        with _Counting(model("words")) as counts:
            (found,) = answers("words", TEXTS[:1], [row(automaton, 700)])
        assert automaton.grammar.matches(found.text)
        counted[force] = len(counts.widths) / len(found.token_ids)
    assert counted["text"] < 0.6 * counted["none"]


def test_packing_the_cache_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> list[Row]:
        return [row(tokens("text-mask", "words"), 500), row(tokens("qwen2.5-vl", "words"), 60, 4), Row(None, 50)]

    plain = answers("words", TEXTS, rows())
    monkeypatch.setattr(passes, "_GAPS", 1.0)
    for found, expected in zip(answers("words", TEXTS, rows()), plain, strict=True):
        assert_same(found, expected)


def test_a_limit_below_the_shortest_answer_cuts_it() -> None:
    automaton = tokens("text-hbb", "words")
    whole = automaton.ending(automaton.start())
    (found,) = answers("words", TEXTS[:1], [row(automaton, len(whole) - 2)])
    assert (found.token_ids, found.finish) == (whole[:-2], "length")
    (found,) = answers("words", TEXTS[:1], [row(automaton, len(whole))])
    assert automaton.grammar.matches(found.text)


def test_dice_belong_to_rows_and_top_p_narrows_them() -> None:
    first, second = answers("bytes", [TEXTS[0]] * 2, [row(None, 12, 1), row(None, 12, 2)])
    assert first.token_ids != second.token_ids
    (again,) = answers("bytes", TEXTS[:1], [row(None, 12, 1)])
    assert again.token_ids == first.token_ids
    (greedy,) = answers("bytes", TEXTS[:1], [row(None, 12)])
    (narrow,) = answers("bytes", TEXTS[:1], [row(None, 12, 1, top_p=1e-9)])
    assert narrow.token_ids == greedy.token_ids


def test_positions_of_later_steps_can_be_changed() -> None:
    seen: list[tuple[list[int], torch.Size]] = []

    def advance(inputs: dict[str, Any], rows: torch.Tensor) -> dict[str, Any]:
        seen.append((rows.tolist(), inputs["position_ids"].shape))
        return inputs

    inputs = prompts(TEXTS, "bytes")
    inputs["position_ids"] = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
    limits = [Row(None, 9), Row(None, 3), Row(None, 6)]
    found = decode(model("bytes"), inputs, limits, vocabulary("bytes"), advance=advance)
    plain = answers("bytes", TEXTS, limits)
    assert [each.token_ids for each in found] == [each.token_ids for each in plain]
    assert seen[0] == ([0, 1, 2], torch.Size([3, 1]))
    assert seen[-1][0] == [0]


def test_one_row_per_prompt() -> None:
    with pytest.raises(ValueError, match="3 prompts, 1 rows"):
        answers("bytes", TEXTS, [Row()])


class _Counting:
    """Notes how many columns each pass of a model has."""

    def __init__(self, model: Any) -> None:
        self.widths: list[int] = []
        self._hook = model.register_forward_pre_hook(
            lambda module, args, given: self.widths.append(given["input_ids"].shape[1]), with_kwargs=True
        )

    def __enter__(self) -> _Counting:
        return self

    def __exit__(self, *error: object) -> None:
        self._hook.remove()


def test_the_tokenizer_of_the_tests_pads_on_the_left() -> None:
    inputs = prompts(TEXTS, "bytes")
    assert inputs["attention_mask"][1].tolist()[0] == 0
    assert inputs["input_ids"][1][0] == tokenizer("bytes").pad_token_id
