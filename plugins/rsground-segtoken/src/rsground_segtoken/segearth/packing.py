"""SegEarth-R1's prompt: where the visual tokens, the description and the answer go, and what is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rsground.errors import ShapeError

IGNORED = -100
"""Label of positions that carry no text loss."""
SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
_ASK = "This is an image <image>, Please doing {kind} Segmentation according to the following instruction:\n<refer>"
_SAY = {"Referring": "\nSure. It is <seg>. ", "Reasoning": "Sure, It is <seg>. \n<answer>."}
_PARTS = ("<image>", "<seg>", "<refer>", "<answer>")

Encode = Callable[[str], Sequence[int]]
"""Text to token ids, without special tokens around them."""
Kind = Literal["Referring", "Reasoning"]


def prompt_text(kind: Kind = "Referring") -> tuple[str, str]:
    """The conversation up to the assistant's turn, and that turn with the end of text; the released wording.

    The space between them belongs to the answer, whose first trained token is `` Sure``.
    """
    asked = f"[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\n{_ASK.format(kind=kind)} [/INST]"
    return asked, f" {_SAY[kind]} <|endoftext|>"


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One sample's prompt as pieces.

    Attributes:
        pieces: token ids, or the name of a placeholder (``"<image>"``, ``"<refer>"``, ``"<answer>"``); ``<seg>`` is
            dropped, as the released model does.
        trained: per piece, whether text loss is taken there.
        refer, answer: ids of the description and the answer, each with its trailing [SEG].
    """

    pieces: tuple[tuple[int, ...] | str, ...]
    trained: tuple[bool, ...]
    refer: tuple[int, ...]
    answer: tuple[int, ...] = ()

    def length(self, visual: int) -> int:
        """Positions after packing with ``visual`` visual tokens."""
        return sum(self._sizes(visual))

    @property
    def labels(self) -> int:
        """Positions that text loss is taken on."""
        return sum(size for size, trained in zip(self._sizes(0), self.trained, strict=True) if trained)

    def _sizes(self, visual: int) -> list[int]:
        sizes = {"<image>": visual, "<refer>": len(self.refer), "<answer>": len(self.answer)}
        return [sizes[piece] if isinstance(piece, str) else len(piece) for piece in self.pieces]


def turn(description: str, encode: Encode, seg_id: int, *, kind: Kind = "Referring", answer: str | None = None) -> Turn:
    """Tokenize one sample's prompt.

    Args:
        description: the referring expression or question.
        encode: the tokenizer.
        seg_id: id of ``[SEG]``.
        kind: which of the two released templates.
        answer: reference text, for the reasoning template; an empty one by default.
    """
    pieces: list[tuple[int, ...] | str] = []
    trained: list[bool] = []
    for text, is_answer in zip(prompt_text(kind), (False, True), strict=True):
        for piece in _pieces(text, encode):
            pieces.append(piece)
            trained.append(is_answer)
    said = (*encode(answer or ""), seg_id) if kind == "Reasoning" else ()
    return Turn(tuple(pieces), tuple(trained), (*encode(" " + description), seg_id), said)


def _pieces(text: str, encode: Encode) -> list[tuple[int, ...] | str]:
    """Text split at placeholders, ``<seg>`` left out."""
    if not text:
        return []
    places = [(text.find(part), part) for part in _PARTS if part in text]
    if not places:
        return [tuple(encode(text))]
    start, part = min(places)
    before = [tuple(encode(text[:start]))] if start else []
    middle = [] if part == "<seg>" else [part]
    return [*before, *middle, *_pieces(text[start + len(part) :], encode)]


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A batch for the language model, padded on the right.

    Attributes:
        embeddings: ``(B, L, D)``; zeros where padded.
        attention: ``(B, L)`` bool, false where padded.
        refer: ``(B, L)`` bool, true on the description and its [SEG].
        labels: ``(B, L)`` int64, :data:`IGNORED` where no text loss is taken.
    """

    embeddings: Tensor
    attention: Tensor
    refer: Tensor
    labels: Tensor


def pack(turns: Sequence[Turn], visual: Tensor, embed: Callable[[Tensor], Tensor]) -> Packed:
    """Put visual tokens ``(B, V, D)`` and embedded text in place.

    Raises:
        ShapeError: another number of images than of turns.
    """
    if len(turns) != len(visual):
        raise ShapeError(f"every turn shows one image: {len(turns)} turns, {len(visual)} images")
    rows = [_row(each, tokens, embed) for each, tokens in zip(turns, visual, strict=True)]
    fills: tuple[float, ...] = (0.0, 0, IGNORED)
    embeddings, refer, labels = (
        torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True, padding_value=fill)
        for parts, fill in zip(zip(*rows, strict=True), fills, strict=True)
    )
    lengths = torch.tensor([len(row[1]) for row in rows], device=visual.device)
    attention = torch.arange(embeddings.shape[1], device=visual.device)[None] < lengths[:, None]
    return Packed(embeddings, attention, refer.bool(), labels)


def _row(each: Turn, visual: Tensor, embed: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    embedded, refer, labels = [], [], []
    texts = {"<refer>": each.refer, "<answer>": each.answer}
    for piece, trained in zip(each.pieces, each.trained, strict=True):
        if piece == "<image>":
            embedded.append(visual)
            labels.append(torch.full((len(visual),), IGNORED, device=visual.device))
        else:
            ids = torch.tensor(texts[piece] if isinstance(piece, str) else piece, device=visual.device).long()
            embedded.append(embed(ids).to(visual.dtype))
            labels.append(ids if trained else torch.full_like(ids, IGNORED))
        refer.append(torch.full((len(embedded[-1]),), piece == "<refer>", device=visual.device))
    return torch.cat(embedded), torch.cat(refer), torch.cat(labels)
