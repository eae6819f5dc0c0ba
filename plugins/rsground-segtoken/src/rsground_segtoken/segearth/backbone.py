"""SegEarth-R1's language model as a backbone: it reads descriptions, with the head's visual tokens before them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsground.assembly import locate
from rsground.contracts import Backbone, Prompt
from rsground.errors import CheckpointError, PromptError
from rsground.models.devices import in_parts, pick_device, pick_dtype
from rsground.models.tokens import ids_of
from rsground.types import Generation, Usage
from rsground_segtoken.segearth.checkpoint import load_language
from rsground_segtoken.segearth.model import description_states
from rsground_segtoken.segearth.packing import Kind, Turn, pack, turn

SEG = "[SEG]"


class SegEarthR1Backbone(Backbone):
    """The published Phi-1.5 and its prompt, for head ``segearth-r1`` with ``preset="paper"`` and the same checkpoint.

    The tower and the connector are the head's; their visual tokens come in ``options["visual_embeddings"]``. Nothing
    is generated: upstream never does, and the answer that the head forces is the description itself.

    Args:
        checkpoint: folder with ``config.json``, the tokenizer's files and safetensors.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` ...
        dtype: ``"auto"`` (bfloat16 on CUDA, float32 on the CPU), or by name.
        kind: which of the two released prompts: ``"Referring"`` or ``"Reasoning"``.
        batch_size: prompts at once.

    Raises:
        CheckpointError: the folder is no SegEarth-R1, or not whole.
        DeviceError: no such device or precision here.
    """

    takes_visual_embeddings = True

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        kind: Kind = "Referring",
        batch_size: int = 4,
    ) -> None:
        from transformers import AutoTokenizer

        folder = locate(checkpoint)
        place = pick_device(device)
        self.model = load_language(folder, device=place, dtype=pick_dtype(dtype, place))
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"its tokenizer cannot be loaded: {' '.join(str(error).split())}", folder) from error
        self.kind: Kind = kind
        self.batch_size = batch_size
        self._seg = ids_of(self.tokenizer, (SEG,))[SEG]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return torch.device(self.model.device)

    @property
    def hidden_size(self) -> int:
        """Width of a state."""
        return int(self.model.config.hidden_size)

    def count_tokens(self, text: str) -> int:
        """Length of ``text`` in Phi's tokens."""
        return len(self._encode(text))

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _generate(self, prompts: Sequence[Prompt]) -> Sequence[Generation]:
        return in_parts(prompts, self.batch_size, self._answer)

    @torch.no_grad()
    def _answer(self, prompts: Sequence[Prompt]) -> list[Generation]:
        turns = [self._turn(prompt) for prompt in prompts]
        table: Any = self.model.get_input_embeddings()
        visual = torch.stack([_visual(prompt) for prompt in prompts]).to(self.device, table.weight.dtype)
        states = description_states(self.model, pack(turns, visual, table))
        return [
            self._generation(prompt, each, rows, visual.shape[1])
            for prompt, each, rows in zip(prompts, turns, states, strict=True)
        ]

    def _turn(self, prompt: Prompt) -> Turn:
        if prompt.answer is None:
            raise PromptError(
                "backbone 'segearth-r1-phi' reads descriptions and writes nothing; use it with head 'segearth-r1', "
                "which puts the description into the answer"
            )
        return turn(prompt.answer.removesuffix(SEG), self._encode, self._seg, kind=self.kind)

    def _generation(self, prompt: Prompt, each: Turn, rows: Tensor, visual: int) -> Generation:
        read = each.length(visual) - visual - len(each.refer)
        used = Usage(visual_tokens=visual, prompt_tokens=read, output_tokens=len(each.refer))
        hidden = rows if "hidden" in prompt.capture else None
        return Generation(prompt.answer or "", "forced", token_ids=each.refer, hidden=hidden, usage=used)


def _visual(prompt: Prompt) -> Tensor:
    found = prompt.options.get("visual_embeddings")
    if not isinstance(found, Tensor):
        raise PromptError(
            "backbone 'segearth-r1-phi' sees through its head's connector; use it with head 'segearth-r1', "
            "encoder='swin' and connector=True (preset='paper')"
        )
    return found
