"""A character grammar as an automaton over a model's tokens: which tokens may come next, and which must.

A state is offered only if the answer can still be completed with this vocabulary, so decoding never runs into a dead
end. Where the vocabulary can write every byte, each state of a grammar has an end and nothing needs checking; else
:mod:`rsground.models.endings` looks for one, state by state, and remembers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsground.codecs.grammar import Grammar
from rsground.models.endings import Endings, Place, char_from
from rsground.models.loose_text import LooseTokens
from rsground.models.vocabulary import Node, Vocabulary, VocabularyError

Ids = NDArray[np.int64]
Force = Literal["text", "tokens", "none"]
_CANONICAL_AMONG = 1024
_REMEMBERED = 4_000_000


class TokenState(NamedTuple):
    """Where an answer stands.

    Attributes:
        place: the grammar's state and the bytes of a character that is not complete yet.
        last: the last token, None before the first.
    """

    place: Place
    last: int | None


class TokenGrammar:
    """A grammar over tokens.

    Args:
        grammar: what a valid answer looks like, by characters.
        vocabulary: what tokens say.
        force: what is appended without asking the model. ``"text"``: every stretch of text that the grammar leaves no
            choice about, cut into tokens as the tokenizer cuts it. ``"tokens"``: only where one single token is
            allowed, which changes no answer. ``"none"``: nothing.
        canonical: do not offer a token that would be one with the token before it (``1`` then ``2`` where ``12`` is a
            token), unless nothing else is left: no tokenizer writes that, so no model has learnt it.

    Raises:
        VocabularyError: no valid answer can be written with this vocabulary.
    """

    def __init__(
        self, grammar: Grammar, vocabulary: Vocabulary, *, force: Force = "text", canonical: bool = True
    ) -> None:
        self.grammar, self.vocabulary, self.force, self.canonical = grammar, vocabulary, force, canonical
        self._ends = np.array(sorted(vocabulary.ends), np.int64)
        self._loose = LooseTokens(vocabulary)
        self._endings = Endings(grammar, vocabulary, self._steps)
        self._memo: dict[tuple[Place, bool], Ids] = {}
        self._memo_size = 0
        self._longer: dict[int, dict[int, bytes]] = {}
        start = self.start()
        if not self._endings.has(start.place) and not len(self._base(start)):
            text = grammar.completion(start.place.rule)
            raise VocabularyError(
                f"the vocabulary cannot write any valid answer: it has no token for {sorted(vocabulary.misses(text))} "
                f"of, for example, {text[:60]!r}. Add tokens for these characters, or decode unconstrained"
            )

    def start(self) -> TokenState:
        """The state before the first token."""
        return TokenState(Place(self.grammar.start(), b""), None)

    def advance(self, state: TokenState, token: int) -> TokenState | None:
        """The state after one more token (no end token); None where no valid answer goes on like that."""
        place: Place | None = state.place
        text = self.vocabulary.texts.get(token, b"")
        if self._is_fresh(state):
            text = text.removeprefix(b" ")
        for byte in text:
            place = None if place is None else self._step(place, byte)
        return None if place is None or token not in self.vocabulary.texts else TokenState(place, token)

    def is_accepting(self, state: TokenState) -> bool:
        """Whether the text so far is a complete answer."""
        return not state.place.pending and self.grammar.is_accepting(state.place.rule)

    def allowed(self, state: TokenState) -> Ids:
        """Ids of the tokens that may come next, ascending, end tokens among them where the answer is complete.

        Never empty for a state that :meth:`advance` made of an allowed token.
        """
        found = self._base(state)
        if self.canonical and state.last is not None and 1 < len(found) <= _CANONICAL_AMONG:
            joined = self._joined(state.last)
            cut = self.vocabulary.canonical
            kept = [at for at in found.tolist() if at not in joined or cut(joined[at]) == (state.last, at)]
            if 0 < len(kept) < len(found):
                found = np.array(kept, np.int64)
        return np.union1d(found, self._ends) if self.is_accepting(state) else found

    def forced(self, state: TokenState) -> tuple[tuple[int, ...], TokenState]:
        """The tokens that follow whatever the model says, and the state after them. Never holds an end token."""
        found: list[int] = []
        while self.force != "none" and len(found) < 4096:
            ids = self.allowed(state)
            if len(ids) == 0 or self.is_accepting(state):
                break
            tokens = (int(ids[0]),) if len(ids) == 1 else self._forced_text(state, ids)
            after = self.follow(state, tokens)
            if not tokens or after is None:
                break
            found.extend(tokens)
            state = after
        return tuple(found), state

    def follow(self, state: TokenState, tokens: tuple[int, ...]) -> TokenState | None:
        """The state after several tokens; None where no valid answer goes on like that."""
        after: TokenState | None = state
        for token in tokens:
            after = None if after is None else self.advance(after, token)
        return after

    def most_to_end(self, state: TokenState) -> int:
        """A cheap upper bound of the tokens of :meth:`ending`."""
        return self._endings.most(state.place)

    def ending(self, state: TokenState) -> tuple[int, ...]:
        """The tokens of a short completion, without the end token."""
        return self._endings.of(state.place)

    def _is_fresh(self, state: TokenState) -> bool:
        return state.last is None and self.vocabulary.drops_space

    def _base(self, state: TokenState) -> Ids:
        key = state.place, self._is_fresh(state)
        found = self._memo.get(key)
        if found is None:
            parts = [ids for ids, place in self._moves(*key) if self._endings.has(place)]
            found = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)
            if self._memo_size > _REMEMBERED:
                self._memo.clear()
                self._memo_size = 0
            self._memo[key] = found
            self._memo_size += len(found) + 64
        return found

    def _steps(self, place: Place) -> Iterator[tuple[Ids, Place]]:
        return self._moves(place, False)

    def _moves(self, place: Place, fresh: bool) -> Iterator[tuple[Ids, Place]]:
        """Tokens that the grammar allows, with the place after them (of free text: one as good as it)."""
        root = self.vocabulary.root
        loose = None if place.pending else self.grammar.loose(place.rule)
        if loose is not None and loose.chars.negated:
            found = self._loose.of(loose.chars)
            yield from found.free(self.grammar, loose)
            root = found.others
        yield from self._walk(root, place)
        space = root.children.get(0x20) if fresh else None
        if space is not None:
            if space.is_text:
                yield self._ids(space), place
            yield from self._walk(space, place)

    def _walk(self, root: Node, place: Place) -> Iterator[tuple[Ids, Place]]:
        stack = [(root, place)]
        while stack:
            node, here = stack.pop()
            for byte in self._bytes(node, here):
                after = self._step(here, byte)
                if after is None:
                    continue
                child = node.children[byte]
                if child.is_text:
                    yield self._ids(child), after
                if child.high - child.low > child.is_text:
                    stack.append((child, after))

    def _ids(self, node: Node) -> Ids:
        return np.array(self.vocabulary.ids[node.texts[node.low]], np.int64)

    def _bytes(self, node: Node, place: Place) -> list[int]:
        """The next bytes worth trying."""
        allowed = self.grammar.allowed_next(place.rule)
        if place.pending or allowed.negated or len(allowed.chars) >= len(node.children):
            return list(node.children)
        firsts = {char.encode("utf-8", "surrogatepass")[0] for char in allowed.chars}
        return [byte for byte in firsts if byte in node.children]

    def _step(self, place: Place, byte: int) -> Place | None:
        if byte < 0x80 and not place.pending:
            rule = self.grammar.step(place.rule, chr(byte))
            return None if rule is None else Place(rule, b"")
        begun = place.pending + bytes([byte])
        try:
            char = begun.decode()
        except UnicodeDecodeError:
            after = Place(place.rule, begun)
            return after if char_from(self.grammar, after) is not None else None
        rule = self.grammar.step(place.rule, char)
        return None if rule is None else Place(rule, b"")

    def _joined(self, last: int) -> dict[int, bytes]:
        """The tokens that make the text of another token after this one, with that text; special ones never do."""
        found = self._longer.get(last)
        if found is None:
            found = self._longer[last] = {}
            text, special = self.vocabulary.texts[last], self.vocabulary.special
            node = None if last in special else self.vocabulary.root.find(text)
            for both in () if node is None else node.texts[node.low : node.high]:
                rests = self.vocabulary.ids.get(both[len(text) :], ())
                found.update({token: both for token in rests if token not in special})
        return found

    def _forced_text(self, state: TokenState, ids: Ids) -> tuple[int, ...]:
        """Tokens of the text that must follow, as far as no longer token could stand in their place."""
        if self.force != "text" or state.place.pending or len(ids) > _CANONICAL_AMONG:
            return ()
        texts = [self.vocabulary.texts[token] for token in ids.tolist()]
        if self._is_fresh(state):
            texts = [text.removeprefix(b" ") for text in texts]
        firsts = {text[:1] for text in texts}
        rule, text = state.place.rule, ""
        if len(firsts) == 1 and next(iter(firsts)).isascii() and (text := next(iter(firsts)).decode()):
            rule = self.grammar.step(rule, text)
        text += self.grammar.forced(rule)
        after = self.grammar.advance(state.place.rule, text)
        said = (b" " if self._is_fresh(state) and text else b"") + text.encode()
        tokens = self.vocabulary.canonical(said)
        if tokens is None and said:
            tokens = self.vocabulary.canonical(text.encode())
        if not tokens or after is None or not self._endings.has(Place(after, b"")):
            return ()
        return self._settled(tokens, Place(after, b""))

    def _settled(self, tokens: tuple[int, ...], after: Place) -> tuple[int, ...]:
        """These tokens up to where a longer token, reaching beyond the forced text, could begin."""
        rest, cut = b"", len(tokens)
        for at in range(len(tokens) - 1, -1, -1):
            rest = self.vocabulary.texts[tokens[at]] + rest
            node = self.vocabulary.root.find(rest)
            if node is not None and next(self._walk(node, after), None) is not None:
                cut = at
            if len(rest) > self.vocabulary.longest:
                break
        return tokens[:cut]
