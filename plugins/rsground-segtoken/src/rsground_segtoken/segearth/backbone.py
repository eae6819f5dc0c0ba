"""SegEarth-R1's language model as a backbone: it reads descriptions, with the head's visual tokens before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AutoTokenizer

from rsground.contracts import Prompt
from rsground.errors import CheckpointError, PromptError
from rsground.models import adapters
from rsground.models.devices import in_parts, pick_device, pick_dtype
from rsground.models.folder import part_folder
from rsground.models.loading import quiet
from rsground.models.teachable import TeachableBackbone
from rsground.models.teaching import Taught
from rsground.models.tokens import ids_of
from rsground.types import Generation, Usage, View
from rsground_segtoken.segearth.checkpoint import load_language, save_language
from rsground_segtoken.segearth.model import description_rows, last_states, text_loss
from rsground_segtoken.segearth.packing import IGNORED, Kind, Packed, Turn, pack, turn

SEG = "[SEG]"


class _Asked(NamedTuple):
    """A prompt and its tokens."""

    prompt: Prompt
    turn: Turn


class SegEarthR1Backbone(TeachableBackbone):
    """The published Phi-1.5 and its prompt, for head ``segearth-r1`` with a connector (``preset="paper"``).

    The tower and the connector are the head's: it lends them when it is bound. Nothing is generated: upstream never
    does, and the answer that the head forces is the description itself.

    Args:
        checkpoint: folder with ``config.json``, the tokenizer's files and safetensors: SegEarth-R1 as published, a
            system's folder, or plain Phi as transformers has it, to train from.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` ...
        dtype: ``"auto"`` (bfloat16 on CUDA, float32 on the CPU), or by name.
        kind: which of the two released prompts: ``"Referring"`` or ``"Reasoning"``.
        batch_size: prompts at once.

    Attributes:
        see: views to visual tokens ``(B, V, D)``; set by the head, None until then.
        visual: V, as the head says it.
        replies: whether the prompt has a place for an answer in words, learned in training, never written.

    Raises:
        CheckpointError: the folder is neither SegEarth-R1 nor Phi, or not whole.
        DeviceError: no such device or precision here.
    """

    see: Callable[[Sequence[View]], Tensor] | None = None
    visual: int = 0

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        kind: Kind = "Referring",
        batch_size: int = 4,
    ) -> None:
        folder = part_folder(checkpoint, "backbone")
        place = pick_device(device)
        self.model = load_language(folder, device=place, dtype=pick_dtype(dtype, place))
        try:
            with quiet():
                self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"its tokenizer cannot be loaded: {' '.join(str(error).split())}", folder) from error
        self.kind: Kind = kind
        self.replies = kind == "Reasoning"
        self.batch_size = batch_size

    @property
    def hidden_size(self) -> int:
        """Width of a state."""
        return int(self.model.config.hidden_size)

    def count_tokens(self, text: str) -> int:
        """Length of ``text`` in Phi's tokens."""
        return len(self._encode(text))

    def taught_tokens(self, prompt: Prompt) -> int:
        """Those of the reply, of its template's words and its ends."""
        return self._turn(prompt).labels

    def save(self, folder: str | Path) -> None:
        """Write configuration, tokenizer and weights under the published names; a LoRA adapter is merged.

        Raises:
            CheckpointError: the folder cannot be written.
        """
        state = self.model.state_dict() if self.lora is None else adapters.merged_state(self.model)
        save_language(self.model.config, state, self.tokenizer, Path(folder))

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _generate(self, prompts: Sequence[Prompt]) -> Sequence[Generation]:
        return in_parts([self._fit(prompt) for prompt in prompts], self.batch_size, self._answer)

    @torch.no_grad()
    def _answer(self, rows: Sequence[_Asked]) -> list[Generation]:
        packed = self._packed(rows)
        visual = int(packed.attention[0].sum()) - rows[0].turn.length(0)
        states = description_rows(last_states(self.model, packed), packed)
        return [self._generation(*row, each, visual) for row, each in zip(rows, states, strict=True)]

    def _fit(self, prompt: Prompt) -> _Asked:
        """Refuse what is too long, before the image is looked at."""
        each = self._turn(prompt)
        needed, bound = each.length(self.visual), int(self.model.config.max_position_embeddings)
        if needed > bound:
            raise PromptError(
                f"the description {(prompt.answer or '')[:60]!r} takes {needed} tokens with its prompt, {self.visual} "
                f"of them visual, and the model's context is {bound}; use fewer words"
            )
        return _Asked(prompt, each)

    def _teach(self, rows: Sequence[_Asked]) -> Taught:
        """One pass. The loss is that of the replies, their template's words and ends included, 0 where there is none.

        As upstream, which takes a text loss on reasoning data alone.
        """
        packed = self._packed(rows)
        states = last_states(self.model, packed)
        replied = torch.tensor([self.replies and "reply" in each.prompt.options for each in rows], device=self.device)
        return Taught(
            text_loss(self.model, states, packed.labels.where(replied[:, None], IGNORED)),
            tuple(description_rows(states, packed)),
            tuple(torch.tensor(each.refer, dtype=torch.long, device=self.device) for _, each in rows),
        )

    def _packed(self, rows: Sequence[_Asked]) -> Packed:
        table: Any = self.model.get_input_embeddings()
        visual = self._seen([row.prompt for row in rows]).to(self.device, table.weight.dtype)
        return pack([row.turn for row in rows], visual, table)

    def _turn(self, prompt: Prompt) -> Turn:
        if prompt.answer is None:
            raise PromptError(
                "backbone 'segearth-r1-phi' reads descriptions and writes nothing; use it with head 'segearth-r1', "
                "which puts the description into the answer"
            )
        seg = ids_of(self.tokenizer, (SEG,))[SEG]
        reply = prompt.options.get("reply")
        return turn(prompt.answer.removesuffix(SEG), self._encode, seg, kind=self.kind, answer=reply)

    def _seen(self, prompts: Sequence[Prompt]) -> Tensor:
        views = [prompt.view for prompt in prompts if prompt.view is not None]
        if self.see is None or len(views) < len(prompts):
            raise PromptError(
                "backbone 'segearth-r1-phi' sees through its head's connector, and every prompt shows an image; use it "
                "with head 'segearth-r1', encoder='swin' and connector=True (preset='paper')"
            )
        return self.see(views)

    def _generation(self, prompt: Prompt, each: Turn, rows: Tensor, visual: int) -> Generation:
        read = each.length(0) - len(each.refer)
        used = Usage(visual_tokens=visual, prompt_tokens=read, output_tokens=len(each.refer))
        hidden = rows if "hidden" in prompt.capture else None
        return Generation(prompt.answer or "", "forced", token_ids=each.refer, hidden=hidden, usage=used)
