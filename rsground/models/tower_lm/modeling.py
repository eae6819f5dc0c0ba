"""The small model itself, shaped like any image-and-text model of transformers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import GenerationMixin, LlamaForCausalLM, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from rsground.models.tower_lm.asking import asked_alone
from rsground.models.tower_lm.config import TowerLMConfig
from rsground.models.tower_lm.cursor import PLACE, Cursor
from rsground.models.tower_lm.facts import NUMBERS, Facts, FactsEmbedding, facts, token_boxes
from rsground.models.tower_lm.judge import Judge, Verdict
from rsground.models.tower_lm.ledger import Ledger
from rsground.models.tower_lm.look import Look
from rsground.models.tower_lm.recall import Memory, Pointer, Recall
from rsground.models.tower_lm.tower import Tower


class TowerLM(PreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """Tower, visual tokens, Llama, and recall of what is pointed at.

    The visual tokens of a prompt see each other; words see what stands before them. ``logits`` are log-probabilities.
    """

    config_class = TowerLMConfig
    main_input_name = "input_ids"
    _supports_sdpa = True
    _supports_attention_backend = True
    _tied_weights_keys = {"language_model.lm_head.weight": "language_model.model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: TowerLMConfig) -> None:
        super().__init__(config)
        self.tower = Tower(config)
        self.look = Look(config) if config.look else None
        self.visual = FactsEmbedding(config)
        text: Any = config.text_config
        self.language_model: Any = LlamaForCausalLM(text)
        self.pointer = Pointer(text.hidden_size)
        judged = config.judge_layers > 0
        sizes = (text.hidden_size, config.judge_width, config.judge_layers)
        skills = (config.judge_compares, config.judge_measures)
        self.judge = Judge(*sizes, *skills, starts=config.judge_starts) if judged else None
        self.ledger = Ledger(text.hidden_size) if config.ledger else None
        grids = (config.code_width, config.cursor, config.numbers)
        self.cursor = Cursor(text.hidden_size, *grids) if config.cursor else None
        self.recall = Recall(text.hidden_size, tuple(config.numbers))
        self.post_init()  # type: ignore[no-untyped-call]
        nn.init.zeros_(self.recall.brings.weight)
        nn.init.constant_(self.recall.copies.bias, -2.0)
        if self.look is not None:
            self.look.begin()
        if self.judge is not None:
            self.judge.begin()
        if self.ledger is not None:
            self.ledger.begin()
        if self.cursor is not None:
            self.cursor.begin(self.visual.numbers.weight)

    def get_input_embeddings(self) -> nn.Module:
        """The token table."""
        found: nn.Module = self.language_model.get_input_embeddings()
        return found

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Another token table."""
        self.language_model.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """What scores the tokens."""
        found: nn.Module = self.language_model.get_output_embeddings()
        return found

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Another scorer."""
        self.language_model.set_output_embeddings(value)

    def facts(self, pixel_values: Tensor) -> Facts:
        """What is known of ``(B, 3, S, S)`` normalised pixels; equal images are looked at once."""
        rows, copies = _distinct(pixel_values)
        found = self.first_facts(pixel_values[rows])
        found = found if self.look is None else self.look(pixel_values[rows], found)
        return found if len(rows) == len(copies) else found.select(torch.tensor(copies, device=pixel_values.device))

    def first_facts(self, pixel_values: Tensor) -> Facts:
        """What the tower tells of ``(B, 3, S, S)`` normalised pixels, before any second look."""
        return facts(self.tower(pixel_values), self.config.objects, self.config.grid)

    def pyramid(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16 and 32: ``dense_width`` channels, then four times ``fpn_width``."""
        dense = self.tower(pixel_values)
        return (dense.features, *dense.pyramid)

    def visual_boxes(self, size: tuple[int, int], pixel_values: Tensor) -> NDArray[np.float32]:
        """``(V, 4)`` boxes, in pixels of a view of that (height, width), of the visual tokens of one image."""
        with torch.no_grad():
            found = token_boxes(self.facts(pixel_values), *size)
        boxes: NDArray[np.float32] = found[0].float().cpu().numpy()
        return boxes

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """As other image-and-text models of transformers; ``pixel_values`` ``(images, 3, S, S)`` row by row."""
        kept: tuple[Tensor, Tensor] | None = None
        clear: Tensor | None = None
        real = attention_mask
        layers = self.config.text_config.num_hidden_layers
        before = Memory.kept(past_key_values, layers)
        if inputs_embeds is None and input_ids is not None:
            if pixel_values is None:
                inputs_embeds = self.get_input_embeddings()(input_ids)
            else:
                found = self.facts(pixel_values)
                given = self._begun(input_ids, found, attention_mask, position_ids)
                inputs_embeds, attention_mask, position_ids, kept, clear = given
        assert inputs_embeds is not None, "the model needs input_ids or inputs_embeds"
        run = partial(self.language_model.model, attention_mask=attention_mask, position_ids=position_ids, **kwargs)
        answering = self._answering(input_ids, inputs_embeds, before)
        cursors = inputs_embeds.new_zeros(*inputs_embeds.shape[:2], PLACE)
        if self.cursor is not None and input_ids is not None:
            cursors = self.cursor.follow(input_ids, answering, None if before is None else before.cursors[:, -1])
            if cursors[..., 0].any() and (before is not None or kept is not None):
                known = before
                if known is None:  # a grid that is given along with its question: what is meant is settled first
                    states = run(inputs_embeds=inputs_embeds, use_cache=False).last_hidden_state
                    known = self._asked(states, inputs_embeds, kept, clear, input_ids)
                meant = (known.shown & (known.settled > 0))[:, None]
                inputs_embeds = inputs_embeds + self.cursor(cursors, known.numbers, meant)
        output = run(inputs_embeds=inputs_embeds, past_key_values=past_key_values, use_cache=use_cache)
        states = output.last_hidden_state
        memory = replace(self._asked(states, inputs_embeds, kept, clear, input_ids), cursors=cursors)
        cache = output.past_key_values
        every = memory.after(before)
        written = None
        if self.ledger is not None:
            if real is not None and real.dim() == 2:  # what fills the gaps of shorter rows completes nothing
                answering = answering & real[:, -states.shape[1] :].bool()
            written, numbers = self.ledger.follow(states, every, answering, partial(self._weights, every))
            memory = replace(memory, numbers=memory.numbers + numbers)
        memory.into(cache, layers)
        last = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        words, weights = self.point(states[:, last], every, written if written is None else written[:, last])
        return CausalLMOutputWithPast(
            logits=self.say(words, weights, every.numbers),
            past_key_values=cache,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

    def remembered(self, states: Tensor, embeds: Tensor, numbers: Tensor, shown: Tensor) -> Memory:
        """What is kept of ``(B, L)`` columns; nothing is settled yet, and no grid begun."""
        settled, cursors = embeds.new_zeros(embeds.shape[:2]), embeds.new_zeros(*embeds.shape[:2], PLACE)
        return Memory(self.pointer.offers(states), embeds, numbers, shown, settled, cursors)

    def _asked(
        self,
        states: Tensor,
        embeds: Tensor,
        kept: tuple[Tensor, Tensor] | None,
        clear: Tensor | None,
        ids: Tensor | None,
    ) -> Memory:
        """What is kept of columns, with what their question means where they hold an image and a question."""
        memory = self.remembered(states, embeds, *(kept or self._nothing(embeds)))
        if self.judge is None or clear is None or ids is None:
            return memory
        return replace(memory, settled=self._settled(states, memory, clear, ids))

    def settle(self, questions: Tensor, memory: Memory, clear: Tensor, rows: Tensor) -> Verdict:
        """What N questions ``(N, D)`` about ``rows`` ``(N,)`` mean; ``(B, L)`` bool the columns that are compared."""
        offers = memory.offers[rows]
        if self.judge is None or self.judge.asking is None:
            asked = asked_alone(questions, self.pointer(questions[:, None], offers)[:, 0])
        else:
            asked = self.judge.asking(questions, lambda words: self.pointer(words, offers))
        if self.judge is None:
            return Verdict(asked.own, asked.own, None)
        settled, members = self.judge(asked, memory.offers, clear, memory.numbers, rows)
        return Verdict(asked.own, settled.masked_fill(~memory.shown[rows][:, None], 0.0), members)

    def scores(self, states: Tensor, memory: Memory, settled: Tensor, written: Tensor | None) -> Tensor:
        """How words ``(B, T, D)`` score the columns; zero means "none".

        Args:
            states: of the words.
            memory: the columns.
            settled: ``(B, T or 1, L)`` what their question means.
            written: ``(B, T, L)`` bool, whether the column shows an object written before; None for "none was".
        """
        scores: Tensor = self.pointer(states, memory.offers)
        if self.judge is not None:
            scores = scores + self.judge.lean(states) * settled
        if self.ledger is not None and written is not None:
            scores = scores - self.ledger.less(states) * written
        return scores

    def point(self, states: Tensor, memory: Memory, written: Tensor | None) -> tuple[Tensor, Tensor]:
        """States of words with what they point at, and how much they point at each column."""
        scores = self.scores(states, memory, memory.settled[:, None], written)
        found: tuple[Tensor, Tensor] = self.recall(states, scores, memory)
        return found

    def _weights(self, memory: Memory, states: Tensor, written: Tensor) -> Tensor:
        return self.point(states, memory, written)[1]

    def _answering(self, ids: Tensor | None, embeds: Tensor, before: Memory | None) -> Tensor:
        """Which ``(B, T)`` new words belong to answers: those after the last answer mark, and all later ones."""
        if before is not None or ids is None:
            return torch.full(embeds.shape[:2], before is not None, device=embeds.device)
        marks = (ids == self.config.answer_token_index).int()
        ahead = marks.flip(1).cumsum(1).flip(1)  # marks here and after
        answering: Tensor = (ahead == 0) & (marks.sum(1, keepdim=True) > 0)
        return answering

    def _settled(self, states: Tensor, memory: Memory, clear: Tensor, ids: Tensor) -> Tensor:
        """What the question of each row means: the one that its last answer mark ends, or that ends the row."""
        rows = torch.arange(len(ids), device=ids.device)
        marks = (ids == self.config.answer_token_index) * torch.arange(1, ids.shape[1] + 1, device=ids.device)
        latest = marks.amax(1) - 1  # -1, the last column, where there is none
        return self.settle(states[rows, latest], memory, clear, rows).settled[:, 0]

    def say(self, words: Tensor, weights: Tensor, numbers: Tensor) -> Tensor:
        """Log-probabilities ``(B, T, vocabulary)`` after words, for the ``(B, L, 17)`` numbers of the columns."""
        logits: Tensor = self.get_output_embeddings()(words)
        if not self.recall.numbers:
            return logits
        rows = torch.arange(len(words), device=words.device).repeat_interleave(words.shape[1])
        said: Tensor = self.recall.logits(
            logits.flatten(0, 1), words.flatten(0, 1), weights.flatten(0, 1), numbers, rows
        )
        return said.view(logits.shape)

    def _nothing(self, embeds: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers and "shown" of columns without images."""
        numbers = embeds.new_zeros(*embeds.shape[:2], NUMBERS)
        return numbers, torch.zeros(embeds.shape[:2], dtype=torch.bool, device=embeds.device)

    def _begun(
        self, ids: Tensor, found: Facts, mask: Tensor | None, places: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor], Tensor]:
        """Embeddings, 4-D mask and positions of prompts with images; numbers of columns, which are shown, and clear."""
        mask = torch.ones_like(ids) if mask is None else mask
        places = (mask.cumsum(1) - 1).clamp(min=0) if places is None else places
        shown = ids == self.config.image_token_index
        per_row = shown.sum(1) // self.config.visual_tokens
        order = torch.cat([torch.arange(int(count) - 1, -1, -1) for count in per_row]).clamp(max=1)
        tokens = self.visual(found, order.to(ids.device))
        embeds = self.get_input_embeddings()(ids.masked_fill(shown, 0))
        embeds = embeds.masked_scatter(shown[..., None], tokens.to(embeds.dtype).flatten(0, 1))
        numbers = embeds.new_zeros(*ids.shape, NUMBERS)
        numbers = numbers.masked_scatter(shown[..., None], found.numbers.to(embeds.dtype).flatten(0, 1))
        clear = shown.masked_scatter(shown, found.clear.flatten())
        last = places.masked_fill(~shown, 0).amax(1, keepdim=True)
        mask = seen(shown, mask.bool(), embeds.dtype)
        return embeds, mask, torch.where(shown, last, places), (numbers, shown), clear


def _distinct(images: Tensor) -> tuple[list[int], list[int]]:
    """Rows of the images that differ from all before them, and for each image which of those it equals."""
    rows: list[int] = []
    copies: list[int] = []
    for at, image in enumerate(images):
        same = (number for number, row in enumerate(rows) if torch.equal(images[row], image))
        copies.append(next(same, len(rows)))
        if copies[-1] == len(rows):
            rows.append(at)
    return rows, copies


def seen(shown: Tensor, real: Tensor, dtype: torch.dtype) -> Tensor:
    """Additive mask ``(B, 1, L, L)``: words see backwards, visual tokens see all visual ones, nobody sees padding."""
    length = shown.shape[1]
    backwards = torch.ones(length, length, dtype=torch.bool, device=shown.device).tril()
    allowed = (backwards | (shown[:, :, None] & shown[:, None, :])) & real[:, None, :]
    allowed = allowed | torch.eye(length, dtype=torch.bool, device=shown.device)
    return torch.zeros(allowed.shape, dtype=dtype, device=shown.device).masked_fill(~allowed, torch.finfo(dtype).min)[
        :, None
    ]
