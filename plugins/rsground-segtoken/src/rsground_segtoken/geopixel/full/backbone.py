"""GeoPixel at its published size as a backbone: a folder of weights in, texts and [SEG] states out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from rsground.contracts import Backbone, Prompt
from rsground.errors import PromptError
from rsground.models.devices import pick_device, pick_dtype
from rsground.types import Generation, Usage, View
from rsground_segtoken.geopixel.full.language import Memory
from rsground_segtoken.geopixel.full.tokenizer import END, START, PieceTokenizer
from rsground_segtoken.geopixel.full.vision import token_count
from rsground_segtoken.geopixel.full.weights import load_geopixel
from rsground_segtoken.hd_tiles import MAX_TILES, Division, divide, lay_out

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class _Asked(NamedTuple):
    """A prompt as the language model gets it."""

    embeddings: Tensor  # (1, L, D)
    image: Tensor  # (1, L) bool
    visual: int


class GeoPixelBackbone(Backbone):
    """The published model. Head ``geopixel`` takes its segmenter from here, so a system needs to name no other.

    Greedy decoding, as published. Grammars are not enforced: the model was trained to write its own sentences.

    Args:
        checkpoint: folder with ``config.json``, ``tokenizer.model``, ``added_tokens.json`` and safetensors.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` ...
        dtype: ``"auto"`` (bfloat16 on CUDA, float32 on the CPU), or by name.
        hd_num: bound on tiles, 9 as published; views that come through ``hd-tiles`` bring their own canvas.
        max_tiles: cap on tiles, which large images reach whatever ``hd_num`` says; see
            :func:`rsground_segtoken.hd_tiles.divide`.

    Raises:
        CheckpointError: the folder is no GeoPixel, or not whole.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        hd_num: int = 9,
        max_tiles: int = MAX_TILES,
    ) -> None:
        place = pick_device(device)
        self.tokenizer = PieceTokenizer(checkpoint)
        self.model = load_geopixel(checkpoint, dtype=pick_dtype(dtype, place), device=place)
        self.segmenter = self.model.segmenter()
        self.hd_num, self.max_tiles = hd_num, max_tiles

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    @property
    def hidden_size(self) -> int:
        """Width of a state."""
        return self.model.config.language.hidden_size

    def count_tokens(self, text: str) -> int:
        return len(self.tokenizer.encode(text))

    @torch.no_grad()
    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: Prompt) -> Generation:
        asked = self._asked(prompt)
        if prompt.answer is None:
            ids, states, finish = self._write(asked, prompt.max_new_tokens)
            text = self.tokenizer.decode(ids)
        else:
            ids, text, finish = self.tokenizer.encode(prompt.answer), prompt.answer, "forced"
            states = self._forced(asked, ids)
        used = Usage(
            visual_tokens=asked.visual,
            prompt_tokens=asked.embeddings.shape[1] - asked.visual,
            output_tokens=len(ids),
        )
        hidden = states if "hidden" in prompt.capture else None
        return Generation(text, finish=finish, token_ids=tuple(ids), hidden=hidden, usage=used)

    def _asked(self, prompt: Prompt) -> _Asked:
        """Begin of text, image, question: the order of inference (in training, upstream put the image first)."""
        before = [self.model.config.language.bos_token_id]
        after = self.tokenizer.encode(f"{START}user\n{prompt.text}{END}\n{START}assistant\n")
        self._check_length(prompt, len(before) + len(after))
        image = None if prompt.view is None else self.model.image_tokens(self.canvas(prompt.view))
        embeddings, rows = self.model.lay_out(before, image, after)
        return _Asked(embeddings, rows, 0 if image is None else len(image))

    def _check_length(self, prompt: Prompt, words: int) -> None:
        """Refuse what is too long, before the image is looked at."""
        bound, cells = self.model.config.language.max_length, self.model.config.vision.cells
        visual = 0 if prompt.view is None else token_count(self._grid(prompt.view), cells)
        if words + visual > bound:
            advice = None if prompt.view is None else self._advice(prompt.view, bound - words)
            raise PromptError(
                f"the prompt {prompt.text[:60]!r} takes {words + visual} tokens, {visual} of them visual, and "
                f"GeoPixel's bound is {bound}; {advice or 'use fewer words'}"
            )

    def _advice(self, view: View, room: int) -> str | None:
        """What makes a view's tokens fit into ``room``; None where not even one tile does."""
        rows, columns = self._grid(view)
        while rows * columns > 1:
            most = rows * columns
            rows, columns = divide(view.source.size, most, "inference", self._tile, most - 1).grid
            if token_count((rows, columns), self.model.config.vision.cells) <= room:
                place = "preprocessor 'hd-tiles'" if self._has_canvas(view) else "backbone 'geopixel-7b'"
                return f"give {place} max_tiles={rows * columns}"
        return None

    def canvas(self, view: View) -> NDArray[np.uint8]:
        """What the tiles are cut from: the view's own canvas where ``hd-tiles`` made one, else laid out here."""
        return view.images[-1] if self._has_canvas(view) else lay_out(view.source.images[-1], self._division(view))

    @property
    def _tile(self) -> int:
        return self.model.config.vision.image_size

    def _grid(self, view: View) -> tuple[int, int]:
        """(rows, columns) of tiles of a view."""
        if self._has_canvas(view):
            return view.size[0] // self._tile, view.size[1] // self._tile
        return self._division(view).grid

    def _has_canvas(self, view: View) -> bool:
        return "grid" in view.meta and view.size == tuple(self._tile * count for count in view.meta["grid"])

    def _division(self, view: View) -> Division:
        return divide(view.source.size, self.hd_num, "inference", self._tile, self.max_tiles)

    def _write(self, asked: _Asked, most: int) -> tuple[list[int], Tensor, str]:
        """Greedy ids before the end of the turn, their states ``(T, D)``, and how it ended."""
        ends = (self.model.config.language.eos_token_id, self.tokenizer.end_of_turn)
        ids: list[int] = []
        memory: Memory = []
        states = self._next(asked, ids, memory)
        kept: list[Tensor] = []
        finish = "length"
        while len(ids) < most:
            number = int(self.model.output(states).argmax())
            if number in ends:
                finish = "stop"
                break
            ids.append(number)
            states = self._next(asked, ids, memory)
            kept.append(states)
        width = self.hidden_size
        return ids, torch.stack(kept) if kept else asked.embeddings.new_zeros((0, width)), finish

    def _next(self, asked: _Asked, ids: list[int], memory: Memory) -> Tensor:
        """The last position's state ``(D,)`` after the prompt and ``ids``; the prompt is run once."""
        if memory and self.model.model.remembers:
            fresh = self.model.embed(ids[-1:])[None]
            return self.model.states(fresh, None, memory)[0, -1]
        memory.clear()
        embeddings, image = _continued(asked, self.model.embed(ids))
        return self.model.states(embeddings, image, memory)[0, -1]

    def _forced(self, asked: _Asked, ids: list[int]) -> Tensor:
        """States ``(T, D)`` of a given answer in one pass."""
        embeddings, image = _continued(asked, self.model.embed(ids))
        states = self.model.states(embeddings, image)
        return states[0, asked.embeddings.shape[1] :]


def _continued(asked: _Asked, answer: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings and image rows of a prompt and ``(T, D)`` answer tokens after it."""
    embeddings = torch.cat([asked.embeddings, answer[None]], dim=1)
    return embeddings, torch.cat([asked.image, asked.image.new_zeros((1, len(answer)))], dim=1)
