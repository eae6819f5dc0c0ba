"""Answers to batches of prompts: decoded, or forced, with what they cost and what was captured."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rsground.contracts import Prompt
from rsground.models.attending import attentions
from rsground.models.constrain import TokenGrammar
from rsground.models.decoding import decode
from rsground.models.devices import PeakMemory
from rsground.models.encoding import Encoded, join
from rsground.models.lanes import Row
from rsground.models.marks import Marks
from rsground.models.running import positions
from rsground.models.teaching import force
from rsground.models.vocabulary import Vocabulary
from rsground.types import Generation, Usage

_GRAMMARS_KEPT = 16


@dataclass(slots=True, eq=False)
class _Said:
    ids: tuple[int, ...]
    text: str
    finish: str
    states: Tensor | None
    attentions: Tensor | None = None


class Answerer:
    """Answers prompts with equal needs, a batch at once.

    Args:
        model: the model, in evaluation mode.
        tokenizer: its tokenizer.
        marks: its tokens with a meaning of their own.
        constrained: whether grammars are enforced.
        temperature: 0 for the likeliest token.
        top_p: share of probability that is drawn from.
        max_context: most tokens of prompt and answer together, None for no bound.
        count_flops: whether operations are counted.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        marks: Marks,
        *,
        constrained: bool,
        temperature: float,
        top_p: float,
        max_context: int | None,
        count_flops: bool,
    ) -> None:
        self.model, self.marks = model, marks
        self.vocabulary = Vocabulary.of(tokenizer, marks.ends)
        self.constrained, self.temperature, self.top_p = constrained, temperature, top_p
        self.max_context, self.count_flops = max_context, count_flops
        self._grammars: dict[Any, TokenGrammar] = {}

    @torch.no_grad()
    def __call__(self, rows: Sequence[Encoded]) -> list[Generation]:
        """One generation per prompt. Cost is shared evenly: operations of the batch divided by its rows."""
        peak = PeakMemory(self.model.device)
        with self._counted() as counter:
            said = self._decoded(rows) if rows[0].answer is None else self._forced(rows)
        flops = None if counter is None else counter.get_total_flops() / len(rows)
        watched = [at for at, row in enumerate(rows) if "attentions" in row.prompt.capture]
        if watched:
            answers = [said[at].ids for at in watched]
            found = attentions(self.model, [rows[at] for at in watched], answers, self.marks.pad)
            for at, weights in zip(watched, found, strict=True):
                said[at].attentions = weights
        memory = peak.read()
        return [_generation(row, each, memory, flops) for row, each in zip(rows, said, strict=True)]

    def _forced(self, rows: Sequence[Encoded]) -> list[_Said]:
        states = force(self.model, rows, self.marks.pad)
        return [
            _Said(row.answer or (), row.prompt.answer or "", "forced", each)
            for row, each in zip(rows, states, strict=True)
        ]

    def _decoded(self, rows: Sequence[Encoded]) -> list[_Said]:
        batch = join(rows, [()] * len(rows), self.marks.pad, self.model.device, self.model.dtype)
        places, advance = positions(self.model, batch)
        found = decode(
            self.model,
            {**batch.inputs, "attention_mask": batch.mask, "position_ids": places},
            [self._row(row) for row in rows],
            self.vocabulary,
            hidden=any("hidden" in row.prompt.capture for row in rows),
            advance=advance,
        )
        return [_Said(each.token_ids, each.text, each.finish, each.hidden) for each in found]

    def _row(self, row: Encoded) -> Row:
        most = row.prompt.max_new_tokens
        if self.max_context is not None:
            most = min(most, self.max_context - row.length)
        dice = _dice(row.prompt) if self.temperature > 0 else None
        return Row(self._grammar(row.prompt.grammar), most, self.temperature, self.top_p, dice)

    def _grammar(self, grammar: Any) -> TokenGrammar | None:
        """The grammar over tokens; the last few are kept, for what they have worked out."""
        if grammar is None or not self.constrained:
            return None
        key = grammar if isinstance(grammar, Hashable) else id(grammar)  # kept alive, so its id is its own
        found = self._grammars.pop(key, None)
        if found is None:
            found = TokenGrammar(grammar, self.vocabulary)
        self._grammars[key] = found
        if len(self._grammars) > _GRAMMARS_KEPT:
            del self._grammars[next(iter(self._grammars))]
        return found

    @contextmanager
    def _counted(self) -> Iterator[FlopCounterMode | None]:
        if not self.count_flops:
            yield None
            return
        with FlopCounterMode(display=False) as counter:
            yield counter


def _dice(prompt: Prompt) -> torch.Generator:
    """Random numbers of a prompt: of its seed, its text and every pixel it shows, so that neighbours in a batch, and
    where an image came from, do not matter."""
    seen = blake2b(f"{prompt.options.get('seed', 0)}\n{prompt.text}".encode("utf-8", "replace"), digest_size=7)
    for image in () if prompt.view is None else prompt.view.images:
        seen.update(repr(image.shape).encode())
        seen.update(np.ascontiguousarray(image).data)
    return torch.Generator().manual_seed(int.from_bytes(seen.digest()))


def _generation(row: Encoded, said: _Said, memory: int, flops: float | None) -> Generation:
    visual = int(row.visual.sum())
    usage = Usage(
        visual_tokens=visual,
        prompt_tokens=row.length - visual,
        output_tokens=len(said.ids),
        peak_memory_bytes=memory,
        flops=flops,
    )
    hidden = said.states if "hidden" in row.prompt.capture else None
    return Generation(said.text, said.finish, said.ids, hidden, said.attentions, usage)
