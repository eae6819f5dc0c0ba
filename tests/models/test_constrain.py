"""Token automata of all codecs over tokenizers of all kinds: never a dead end, nothing left out, nothing let in."""

from __future__ import annotations

import numpy as np
import pytest
import wordings
from hypothesis import given, settings
from hypothesis import strategies as st
from wordings import CODEC_NAMES, grammar, tokenizer, tokens, vocabulary

from rsground.codecs import Grammar, RuleGrammar, TextMask
from rsground.codecs.grammar import CharSet
from rsground.codecs.rules import Phrase, chain, either
from rsground.models.constrain import TokenGrammar, TokenState
from rsground.models.vocabulary import Vocabulary, VocabularyError

KINDS = ["bytes", "pieces", "words"]
PAIRS = [(name, KINDS[at % 3]) for at, name in enumerate(CODEC_NAMES)]


def brute(automaton: TokenGrammar, state: TokenState) -> set[int]:
    """What may follow, by trying every token on its own text."""
    found = set()
    for token, text in automaton.vocabulary.texts.items():
        if token in automaton.vocabulary.ends:
            continue
        if state.last is None and automaton.vocabulary.drops_space:
            text = text.removeprefix(b" ")
        try:
            said = (state.place.pending + text).decode()
        except UnicodeDecodeError:
            continue
        if automaton.grammar.advance(state.place.rule, said) is not None:
            found.add(token)
    return found


def is_whole(automaton: TokenGrammar, state: TokenState, token: int) -> bool:
    """Whether a token ends on a whole character."""
    try:
        (state.place.pending + automaton.vocabulary.texts[token]).decode()
    except UnicodeDecodeError:
        return False
    return True


def walk(automaton: TokenGrammar, rng: np.random.Generator, most: int = 40) -> list[TokenState]:
    """States of a random answer, up to a length."""
    states = [automaton.start()]
    while len(states) < most:
        ids = automaton.allowed(states[-1])
        token = int(rng.choice(ids))
        if token in automaton.vocabulary.ends:
            break
        after = automaton.advance(states[-1], token)
        assert after is not None
        states.append(after)
    return states


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_what_is_allowed_is_what_the_grammar_allows(name: str, kind: str) -> None:
    automaton = tokens(name, kind, canonical=False)
    rng = np.random.default_rng(len(name))
    states = walk(automaton, rng)
    for at in rng.choice(len(states), size=min(4, len(states)), replace=False):
        state = states[at]
        allowed = set(automaton.allowed(state).tolist())
        ends = automaton.vocabulary.ends
        assert bool(allowed & ends) == automaton.is_accepting(state)
        whole = {token for token in allowed - ends if is_whole(automaton, state, token)}
        literal = {token for token in brute(automaton, state) - whole if token in automaton.vocabulary.special}
        assert whole == brute(automaton, state) - literal
        assert not literal or automaton.grammar.loose(state.place.rule), "special tokens are left out of free text only"


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@settings(max_examples=1, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_walk_ends_in_a_valid_answer(name: str, kind: str, seed: int) -> None:
    automaton = tokens(name, kind)
    rng = np.random.default_rng(seed)
    said: list[int] = []
    state = automaton.start()
    for _ in range(40):
        ids = automaton.allowed(state)
        assert len(ids), automaton.vocabulary.text(said)
        token = int(rng.choice(ids))
        if token in automaton.vocabulary.ends:
            assert automaton.grammar.matches(automaton.vocabulary.text(said))
            return
        state = automaton.advance(state, token)
        said.append(token)
    ending = automaton.ending(state)
    assert len(ending) <= automaton.most_to_end(state)
    assert automaton.grammar.matches(automaton.vocabulary.text([*said, *ending]))


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_no_two_tokens_that_a_tokenizer_writes_as_one(name: str, kind: str) -> None:
    """By definition, token by token: the two texts are one token's, and no tokenizer cuts that text in these two."""
    automaton, free = tokens(name, kind), tokens(name, kind, canonical=False)
    words = automaton.vocabulary
    for state in walk(automaton, np.random.default_rng(7), 25):
        offered = set(free.allowed(state).tolist()) - words.ends
        if state.last is None or state.last in words.special or not 1 < len(offered) <= 1024:
            continue
        split = {
            token
            for token in offered - words.special
            if (both := words.texts[state.last] + words.texts[token]) in words.ids
            and words.canonical(both) != (state.last, token)
        }
        assert set(automaton.allowed(state).tolist()) - words.ends == (offered - split or offered)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_forced_tokens_say_what_every_answer_says(name: str, kind: str) -> None:
    automaton = tokens(name, kind)
    strict = tokens(name, kind, force="tokens")
    for state in walk(automaton, np.random.default_rng(3), 20):
        forced, after = automaton.forced(state)
        assert automaton.follow(state, forced) == after
        single, _ = strict.forced(state)
        here: TokenState | None = state
        for token in single:
            assert strict.allowed(here).tolist() == [token]
            here = strict.advance(here, token)
        begun = state.place.pending + b"".join(automaton.vocabulary.texts[token] for token in forced)
        if state.last is None and automaton.vocabulary.drops_space:
            begun = begun.removeprefix(b" ")
        # Another random completion of the answer says the same there (a choice of digits aside, which is no text).
        other = automaton.grammar.sample(np.random.default_rng(5), state=state.place.rule).encode()
        if not state.place.pending and forced and len(automaton.allowed(state)) > 1:
            assert other[: len(begun)] == begun or not automaton.canonical or _is_canonical_choice(automaton, state)


def _is_canonical_choice(automaton: TokenGrammar, state: TokenState) -> bool:
    """Whether the text is forced only since a longer number would have been another token."""
    loose = TokenGrammar(automaton.grammar, automaton.vocabulary, canonical=False)
    return len(loose.allowed(state)) > len(automaton.allowed(state))


@pytest.mark.parametrize("kind", ["bytes", "pieces", "words"])
@pytest.mark.parametrize("text", ["<seg>0 *4| 1 *28\n ", "the large ship, 12", "a\nb", '[{"label": 3}]'])
def test_texts_of_tokens_join_to_what_the_tokenizer_decodes(kind: str, text: str) -> None:
    ids = tokenizer(kind)(text, add_special_tokens=False)["input_ids"]
    assert vocabulary(kind).text(ids) == text
    assert tokenizer(kind).decode(ids, clean_up_tokenization_spaces=False) == text
    own = vocabulary(kind).canonical(text.encode())
    assert own is not None
    assert b"".join(vocabulary(kind).texts[token] for token in own) == text.encode()


def test_half_characters_are_completed() -> None:
    words = RuleGrammar(chain("<", Phrase(CharSet(frozenset("<>"), negated=True), 1, 4), ">"))
    only = RuleGrammar(either("é!", "船!"))
    single = Vocabulary({byte: bytes([byte]) for byte in range(256)}, [256])
    automaton = TokenGrammar(only, single)
    assert automaton.allowed(automaton.start()).tolist() == [0xC3, 0xE8]
    state = automaton.advance(automaton.start(), 0xE8)
    assert automaton.allowed(state).tolist() == [0x88]
    assert automaton.forced(state)[0] == (0x88, 0xB9, 0x21)
    free = TokenGrammar(words, single)
    state = free.advance(free.start(), ord("<"))
    allowed = set(free.allowed(state).tolist())
    assert {ord("a"), 0xC3, 0xE8, 0xF0} <= allowed
    assert not allowed & {ord("<"), ord(">"), 0x80, 0xC0, 0xFF}
    rng = np.random.default_rng(0)
    for _ in range(12):
        said: list[int] = []
        state = free.start()
        while (token := int(rng.choice(free.allowed(state)))) != 256:
            said.append(token)
            state = free.advance(state, token)
        assert words.matches(bytes(said).decode())


def test_a_vocabulary_without_letters_still_finds_its_way() -> None:
    automaton = TokenGrammar(TextMask(6).grammar(wordings.SIZE), vocabulary("mask-words"))
    rng = np.random.default_rng(0)
    said = [state.last for state in walk(automaton, rng, 5000)][1:]
    text = automaton.vocabulary.text(said)
    assert automaton.grammar.matches(text)
    # "</se" is a token that the grammar would take, but nothing could follow it.
    trap = vocabulary("mask-words").ids[b"</se"][0]
    assert trap not in said
    assert trap not in automaton.allowed(automaton.follow(automaton.start(), tuple(said[:-1])))
    ending = automaton.ending(automaton.start())
    assert automaton.grammar.matches(automaton.vocabulary.text(ending))


def test_a_vocabulary_that_cannot_say_any_answer_is_refused_at_once() -> None:
    with pytest.raises(VocabularyError, match=r"no token for \[.*'b'.*\] of, for example, '<box>"):
        TokenGrammar(grammar("text-hbb"), vocabulary("mask-words"))
    with pytest.raises(VocabularyError, match="end"):
        Vocabulary({0: b"a"}, [])


def test_reserved_tokens_and_image_marks_are_never_offered() -> None:
    automaton = tokens("qwen2.5-vl", "bytes")
    known = tokenizer("bytes").get_vocab()
    for state in walk(automaton, np.random.default_rng(1), 60):
        allowed = set(automaton.allowed(state).tolist())
        assert not allowed & {known["<pad>"], known["<unk>"], known["<image>"]}
    box = tokens("qwen2-vl", "bytes")
    forced, _ = box.forced(box.start())
    started = known["<|box_start|>"]
    assert started in forced or any(started in box.allowed(state) for state in walk(box, np.random.default_rng(2)))


def test_a_number_is_one_token_where_it_can_be() -> None:
    automaton, known = tokens("text-mask", "words"), vocabulary("words").ids
    state = automaton.start()
    state = automaton.follow(state, tuple(known[text][0] for text in (b"<seg>", b"0", b" *", b"1")))
    assert not set(automaton.allowed(state).tolist()) & {known[str(digit).encode()][0] for digit in range(10)}
    assert automaton.forced(state)[0][:3] == tuple(known[text][0] for text in (b"| ", b"1", b" *"))


def test_grammars_that_know_nothing_but_characters_work_too() -> None:
    class Plain(Grammar):
        """a, then b or c, as often as wanted, then an end."""

        max_length = None

        def start(self) -> str:
            return "a"

        def step(self, state: str, char: str) -> str | None:
            return {("a", "a"): "b", ("b", "b"): "a", ("b", "c"): "e"}.get((state, char))

        def is_accepting(self, state: str) -> bool:
            return state == "e"

        def allowed_next(self, state: str) -> CharSet:
            return CharSet(frozenset({"a": "a", "b": "bc", "e": ""}[state]))

    automaton = TokenGrammar(Plain(), Vocabulary({1: b"a", 2: b"b", 3: b"c", 4: b"ab", 5: b"ba"}, [0]), canonical=False)
    assert automaton.allowed(automaton.start()).tolist() == [1, 4]
    assert automaton.ending(automaton.start()) == (1, 3)
    lame = TokenGrammar(Plain(), Vocabulary({4: b"ab", 5: b"ac", 6: b"a", 7: b"ba"}, [0]), canonical=False)
    assert lame.allowed(lame.start()).tolist() == [4, 5], "after a alone, only ba could follow, for ever"
    with pytest.raises(VocabularyError, match="'c'"):
        TokenGrammar(Plain(), Vocabulary({1: b"a", 2: b"b"}, [0]))


def test_names_are_those_of_the_registry() -> None:
    assert len(CODEC_NAMES) == 24
    assert wordings.SIZE
