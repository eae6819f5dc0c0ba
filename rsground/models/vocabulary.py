"""What every token of a tokenizer adds to the text, and a trie over it that is built where it is walked.

Texts are UTF-8 bytes, since byte-level tokenizers have tokens that hold half a character. Read from the tokenizer's own
description: byte-level BPE (each character of a token stands for a byte), SentencePiece kinds (``▁`` is a space,
``<0x0A>`` a byte), plain word lists (the decoder joins tokens by spaces, or by nothing), added tokens (literally).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from rsground.errors import RsgroundError

_RESERVED = ("bos", "eos", "pad", "unk", "sep", "cls", "mask")
_CHARACTER_BYTES = frozenset(range(0x80)) | frozenset(range(0x80, 0xC0)) | frozenset(range(0xC2, 0xF5))


class VocabularyError(RsgroundError, ValueError):
    """A vocabulary cannot say what is asked for."""


class Node:
    """A place in the trie: all texts of one sorted list that begin alike.

    Args:
        texts: sorted, without repetition.
        low, high: the range of texts in this place.
        depth: bytes they share.
    """

    __slots__ = ("_children", "depth", "high", "low", "texts")

    def __init__(self, texts: Sequence[bytes], low: int, high: int, depth: int) -> None:
        self.texts, self.low, self.high, self.depth = texts, low, high, depth
        self._children: dict[int, Node] | None = None

    @property
    def is_text(self) -> bool:
        """Whether a text ends here; it is ``texts[low]``."""
        return self.low < self.high and len(self.texts[self.low]) == self.depth

    @property
    def children(self) -> dict[int, Node]:
        """The places one byte further."""
        if self._children is None:
            self._children = {}
            at = self.low + self.is_text
            while at < self.high:
                byte = self.texts[at][self.depth]
                begin = self.texts[at][: self.depth]
                end = bisect_left(self.texts, begin + bytes([byte + 1]), at, self.high) if byte < 255 else self.high
                self._children[byte] = Node(self.texts, at, end, self.depth + 1)
                at = end
        return self._children

    def find(self, text: bytes) -> Node | None:
        """The place after some more bytes; None where no text goes on like that."""
        node: Node | None = self
        for byte in text:
            node = None if node is None else node.children.get(byte)
        return node


class Vocabulary:
    """Tokens and their texts.

    Args:
        texts: what each token id adds to the answer, as UTF-8 bytes; tokens that add none are left out.
        ends: ids that end an answer.
        special: ids that are written literally but never part of free text, such as ``<|box_start|>``.
        drops_space: whether a space at the very beginning of the answer is not part of it (SentencePiece decoders).
        silent: texts of tokens that must not be generated (begin, padding ...), for :meth:`text` alone.
        encode: the tokenizer's own way to cut a text; its answers are used only where they spell the text exactly.
    """

    def __init__(
        self,
        texts: Mapping[int, bytes],
        ends: Iterable[int],
        *,
        special: Iterable[int] = (),
        drops_space: bool = False,
        silent: Mapping[int, bytes] | None = None,
        encode: Callable[[str], list[int]] | None = None,
    ) -> None:
        self.texts = {token: text for token, text in texts.items() if text}
        self.ends, self.special = frozenset(ends), frozenset(special)
        self.drops_space, self.silent = drops_space, dict(silent or {})
        self._encode = encode
        self.ids: dict[bytes, list[int]] = {}
        for token in sorted(self.texts):
            if token not in self.ends:
                self.ids.setdefault(self.texts[token], []).append(token)
        self.root = tree(self.ids)
        self.canonical: Callable[[bytes], tuple[int, ...] | None] = lru_cache(maxsize=4096)(self._canonical)
        if not self.ends:
            raise VocabularyError("a vocabulary needs at least one token that ends an answer, such as eos; none given")

    @classmethod
    def of(cls, tokenizer: Any, ends: Iterable[int] | None = None) -> Vocabulary:
        """The vocabulary of a tokenizer of ``transformers``.

        Args:
            tokenizer: a (fast) tokenizer.
            ends: ids that end an answer; its ``eos_token_id`` unless given.

        Raises:
            VocabularyError: no end token is known, or how the tokenizer writes text is not.
        """
        found = (tokenizer.eos_token_id,) if ends is None else tuple(ends)
        if any(end is None for end in found):
            raise VocabularyError(f"{type(tokenizer).__name__} has no eos token; give the ids that end an answer")
        reserved = {getattr(tokenizer, f"{name}_token_id", None) for name in _RESERVED}
        added = {int(token): entry for token, entry in tokenizer.added_tokens_decoder.items()}
        write, drops_space = _writer(tokenizer)
        texts: dict[int, bytes] = {}
        silent: dict[int, bytes] = {}
        for piece, token in tokenizer.get_vocab().items():
            text = str(added[token]).encode() if token in added else write(piece)
            (silent if token in reserved else texts)[int(token)] = text
        special = [token for token, entry in added.items() if entry.special]
        return cls(
            texts,
            found,
            special=special,
            drops_space=drops_space,
            silent=silent,
            encode=lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"]),
        )

    def text(self, tokens: Iterable[int]) -> str:
        """What these tokens say, special ones included; bytes that are no UTF-8 become U+FFFD."""
        said = b"".join(self.texts.get(token) or self.silent.get(token, b"") for token in tokens)
        return (said.removeprefix(b" ") if self.drops_space else said).decode("utf-8", "replace")

    @cached_property
    def longest(self) -> int:
        """Bytes of the longest text."""
        return max(map(len, self.ids), default=0)

    @cached_property
    def single(self) -> frozenset[int]:
        """The bytes that are tokens."""
        return frozenset(text[0] for text in self.ids if len(text) == 1)

    @cached_property
    def spells_all(self) -> bool:
        """Whether every text of every language can be written."""
        return self.single >= _CHARACTER_BYTES

    def misses(self, text: str) -> set[str]:
        """The characters of ``text`` that can be written neither by tokens of their own nor byte by byte."""
        return set() if self.spells_all else {char for char in set(text) if not self._spells(char)}

    def _spells(self, char: str) -> bool:
        text = char.encode("utf-8", "surrogatepass")
        return text in self.ids or self.single.issuperset(text)

    def longest_match(self, text: bytes) -> tuple[int, ...] | None:
        """Tokens of ``text``, each the longest that fits; None where that leads nowhere."""
        found: list[int] = []
        at = 0
        while at < len(text):
            node, best = self.root, 0
            for offset in range(at, len(text)):
                child = node.children.get(text[offset])
                if child is None:
                    break
                node = child
                if node.is_text:
                    best = offset + 1
            if not best:
                return None
            found.append(self.ids[text[at:best]][0])
            at = best
        return tuple(found)

    def _canonical(self, text: bytes) -> tuple[int, ...] | None:
        """Tokens of ``text`` as the tokenizer cuts it, or by longest match where that says something else."""
        if self._encode is not None:
            try:
                found = tuple(self._encode(text.decode()))
            except UnicodeDecodeError:
                found = ()
            if found and b"".join(self.texts.get(token, b"") for token in found) == text and not self.ends & set(found):
                return found
        return self.longest_match(text)


def tree(texts: Iterable[bytes]) -> Node:
    """The root of a trie over these texts."""
    ordered = sorted(texts)
    return Node(ordered, 0, len(ordered), 0)


def _writer(tokenizer: Any) -> tuple[Callable[[str], bytes], bool]:
    """How a piece of the vocabulary is written, and whether a leading space of an answer is dropped."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise VocabularyError(
            f"{type(tokenizer).__name__} does not say how it writes text: constrained decoding needs a fast tokenizer "
            "(one with a backend_tokenizer), or a Vocabulary made by hand"
        )
    steps = list(_steps(json.loads(backend.to_str())["decoder"]))
    kinds = {step["type"] for step in steps}
    if "ByteLevel" in kinds:
        return _byte_level, False
    if "WordPiece" in kinds:
        prefix = next(step["prefix"] for step in steps if step["type"] == "WordPiece")
        return lambda piece: (piece[len(prefix) :] if piece.startswith(prefix) else f" {piece}").encode(), True
    if not steps:
        return lambda piece: f" {piece}".encode(), True
    drops = any(
        (step["type"] == "Strip" and step["start"] > 0)
        or (step["type"] == "Metaspace" and step.get("prepend_scheme", "always") != "never")
        for step in steps
    )
    marks = [step.get("replacement", "▁") for step in steps if step["type"] == "Metaspace"]
    marks += [step["pattern"].get("String", "▁") for step in steps if step["type"] == "Replace"]
    has_bytes = "ByteFallback" in kinds
    return lambda piece: _pieces(piece, marks, has_bytes), drops


def _steps(decoder: Any) -> Iterator[Any]:
    """The steps of a decoder's description, those of sequences one by one."""
    if decoder and decoder["type"] == "Sequence":
        for step in decoder["decoders"]:
            yield from _steps(step)
    elif decoder:
        yield decoder


def _pieces(piece: str, marks: Iterable[str], has_bytes: bool) -> bytes:
    if has_bytes and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    for mark in marks:
        piece = piece.replace(mark, " ")
    return piece.encode()


def _byte_level(piece: str) -> bytes:
    known = _byte_of()
    return bytes(known[char] for char in piece) if all(char in known for char in piece) else piece.encode()


@lru_cache(maxsize=1)
def _byte_of() -> dict[str, int]:
    """The byte behind each character of byte-level BPE: printable Latin-1 for itself, the rest from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    found = {chr(byte): byte for byte in plain}
    rest = [byte for byte in range(256) if byte not in set(plain)]
    found.update({chr(0x100 + at): byte for at, byte in enumerate(rest)})
    return found
