"""Laws that every codec's grammar owes to constrained decoding: all codecs, one set of tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.builtin.codecs import CODECS
from rsground.codecs import Codec, Grammar, RuleGrammar
from rsground.codecs.fields import ALPHANUMERIC, Field, template
from rsground.codecs.rules import Repeat, chain, either
from rsground.registry import construct
from rsground.types import Region

NAMES = [spec.name for spec in CODECS]
SPECS = {spec.name: spec for spec in CODECS}
# A random draw can be a shape without inside (a polygon on a line); the reader says so and that is right.
HARMLESS = {"degenerate"}


def build(name: str) -> Codec:
    codec = construct(SPECS[name])
    assert isinstance(codec, Codec)
    return codec


boxes = st.tuples(st.floats(-5, 200), st.floats(-5, 150), st.floats(0.01, 90), st.floats(0.01, 90))
sizes = st.sampled_from([(150, 200), (64, 64), (333, 97)])
labels = st.one_of(st.none(), st.text(max_size=12))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Region], tuple[int, int]]:
    regions = []
    for x, y, w, h in draw(st.lists(boxes, max_size=3)):
        turn = draw(st.floats(-3.2, 3.2))
        along, across = (w / 2 * np.cos(turn), w / 2 * np.sin(turn)), (-h / 2 * np.sin(turn), h / 2 * np.cos(turn))
        corners = [
            (x + a * along[0] + b * across[0], y + a * along[1] + b * across[1])
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        quad = tuple((float(px), float(py)) for px, py in corners)
        regions.append(Region(quad=quad, label=draw(labels)))  # type: ignore[arg-type]
    return regions, draw(sizes)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12, deadline=None)
@given(scene=scenes(), data=st.data())
def test_what_is_written_is_valid_and_so_is_every_beginning_of_it(name: str, scene, data) -> None:
    regions, size = scene
    codec = build(name)
    text = codec.write(regions, size)
    grammar = codec.grammar(size)
    assert grammar.matches(text), text
    assert grammar.max_length is None or len(text) <= grammar.max_length
    state = grammar.start()
    for at, char in enumerate(text):
        assert char in grammar.allowed_next(state), text[:at]
        state = grammar.step(state, char)
        assert state is not None
        hash(state)
    assert grammar.is_accepting(state)
    cut = data.draw(st.integers(0, len(text)))
    state = grammar.advance(grammar.start(), text[:cut])
    end = grammar.sample(np.random.default_rng(cut), state=state)
    assert grammar.matches(text[:cut] + end), "a viable beginning must have an end"


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_valid_and_read_without_mending(name: str) -> None:
    codec = build(name)
    for seed in range(15):
        size = (120 + seed, 90)
        grammar = codec.grammar(size)
        text = grammar.sample(np.random.default_rng(seed), stop=0.4)
        assert grammar.matches(text)
        reading = codec.read(text, size)
        assert set(reading.codes) <= HARMLESS, (text, reading.issues)
        assert reading.parsed or reading.codes


@pytest.mark.parametrize("name", NAMES)
def test_forced_characters_are_the_only_way_on(name: str) -> None:
    codec = build(name)
    grammar = codec.grammar((100, 100))
    text = grammar.sample(np.random.default_rng(7), stop=0.2)
    state = grammar.start()
    for at in range(min(len(text), 200)):
        forced = grammar.forced(state)
        assert text[at : at + len(forced)] == forced
        for char in forced[:1]:
            others = set("0123456789abc,;|*<>[](){} \n-.:") - {char}
            assert all(grammar.step(state, other) is None for other in others)
        state = grammar.step(state, text[at])


@pytest.mark.parametrize("name", NAMES)
def test_misfits_are_refused(name: str) -> None:
    grammar = build(name).grammar((100, 100))
    text = build(name).write([Region(hbb=(10.0, 10.0, 60.0, 50.0))], (100, 100))
    assert grammar.matches(text)
    for wrong in (text + "\0", text + text + "!\n", "\0" + text, text.replace("1", "९")):
        assert wrong == text or not grammar.matches(wrong)
    assert not grammar.matches(text[: len(text) // 2])


@given(low=st.integers(-30, 40), span=st.integers(0, 60), width=st.sampled_from([0, 0, 3]))
def test_a_field_accepts_exactly_the_numbers_of_its_range(low: int, span: int, width: int) -> None:
    field = Field(low, low + span, width=width)
    grammar = RuleGrammar(template("<", field, ">"))
    for value in range(low - 12, low + span + 13):
        assert grammar.matches(f"<{field.write(value)}>") == (low <= value <= low + span)
    assert not grammar.matches("<>")
    assert not grammar.matches("<-0>")
    if width == 0:
        assert not grammar.matches(f"<0{max(low, 1)}>")


@given(value=st.integers(0, 62**2 - 1))
def test_digits_of_base_62_round_trip(value: int) -> None:
    field = Field(0, 62**2 - 1, width=2, alphabet=ALPHANUMERIC)
    typed = field.write(value)
    assert len(typed) == 2
    assert field.value(typed) == value
    assert field.complete(typed, ())


def test_decimals_are_part_of_the_wording() -> None:
    grammar = RuleGrammar(template(Field(0, 1000, width=4, decimals=3)))
    assert grammar.matches("0.125")
    assert grammar.matches("1.000")
    assert not grammar.matches("1.001")
    assert not grammar.matches(".125")
    assert not grammar.matches("0125")
    assert grammar.forced(grammar.advance(grammar.start(), "1")) == ".000"


def test_a_field_above_another_never_ends_in_a_dead_end() -> None:
    grammar = RuleGrammar(template(Field(0, 98), ",", Field(0, 99, above=0)))
    state = grammar.advance(grammar.start(), "97,")
    assert grammar.allowed_next(state).chars == frozenset("9")
    assert grammar.matches("97,98")
    assert not grammar.matches("97,97")
    assert not grammar.matches("99,")


def test_repeats_count_and_separate() -> None:
    grammar = RuleGrammar(chain("(", Repeat(either("ab", "ac"), 1, 3, ", "), ")"))
    assert grammar.matches("(ab)")
    assert grammar.matches("(ac, ab, ac)")
    assert not grammar.matches("()")
    assert not grammar.matches("(ab, ab, ab, ab)")
    assert not grammar.matches("(ab,ab)")
    assert grammar.max_length == 12
    assert grammar.forced(grammar.start()) == "(a"


def test_an_item_that_may_be_empty_cannot_repeat() -> None:
    with pytest.raises(ValueError, match="cannot be repeated"):
        Repeat(chain(), 0, 3)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_a_completion_ends_the_answer_and_a_search_finds_none_much_shorter(name: str, seed: int, share: float) -> None:
    grammar = build(name).grammar((90, 120))
    text = grammar.sample(np.random.default_rng(seed), stop=0.3)
    begun = text[: int(share * len(text))]
    state = grammar.advance(grammar.start(), begun)
    end = grammar.completion(state)
    assert grammar.matches(begun + end)
    assert len(end) <= max(len(text) - len(begun), 24)


@pytest.mark.parametrize("name", ["text-hbb", "qwen2.5-vl", "geochat"])
def test_the_search_for_a_completion_agrees_with_what_rules_know(name: str) -> None:
    grammar = build(name).grammar((90, 120))
    state = grammar.advance(grammar.start(), grammar.sample(np.random.default_rng(1))[:-6])
    found = Grammar.completion(grammar, state)
    assert grammar.is_accepting(grammar.advance(state, found))
    assert len(found) <= len(grammar.completion(state))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_loose_text_is_valid_whatever_it_says(name: str, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    grammar = build(name).grammar((90, 120))
    text = grammar.sample(rng, stop=0.3)
    state = grammar.advance(grammar.start(), text[: int(share * len(text))])
    loose = grammar.loose(state)
    if loose is None:
        return
    words = "".join(loose.chars.pick(rng) for _ in range(int(rng.integers(1, loose.most + 1))))
    after = grammar.advance(state, words)
    assert after is not None
    assert grammar.is_accepting(grammar.advance(after, grammar.completion(grammar.advance(loose.state, words))))
