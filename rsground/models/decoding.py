"""The decode loop: a batch of prompts to answers, each under its own grammar, its own dice and its own limit.

How to call it::

    vocabulary = Vocabulary.of(tokenizer)                       # once per model
    grammar = TokenGrammar(codec.grammar(size), vocabulary)     # once per grammar; rows may share it
    rows = [Row(grammar, max_new_tokens=512), Row(None, temperature=0.7, dice=torch.Generator().manual_seed(1))]
    answers = decode(model, inputs, rows, vocabulary, hidden=False)

``inputs`` is what the model's forward takes for the prompts, padded on the left: ``input_ids`` (B, L),
``attention_mask`` (B, L), pixels and so on. Without ``position_ids`` they are counted from the mask.

``advance(inputs, rows)``, if given, sees the inputs of every later step before the model does (``input_ids``,
``attention_mask``, ``position_ids`` (B, n) counted in tokens, ``past_key_values``, ``use_cache``) with the numbers of
the rows that are left (a long tensor), and returns those to use: a model with positions of its own (M-RoPE) adds its
shift there. With ``advance`` the prompts' positions are left to the model unless ``inputs`` holds them.

Tokens that a grammar forces are not asked for: they are fed together with the next token that is needed, several
columns of the cache in one pass. Rows with fewer of them are padded on the left within the step; the gaps are masked
and positions count tokens, not columns, so a row's answer does not depend on its neighbours. A model of which a layer
would take notice of gaps (a sliding window counts columns; linear attention passes a state from one to the next) is fed
as many tokens of every row as the shortest queue holds: no gaps, and more passes where rows differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rsground.models.choosing import choose
from rsground.models.lanes import Lane, Row, lane
from rsground.models.passes import Passes
from rsground.models.vocabulary import Vocabulary

Advance = Callable[[dict[str, Any], Tensor], dict[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """One answer.

    Attributes:
        token_ids: its tokens, without the end token.
        text: what they say, special tokens included.
        finish: ``"stop"`` (the model, or the grammar, ended it) or ``"length"``. Under a grammar, an answer of finish
            ``"length"`` was completed in the shortest way that was left, so it still parses; only a limit below the
            shortest answer of all cuts one off.
        hidden: ``(T, D)`` last-layer states after the final norm, at the positions where the tokens were fed; None
            unless asked for.
        forced: how many of the tokens the model was not asked about.
    """

    token_ids: tuple[int, ...]
    text: str
    finish: str
    hidden: Tensor | None
    forced: int


@torch.no_grad()
def decode(
    model: Any,
    inputs: Mapping[str, Any],
    rows: Sequence[Row],
    vocabulary: Vocabulary,
    *,
    hidden: bool = False,
    advance: Advance | None = None,
) -> list[Decoded]:
    """Answer every row of a batch.

    Args:
        model: a causal model of ``transformers``, in evaluation mode.
        inputs: the prompts, padded on the left.
        rows: what is asked of each row.
        vocabulary: the model's.
        hidden: whether to return the states of the answers' tokens.
        advance: changes the inputs of every step after the prompts', see the module's text.

    Raises:
        ValueError: there is not one row per prompt.
    """
    mask = inputs.get("attention_mask")
    mask = torch.ones_like(inputs["input_ids"]) if mask is None else mask
    if len(rows) != len(mask):
        raise ValueError(f"one row per prompt: {len(mask)} prompts, {len(rows)} rows")
    lengths = mask.sum(dim=1).tolist()
    lanes = [lane(at, row, vocabulary, int(lengths[at])) for at, row in enumerate(rows)]
    passes = Passes(model, mask, hidden, advance)
    logits = passes.start(inputs)
    live = list(lanes)
    while True:
        asked = [at for at, each in enumerate(live) if not each.queue and not each.finish]
        for at, token in zip(asked, choose(logits, asked, live), strict=True):
            live[at].take(token)
        going = [at for at, each in enumerate(live) if not each.finish or (hidden and each.queue)]
        if not going:
            return [_decoded(each, vocabulary, hidden, passes.width) for each in lanes]
        if len(going) < len(live):
            live = [live[at] for at in going]
            passes.select(going)
        logits = passes.step(live)


def _decoded(done: Lane, vocabulary: Vocabulary, hidden: bool, width: int) -> Decoded:
    states = None
    if hidden:
        states = torch.cat(done.states) if done.states else torch.zeros(0, width)
    return Decoded(tuple(done.ids), vocabulary.text(done.ids), done.finish, states, done.forced)
